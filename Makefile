# The two commands a newcomer types are `make demo` and `make test`. The logic sits in scripts/ and `cargo xtask`.
CARGO ?= cargo
# Where cargo puts its output: CARGO_TARGET_DIR when set, else ./target.
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

.PHONY: demo test check slt bench setup build

demo: setup ## build in release mode and run the flights example over real departures
	$(CARGO) build --release --bin eddyline
	$(TARGET)/release/eddyline run examples/flights/delays.sql

build: setup
	$(CARGO) build --release --bin eddyline

test: setup ## the whole test suite
	$(CARGO) xtask test

check: setup ## format, lints, layers, tidiness
	$(CARGO) xtask check

slt: setup ## only the SQL suites under sql-tests/
	$(CARGO) xtask slt

bench: build ## the Nexmark queries over generated events
	$(TARGET)/release/eddyline bench nexmark --events 2000000 --source generator

setup:
	@scripts/setup.sh
