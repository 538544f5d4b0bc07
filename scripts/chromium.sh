#!/bin/sh
# Installs Chromium and its driver with the system's package manager if they are missing: `make test-web` uses them.
set -u

say() { printf '%s\n' "$*" >&2; }

have_browser() {
    command -v chromedriver >/dev/null 2>&1 &&
        { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "Not root, and there is no sudo: cannot run: $*"
        return 1
    fi
}

if have_browser; then
    exit 0
fi
if command -v apt-get >/dev/null 2>&1; then
    say 'Chromium was not found: installing chromium and chromium-driver with apt-get.'
    as_root apt-get update -qq >&2 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver >&2
elif command -v dnf >/dev/null 2>&1; then
    as_root dnf install -y -q chromium chromedriver >&2
elif command -v brew >/dev/null 2>&1; then
    brew install -q --cask chromium chromedriver >&2
fi
if ! have_browser; then
    say 'Install Chromium (or Chrome) and chromedriver of the same version.'
    exit 1
fi
