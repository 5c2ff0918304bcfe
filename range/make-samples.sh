#!/bin/sh
# Remakes samples/{learn,hunt}.pcapng and their labels: sudo range/make-samples.sh [SEED]
# Runs both worlds side by side (about seven minutes), cuts them to 4 MB, and checks every flow's label.
set -eu
cd "$(dirname "$0")/.."
seed=${1:-1}
raw=$(mktemp -d)
runs=

clean() {
    trap - EXIT INT TERM
    [ -z "$runs" ] || kill $runs 2>/dev/null || true
    wait
    rm -rf "$raw"
}
trap clean EXIT
trap 'exit 130' INT TERM

for world in learn hunt; do
    python3 range/run.py "$world" --seed "$seed" --out "$raw" &
    runs="$runs $!"
done
for run in $runs; do
    wait "$run"
done
runs=

for world in learn hunt; do
    python3 range/fit.py "$raw/$world.raw.pcapng" "$raw/$world.pcapng"
    python3 range/verify.py "$raw/$world.pcapng" "$raw/$world.labels.csv"
done
for world in learn hunt; do
    mv "$raw/$world.pcapng" "$raw/$world.labels.csv" samples/
done
