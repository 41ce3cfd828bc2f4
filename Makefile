# Two commands: `make demo` starts the gateway, `make test` proves it. Both install what is missing.

.PHONY: help demo test test-long web gates fmt clippy doc deny setup-build setup-test
.DEFAULT_GOAL := help

help:
	@echo "make demo           build and start the gateway: web phone on http://localhost:8080, numbers to dial"
	@echo "make test           every test: Rust, SIP peers (baresip, sipp), PostgreSQL, the pages in Chromium"
	@echo "make gates          rustfmt, clippy, rustdoc without warnings, cargo-deny (bans, licences, sources)"
	@echo "make web            build web/dist from web/client"
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

# The first step that fails stops it. Cargo is last, and its tests all run even when one fails, so the
# end of the output is cargo's summary.
test: setup-test web/node_modules/.package-lock.json
	npm run --prefix web --silent check
	npm run --prefix web --silent test
	cargo test --no-fail-fast

# The long ones: marked `ignored` in the code, each with the reason.
test-long: setup-test web/node_modules/.package-lock.json
	cargo test --no-fail-fast -- --ignored

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
