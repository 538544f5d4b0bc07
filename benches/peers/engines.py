"""What is compared, and how each program is made: a command, or None where that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = "bn"
PEERS = ["torch", "keras", "numpy", "candle", "burn"]
WITH_GAN = [OURS, "torch", "keras"]  # those that the DCGAN is written for
PACKAGES = {
    "torch": ["torch"],
    "keras": ["tensorflow-cpu"],
    "numpy": ["numpy", "threadpoolctl"],
}
BUILDS = {
    "default": [],
    "single": ["--no-default-features", "--features", "openblas,lapack"],
    "pure": ["--no-default-features", "--features", "parallel"],
}
MODULES = {"tensorflow-cpu": "tensorflow"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def home():
    """Where the other frameworks live."""
    return Path(os.environ.get("BN_PEERS_HOME") or Path.home() / ".cache/bn-peers")


def prepare(engine, build):
    """The command of an engine, to which THREADS and CASE are added; None where it is missing."""
    try:
        if engine == OURS:
            return ours(build)
        if engine in PACKAGES:
            return python(engine)
        return rust(engine)
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"{engine} is left out: {error}")
        return None


def ours(build):
    say(f"{OURS}: building (minutes when new)")
    command = ["cargo", "bench", "--no-run", "--bench", "peers_bn", *BUILDS[build]]
    command.append("--message-format=json-render-diagnostics")
    out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "peers_bn":
            return [message["executable"]]
    raise OSError("cargo named no executable")


def python(engine):
    venv = home() / "venv"
    interpreter = venv / "bin/python"
    # Where venv failed for want of pip, it left an interpreter: pip is what counts.
    if not interpreter.exists() or not installed(interpreter, "pip"):
        say(f"making a Python environment in {venv}")
        subprocess.run([sys.executable, "-m", "venv", venv], stdout=sys.stderr, check=True)
    missing = [p for p in PACKAGES[engine] if not installed(interpreter, p)]
    if missing:
        say(f"{engine}: pip install {' '.join(missing)} (gigabytes and minutes when new)")
        pip = [interpreter, "-m", "pip", "install", "--quiet", *missing]
        subprocess.run(pip, stdout=sys.stderr, check=True)
    return [str(interpreter), str(HERE / f"{engine}_bench.py")]


def installed(interpreter, package):
    """Whether the environment has it, without the seconds that an import takes."""
    module = MODULES.get(package, package)
    look = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec('{module}'))"
    return subprocess.run([interpreter, "-c", look]).returncode == 0


def rust(engine):
    say(f"{engine}: building (minutes when new)")
    target = home() / engine
    manifest = HERE / f"{engine}_bench" / "Cargo.toml"
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", manifest]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    return [str(target / "release" / f"{engine}_bench")]
