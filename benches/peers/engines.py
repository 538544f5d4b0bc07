"""The programs that are compared, and how each is built."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BN = "bn"
PEERS = ["torch", "keras", "numpy", "candle", "burn"]
WITH_IMAGES = [BN, "torch", "keras"]  # those with a DCGAN and a residual network
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
    """The folder in which the other frameworks are installed."""
    return Path(os.environ.get("BN_PEERS_HOME") or Path.home() / ".cache/bn-peers")


def prepare(engine, build):
    """The command of an engine, to which THREADS and CASE are added; None if it cannot be built."""
    try:
        if engine == BN:
            return bn(build)
        if engine in PACKAGES:
            return python(engine)
        return rust(engine)
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"{engine} is skipped: {error}")
        return None


def bn(build):
    say(f"{BN}: building (takes minutes the first time)")
    command = ["cargo", "bench", "--no-run", "--bench", "peers_bn", *BUILDS[build]]
    command.append("--message-format=json-render-diagnostics")
    out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "peers_bn":
            return [message["executable"]]
    raise OSError("cargo reported no executable")


def python(engine):
    venv = home() / "venv"
    interpreter = venv / "bin/python"
    # If venv fails because pip is missing, it leaves an interpreter, so check for pip.
    if not interpreter.exists() or not installed(interpreter, "pip"):
        say(f"making a Python environment in {venv}")
        subprocess.run([sys.executable, "-m", "venv", venv], stdout=sys.stderr, check=True)
    missing = [p for p in PACKAGES[engine] if not installed(interpreter, p)]
    if missing:
        say(f"{engine}: pip install {' '.join(missing)} (gigabytes; takes minutes the first time)")
        pip = [interpreter, "-m", "pip", "install", "--quiet", *missing]
        subprocess.run(pip, stdout=sys.stderr, check=True)
    return [str(interpreter), str(HERE / f"{engine}_bench.py")]


def installed(interpreter, package):
    """Whether the environment has the package. Does not import it, which would take seconds."""
    module = MODULES.get(package, package)
    look = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec('{module}'))"
    return subprocess.run([interpreter, "-c", look]).returncode == 0


def rust(engine):
    say(f"{engine}: building (takes minutes the first time)")
    target = home() / engine
    manifest = HERE / f"{engine}_bench" / "Cargo.toml"
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", manifest]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    return [str(target / "release" / f"{engine}_bench")]
