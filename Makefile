# Two commands: `make demo` starts the gateway, `make test` proves it. Both install what is missing.

.PHONY: help demo test test-long bench bench-instructions bench-calls bench-pages bench-api resilience interop fuzz web containers gates fmt clippy doc deny setup-build setup-test
.DEFAULT_GOAL := help

help:
	@echo "make demo           build and start the gateway: web phone on http://localhost:8080, numbers to dial"
	@echo "make test           every test: Rust, SIP peers (baresip, sipp), PostgreSQL, the pages in Chromium"
	@echo "make gates          rustfmt, clippy, rustdoc without warnings, cargo-deny (bans, licences, sources)"
	@echo "make interop        the tests with SIP peers, and docs/interop.md from what they saw"
	@echo "make web            build web/dist from web/client"
	@echo "make fuzz           plan texts and dialled values at random, FUZZ_SECONDS (60) each"
	@echo "make bench-calls    call set-up under load: calls/s, INVITE to 180, CPU, memory (minutes, two cores)"
	@echo "make bench          media: calls a core, delay, quality, conversation; tables into docs/performance.md"
	@echo "make bench-instructions   instructions of a call, by callgrind"
	@echo "make bench-pages    what pages cost: memory, reconnects, set-ups"
	@echo "make bench-api      the API over 1,000 calls and 1,000,000 records, in SQLite and PostgreSQL"
	@echo "make resilience     what faults do to calls in browsers; docs/resilience.md (root: network namespaces)"
	@echo "make containers     docker-compose.yml for real: builds, starts all of it, calls, stops, takes it away (Docker)"
	@echo "make test-long      the tests that take longer than a run of CI may"
	@echo
	@echo "CROSSPOINT_CHROMIUM=/path   the browser for the tests, where it is not on PATH"

setup-build:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh test

demo: setup-build
	@echo "Building (the first time takes minutes, later ones seconds) ..."
	@cargo build --quiet --bin crosspoint
	@exec cargo run --quiet --bin crosspoint -- demo

# Made again when the lock file is newer. npm writes the stamp last, when everything is there.
web/node_modules/.package-lock.json: web/package-lock.json web/package.json
	npm ci --prefix web --no-audit --no-fund --silent
	@touch $@

web: setup-test web/node_modules/.package-lock.json
	npm run --prefix web --silent build

# The first step that fails stops it. Cargo is last, and its tests all run even when one fails. A test with live
# peers that failed has a second run, alone (tools/test.sh). `tests/dialplans.rs` runs the tests of every plan in
# dialplans/ and wants all of their rules reached, as `crosspoint dialplan test dialplans/*.toml --min-coverage 100` does.
test: setup-test web/node_modules/.package-lock.json
	npm run --prefix web --silent check
	npm run --prefix web --silent test
	tools/test.sh

# The long ones: marked `ignored` in the code, each with the reason.
test-long: setup-test web/node_modules/.package-lock.json
	cargo test --no-fail-fast -- --ignored

# libFuzzer needs only the compiler's own coverage pass, so the pinned compiler will do. Targets are in
# fuzz/fuzz_targets/; what is found is kept in fuzz/artifacts/ and should become a test.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')

fuzz: setup-build
	cd fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --target $(FUZZ_HOST)
	@cd fuzz && for target in plan_text dialled_value; do \
		mkdir -p corpus/$$target artifacts/$$target; \
		target/$(FUZZ_HOST)/release/$$target corpus/$$target ../dialplans -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=artifacts/$$target/ -max_len=8192 -timeout=10 || exit 1; \
	done

# The tests with real peers write what they have seen into target/interop, one file a cell.
INTEROP = --test sip_peers --test sip_sessions --test sip_timers --test sip_transfers --test sip_phones \
	--test trunk_phones --test trunk_sound --test trunk_identity --test trunk_faults \
	--test trunk_registers --test trunk_tls --test forwards --test dtmf_peers

interop: setup-test
	rm -rf target/interop
	cargo test --no-fail-fast $(INTEROP)
	CROSSPOINT_RENDER=1 cargo test --test interop_table

# Some ten minutes on two cores that do nothing else; needs espeak-ng and python3-venv.
target/load/venv/bin/python: tests/load/requirements.txt
	@mkdir -p target/load
	python3 -m venv target/load/venv
	target/load/venv/bin/pip install --quiet -r tests/load/requirements.txt

bench: setup-test target/load/venv/bin/python
	cargo bench --bench load -- calls
	cargo bench --bench load -- delay
	cargo bench --bench load -- quality
	cargo bench --bench load -- conversation
	$(MAKE) bench-instructions
	cargo bench --bench load -- recording; status=$$?; cargo bench --bench load -- render && exit $$status

# Instructions of a call, by callgrind: the same on every machine of this kind, however busy.
bench-instructions: setup-test
	cargo bench --bench load -- instructions

# What pages cost: memory of 2,000, all of them coming back, a set-up with DTLS. Wants the machine alone.
bench-pages:
	ulimit -n 8192; cargo test --release --test load_pages -- --ignored --nocapture --test-threads=1

# The API's answers beside a thousand calls, over a million records. Wants the machine alone.
bench-api: setup-test
	ulimit -n 8192; WRITE_DOCS=1 cargo test --release --test api_load -- --ignored --nocapture --test-threads=1

# Root, for the browser's networks; the machine should do nothing else.
resilience: setup-test web/node_modules/.package-lock.json
	WRITE_DOCS=1 cargo test --test resilience every_gap -- --ignored --nocapture

# Needs a Docker engine with Compose. OPTIONS="--network host", "--without grafana", "--no-build", "--keep".
containers:
	@tools/containers.sh $(OPTIONS)

gates: fmt clippy doc deny

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Advisories are not among them: `cargo deny check advisories` needs the RustSec database from the network.
deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2; exit 2; fi

# The figures in docs/performance.md are of a machine with nothing else to do.
bench-calls: setup-build
	cargo bench --bench calls
