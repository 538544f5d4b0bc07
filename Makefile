# Each target first makes sure of OpenBLAS (scripts/features.sh), and goes on without where it
# is not available. Everything here is a plain cargo line; see README.md to do without make.

.PHONY: help demo test bench bench-builds roofline peers perf-check perf-baseline same-bits fuzz test-web load-serve lint doc demo-mpi test-mpi scaling-mpi

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Train a network with and without Batch Normalization, and draw both curves
	@features=$$(sh scripts/features.sh) && \
	cargo run --profile demo --no-default-features \
	    --features "parallel,progress,$$([ -n "$$features" ] || echo openblas)" \
	    --example quickstart -- $(ARGS)

test: ## Run all tests (ARGS: more for cargo test)
	@features=$$(sh scripts/features.sh) && \
	cargo test --workspace $$features $(ARGS)

test-web: ## Test the page of bn-serve in headless Chromium, which is installed if it is missing
	@features=$$(sh scripts/features.sh) && sh scripts/chromium.sh && \
	cargo test --workspace $$features $(ARGS) --test web -- --ignored --test-threads=1

load-serve: ## Compare the load that bn serve bears with FastAPI over onnxruntime (BN_PYTHON: a Python with both)
	@sh scripts/load-serve.sh $(ARGS)

bench: ## Measure kernels, layers, whole steps, inference and scaling, to target/bench
	@features=$$(sh scripts/features.sh) && \
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE cargo bench -p batchnorm -p bn-criterion --bench "*" $$features

bench-builds: ## Compare the default, the single-threaded and the pure-Rust build
	@sh scripts/bench-builds.sh

roofline: ## Measure what this machine can do at most, and the share that each kernel reaches
	@features=$$(sh scripts/features.sh) && \
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
	cargo run --release $$features --example roofline -- $(ARGS)

perf-check: ## Count instructions with valgrind, and fail where they have become more
	@sh scripts/perf-check.sh

perf-baseline: ## Make the counts of now those that perf-check compares with
	@sh scripts/perf-check.sh write

peers: ## Compare with PyTorch, Keras, NumPy, candle and burn (ARGS=--help says what it takes)
	@sh scripts/features.sh >/dev/null && \
	benches/peers/run $(ARGS)

same-bits: ## Compare the bits of trained parameters with and without threads, and without a BLAS
	@sh scripts/same-bits.sh

demo-mpi: ## Train on MNIST with two ranks of MPI, which is installed if it is missing
	@features=$$(sh scripts/features.sh) && sh scripts/mpi.sh && . ./scripts/mpi-root.sh && \
	cargo build --profile demo -p bn-dist $$features --features mpi,progress,download --example mnist_mpi && \
	mpirun -n 2 --oversubscribe --bind-to none target/demo/examples/mnist_mpi $(ARGS)

test-mpi: ## Run the tests of several ranks with mpirun, which is installed if it is missing
	@features=$$(sh scripts/features.sh) && sh scripts/mpi.sh && \
	cargo test --workspace $$features --features bn-dist/mpi --test mpi -- --ignored --test-threads=1 --nocapture

scaling-mpi: ## Measure steps at 1, 2 and 4 ranks, and predict 4 to 1024 (ARGS: rounds, 3 by default)
	@sh scripts/scaling-mpi.sh $(ARGS)

fuzz: ## Feed random files and requests to their readers (ARGS: seconds for each, 60 by default, or runs=N)
	@sh scripts/fuzz.sh $(ARGS)

lint: ## Check the format, clippy, and the licences, sources and use of dependencies
	cargo fmt --all --check
	@sh scripts/lint-dependencies.sh
	@features=$$(sh scripts/features.sh) && \
	cargo clippy --workspace --all-targets $$features -- -D warnings

doc: ## Build the documentation, with warnings as errors
	@features=$$(sh scripts/features.sh) && \
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $$features
