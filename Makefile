# The commands of the README. Everything but `bench` and `fuzz` needs Rust alone.
# Build output goes where CARGO_TARGET_DIR says, else to ./target.
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: demo build test lint bench fuzz docs help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: build ## build, then learn from one bundled capture and hunt in another
	@$(TARGET)/release/cormorant demo --no-serve

build: ## the release binary
	$(CARGO) build --release --locked --package cormorant

test: ## every test; says aloud what it skips (CORMORANT_NO_SKIP=1 forbids skipping)
	$(CARGO) test --workspace --locked

lint: ## format, clippy, rustdoc, licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	@if command -v cargo-deny >/dev/null; then $(CARGO) fetch --locked --quiet && $(CARGO) deny --offline --log-level error check licenses bans sources; \
	elif [ -n "$$CORMORANT_NO_SKIP" ]; then echo "cargo-deny is missing and skipping is forbidden"; exit 1; \
	else echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; fi

bench: build ## measure beside the peers; raw results go to benches/results
	benches/run.sh

fuzz: ## each fuzz target for 60 s (SECONDS_PER_TARGET)
	fuzz/run.sh

docs: ## the API documentation
	$(CARGO) doc --workspace --no-deps --locked
	@echo "open $(TARGET)/doc/cormorant_net/index.html"
