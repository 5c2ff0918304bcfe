#!/bin/sh
# What `make bench` runs: builds the captures, then measures flows, models and live captures beside their peers.
# Installs nothing (benches/setup.sh does); what is missing is said aloud and left out.
# BENCH=quick does one round of each and records nothing.
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(dirname "$HERE")
CACHE=${CORMORANT_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cormorant-bench}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
SHARED=${CORMORANT_SHARED:-$ROOT/../shared}
export CORMORANT_BENCH_CACHE="$CACHE"
mkdir -p "$CACHE"

PYTHON=$CACHE/venv/bin/python
if [ ! -x "$PYTHON" ]; then
    PYTHON=python3
    echo "skipped: NFStream and scikit-learn (benches/setup.sh installs them into $CACHE/venv)"
fi
if [ "${BENCH:-}" = quick ]; then
    LIVE="--seconds 1 --halvings 0 --no-results"
    FLOW="--runs 1 --nfstream-runs 1,0 --no-results"
    MODELS="--runs 1 --type-splits 1 --no-results"
    PARITY="--runs 1 --data rows,mails --no-results"
    CONVEX="--rows 1000 --passes 1000 --no-results"
fi

# First, and without captures: the sender and the receiver need both processors.
(cd "$ROOT" && cargo build --quiet --release --locked -p cormorant-net -p cormorant-afpacket --examples)
"$PYTHON" "$HERE/live.py" --examples "$TARGET/release/examples" ${LIVE:-}

if [ -x "$SHARED/data/unpack.sh" ]; then
    "$PYTHON" "$HERE/build-captures.py"
elif [ -e "$CACHE/mix500.pcap" ]; then
    echo "no ../shared: measuring on the captures built before"
else
    echo "skipped: everything: no capture data (../shared) and no captures built before"
    exit 0
fi

(cd "$ROOT" && cargo build --quiet --release --locked -p cormorant-net --example read_speed --example meter_speed)
"$PYTHON" "$HERE/flow.py" --binary "$TARGET/release/cormorant" ${FLOW:-}

if [ "$PYTHON" = python3 ]; then
    echo "skipped: models (they need scikit-learn to compare with)"
else
    (cd "$ROOT" && cargo build --quiet --release --locked -p cormorant-learn --example bench_models)
    "$PYTHON" "$HERE/models.py" --binary "$TARGET/release/examples/bench_models" ${MODELS:-}
    "$PYTHON" "$HERE/parity.py" --binary "$TARGET/release/examples/bench_models" ${PARITY:-}
    "$PYTHON" "$HERE/convex.py" --binary "$TARGET/release/examples/bench_models" ${CONVEX:-}
fi
