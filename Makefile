# Two commands: `make demo` starts the gateway, `make test` proves it.

.PHONY: help demo test test-postgres gates fmt clippy doc deny web setup-build setup-test

help:
	@echo "make demo    build and start the gateway with a web phone on http://localhost:8080"
	@echo "make test    every test: Rust, wall, dial plans, SIP peers, browser"
	@echo "make test-postgres  the records against a PostgreSQL server of the test's own"
	@echo "make gates   rustfmt, clippy, rustdoc, cargo-deny (where it is installed)"
	@echo "make web     build the client library from web/client into web/dist"

setup-build:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh test

demo: setup-build
	@cargo build --quiet --bin crosspoint
	@exec cargo run --quiet --bin crosspoint -- demo

web/node_modules: web/package-lock.json
	npm ci --prefix web --no-audit --no-fund --silent
	@touch $@

web: setup-test web/node_modules
	npm run --prefix web build

test: setup-test web/node_modules
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	npm run --prefix web --silent check
	cargo test

# Needs initdb and pg_ctl (package postgresql); as root it also needs the user postgres.
test-postgres:
	cargo test --lib store:: -- --include-ignored

gates: fmt clippy doc deny

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 2; fi
