"""Makes random_state.json for random_state.rs: python make_random_state.py.

Each seed has one generator, and a list of calls in order. A call has the number of values, the first ones,
and the FNV-1a hash of all, taken over 64-bit words (the bits of a float, or an integer in two's complement).
"""

import json
from pathlib import Path

import numpy as np

SEEDS = [0, 1, 42, 2**32 - 1]
SHOWN = 3
RANGES = [  # low, high
    (0, 1), (7, 8), (-3, -1), (0, 256), (0, 257), (0, 60000), (-30000, 30000), (0, 2**31),
    (0, 2**31 + 1), (0, 2**32 - 1), (0, 2**32), (0, 2**32 + 1), (5, 2**40), (-(2**62), 2**62),
    (-(2**63), 2**63 - 1),
]  # fmt: skip
CALLS = [
    ("rand", 0), ("rand", 1), ("randn", 0), ("randn", 1), ("rand", 1000), ("randn", 2),
    ("choice", 60000, 100), ("randn", 1001), ("permutation", 1000), ("randn", 3), ("rand", 3),
    ("choice", 1, 7), ("choice", 0, 0), ("choice", 1000, 5000), ("choice", 2**33, 500),
    ("permutation", 0), ("permutation", 1), ("permutation", 2), ("randn", 1),
    ("choice_without_replacement", 1000, 10), ("choice_without_replacement", 60000, 60000),
    ("choice_without_replacement", 5, 0), ("choice_without_replacement", 0, 0), ("randn", 4000),
    *(("randint", low, high, size) for low, high in RANGES for size in (0, 1, 1000)),
    ("randint", 5, 5, 0), ("randn", 7), ("choice", 1437, 100), ("rand", 1),
]  # fmt: skip


def draw(random, name, *args):
    if name == "randint":
        low, high, size = args
        return random.randint(low, high, size=size, dtype=np.int64)
    if name == "choice_without_replacement":
        return random.choice(*args, replace=False)
    return getattr(random, name)(*args)


def hash_of(values):
    result = 0xCBF29CE484222325
    for word in values.view(np.uint64).tolist():
        result = (result ^ word) * 0x100000001B3 % 2**64
    return f"{result:016x}"


def case(seed):
    random = np.random.RandomState(seed)
    calls = []
    for name, *args in CALLS:
        values = np.ascontiguousarray(draw(random, name, *args))
        assert values.dtype in (np.float64, np.int64)
        calls.append(
            {
                "call": name,
                "args": args,
                "count": values.size,
                "first": values[:SHOWN].tolist(),
                "hash": hash_of(values),
            }
        )
    return {"seed": seed, "calls": calls}


def main():
    made_by = {"script": "make_random_state.py", "numpy": np.__version__}
    cases = [case(seed) for seed in SEEDS]
    lines = ["{", f' "made_by": {json.dumps(made_by)},', ' "cases": [']
    for i, one in enumerate(cases):
        lines.append(f'  {{"seed": {one["seed"]}, "calls": [')
        calls = [f"   {json.dumps(call)}" for call in one["calls"]]
        lines.append(",\n".join(calls))
        lines.append("  ]}" + "," * (i + 1 < len(cases)))
    lines += [" ]", "}"]
    path = Path(__file__).with_name("random_state.json")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
