#!/bin/sh
# Runs every fuzz target for SECONDS_PER_TARGET seconds (default 60), or those named as arguments.
# Best with cargo-fuzz and a nightly toolchain (address sanitizer). Without nightly the targets run on the stable
# toolchain without sanitizer; without cargo-fuzz the mutation tests run instead. What is missing is said aloud.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_PER_TARGET:-60}
targets=${*:-"capture compressed packet filter reassembly meter model_file import ring"}

if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "missing: cargo-fuzz (cargo install cargo-fuzz --locked)"
  [ -z "${CORMORANT_NO_SKIP:-}" ] || exit 1
  echo "instead: the mutation tests of the net crate, 1,000,000 mutated captures"
  cd .. && CORMORANT_MUTATIONS=1000000 exec cargo test --release --locked -p cormorant-net --test it -- mutated --nocapture
fi

toolchain=+nightly
sanitizer=address
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "missing: a nightly toolchain (rustup toolchain install nightly): running without address sanitizer"
  toolchain=+stable
  sanitizer=none
fi

cargo run --quiet --release --example seeds
cargo $toolchain fuzz build --sanitizer $sanitizer --fuzz-dir . 2>&1 | grep -E "^error" -A8 || true
for target in $targets; do
  echo "== $target, $seconds s"
  mkdir -p "corpus/$target"
  log=$(mktemp)
  cargo $toolchain fuzz run --sanitizer $sanitizer --fuzz-dir . "$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 >"$log" 2>&1 || true
  grep -E "^(thread|==|SUMMARY|error)|INITED|DONE|Test unit written|stat::(number_of|average|peak)" "$log" || true
  finished=$(grep -c DONE "$log" || true)
  rm -f "$log"
  if [ -n "$(find "artifacts/$target" -type f 2>/dev/null)" ]; then
    echo "found by $target:" artifacts/"$target"/*
    exit 1
  fi
  [ "$finished" -gt 0 ] || { echo "$target did not run to its end"; exit 1; }
done
