# The everyday commands. Each installs what it needs on Debian 12 (scripts/setup).

.DEFAULT_GOAL := help
.PHONY: help build test fuzz demo bench lint docs book deb fmt clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

build: ## Build esp-builder and compose (target/release)
	cargo build --release --locked -p esp-builder -p composer

test: ## Check and test everything
	scripts/test

fuzz: ## Hand hostile input to every reader (ten minutes a target)
	scripts/setup test
	scripts/fuzz

demo: ## Build a bootable image, look at it, boot it
	scripts/demo

bench: ## Measure against systemd-repart, genimage and mtools
	scripts/bench

lint: ## Format check and clippy only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

docs: ## Build the API documentation (target/doc)
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

book: ## Build the book of docs/ (target/book), with mdbook
	mdbook build

deb: ## Make the Debian package (out/)
	scripts/setup test
	scripts/deb out

fmt: ## Format the sources
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

clean: ## Remove what was built; the cache of scripts/setup stays
	cargo clean
	rm -rf out
