"""The medians of all rounds, as tables for a terminal or in Markdown, and as JSON."""

import statistics

from engines import BN

NAMES = {
    "bn": "bn",
    "torch": "PyTorch",
    "keras": "Keras",
    "numpy": "NumPy",
    "candle": "candle",
    "burn": "burn",
}

# Rows in order: measurement, name, and the measurements of the peers that it is compared with. Keras
# normalises images channels last, the others channels first; each layout of bn is compared with the
# fastest of all. A folded network of bn is compared with the peers' networks, which are not folded.
IMAGES = ["bn 64x64x28x28", "bn 64x28x28x64"]
ROWS = [
    ("book", "step, 784-5×100-10, batch 100", ["book"]),
    ("mid", "step, 784-3×512-10, batch 256", ["mid"]),
    ("big", "step, 784-3×2048-10, batch 1024", ["big"]),
    ("bn 100x100", "BN (100, 100)", ["bn 100x100"]),
    ("bn 1024x1024", "BN (1024, 1024)", ["bn 1024x1024"]),
    ("bn 8192x4096", "BN (8192, 4096)", ["bn 8192x4096"]),
    ("bn 64x64x28x28", "BN (64, 64, 28, 28), channels first", IMAGES),
    ("bn 64x28x28x64", "BN (64, 28, 28, 64), channels last", IMAGES),
    ("infer 1", "inference, batch 1", ["infer 1"]),
    ("infer 100", "inference, batch 100", ["infer 100"]),
    ("infer 10000", "inference, batch 10,000", ["infer 10000"]),
    ("infer 1 folded", "inference, BN folded, batch 1", ["infer 1"]),
    ("infer 100 folded", "inference, BN folded, batch 100", ["infer 100"]),
    ("infer 10000 folded", "inference, BN folded, batch 10,000", ["infer 10000"]),
    ("gan", "DCGAN, one iteration, batch 128", ["gan"]),
    ("resnet", "step, residual network of 28×28 images, batch 128", ["resnet"]),
]

# The cases whose peak memory is reported.
MEMORY = {"big": "784-3×2048-10", "gan": "DCGAN", "resnet": "residual network"}


def summary(runs):
    """The medians over the rounds, as `{threads: {measurement: {engine: ms}}}` and of the memory."""
    milliseconds, memory = {}, {}
    for run in runs:
        for measurement, ms in run["ms"].items():
            of_measurement = milliseconds.setdefault(run["threads"], {}).setdefault(measurement, {})
            of_measurement.setdefault(run["engine"], []).append(ms)
        if run["case"] in MEMORY:
            of_threads = memory.setdefault(run["threads"], {}).setdefault(run["case"], {})
            of_threads.setdefault(run["engine"], []).append(run["peak_mib"])
    medians = {
        threads: {
            measurement: {engine: statistics.median(times) for engine, times in engines.items()}
            for measurement, engines in measurements.items()
        }
        for threads, measurements in milliseconds.items()
    }
    peaks = {
        threads: {
            case: {engine: statistics.median(mib) for engine, mib in engines.items()}
            for case, engines in cases.items()
        }
        for threads, cases in memory.items()
    }
    return medians, peaks


def fastest(measurements, answers):
    """`(ms, engine, measurement)` of the fastest peer, or None."""
    times = [
        (ms, engine, measurement)
        for measurement in answers
        for engine, ms in measurements.get(measurement, {}).items()
        if engine != BN
    ]
    return min(times, default=None)


def three_digits(ms):
    if ms >= 100:
        return f"{ms:.0f}"
    return f"{ms:.{2 if ms < 10 else 1}f}" if ms >= 1 else f"{ms:#.3g}"


def table(measurements, peaks, engines):
    """Rows of cells, the heading first. The fastest peer of a row is starred."""
    rows = [["ms", *(NAMES[e] for e in engines), "fastest peer", "bn is faster"]]
    for measurement, name, answers in ROWS:
        if measurement not in measurements:
            continue
        best = fastest(measurements, answers)
        row = [name]
        for engine in engines:
            ms = measurements[measurement].get(engine)
            mark = "*" if best and (engine, measurement) == best[1:] else ""
            row.append("–" if ms is None else three_digits(ms) + mark)
        bn = measurements[measurement].get(BN)
        row.append(f"{NAMES[best[1]]} {three_digits(best[0])}" if best else "–")
        row.append(f"{best[0] / bn:.2f}×" if best and bn else "–")
        rows.append(row)
    for case, mib in peaks.items():
        cells = [f"{mib[e]:.0f}" if e in mib else "–" for e in engines]
        rows.append([f"peak memory, {MEMORY[case]}, MiB", *cells, "", ""])
    return rows


def as_text(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def as_markdown(rows):
    bold = [[f"**{c[:-1]}**" if c.endswith("*") else c for c in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in bold]
    lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    return "\n".join(lines)


def facts(result):
    """What a reader must know about the measurements, one line each."""
    lines = [f"{result['date']}, {result['cpu']}, {result['os']}"]
    rounds = f"medians of {result['rounds']} rounds" if result["rounds"] > 1 else "one round"
    lines.append(f"{rounds}; bn's build: {result['build']}")
    for version in result["versions"].values():
        lines.append(f"{version['engine']}; matrix products: {version['blas']}")
    return lines


def render(result, markdown):
    """The whole report."""
    medians, peaks = summary(result["runs"])
    item, heading, form = ("- ", "### ", as_markdown) if markdown else ("", "", as_text)
    parts = ["\n".join(item + line for line in facts(result))]
    for threads, measurements in medians.items():
        measured = {e for of_measurement in measurements.values() for e in of_measurement}
        engines = [e for e in NAMES if e in measured]
        parts.append(f"{heading}{threads} thread{'s' if threads > 1 else ''}")
        parts.append(form(table(measurements, peaks.get(threads, {}), engines)))
    star = "Bold is" if markdown else "* is"
    parts.append(f"{star} the fastest peer; the last column is its time over that of bn.")
    return "\n\n".join(parts) + "\n"
