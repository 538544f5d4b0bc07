# Each target first makes sure of OpenBLAS (scripts/features.sh), and goes on without where it
# cannot be had. Everything here is a plain cargo line; see README.md to do without make.

.PHONY: help demo test bench peers lint doc

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Train a network with and without Batch Normalization, and draw both curves
	@features=$$(sh scripts/features.sh) && \
	cargo run --release $$features --example quickstart -- $(ARGS)

test: ## Run all tests
	@features=$$(sh scripts/features.sh) && \
	cargo test --workspace $$features

bench: ## Measure kernels, layers, whole steps and inference
	@features=$$(sh scripts/features.sh) && \
	cargo bench $$features

peers: ## Compare with PyTorch, Keras, NumPy, candle and burn (ARGS=--help says what it takes)
	@sh scripts/features.sh >/dev/null && \
	benches/peers/run $(ARGS)

lint: ## Check the format, and clippy with warnings as errors
	cargo fmt --all --check
	@features=$$(sh scripts/features.sh) && \
	cargo clippy --workspace --all-targets $$features -- -D warnings

doc: ## Build the documentation, with warnings as errors
	@features=$$(sh scripts/features.sh) && \
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $$features
