#!/bin/sh
# Installs what `make bench` compares with: capinfos (Debian package wireshark-common, only when
# root) and a Python environment of its own with NFStream and scikit-learn. Nothing else on the
# machine is touched. Run it again to repair; it is quick when all is there.
set -eu

CACHE=${CORMORANT_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cormorant-bench}
VENV=$CACHE/venv
mkdir -p "$CACHE"

if ! command -v capinfos >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends wireshark-common
    else
        echo "capinfos is missing: install wireshark-common (Debian) and run this again" >&2
    fi
fi

[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r "$(dirname "$0")/requirements.txt"
"$VENV/bin/python" -m pip freeze --disable-pip-version-check >"$CACHE/freeze.txt"
echo "ready: $VENV"
