# Every target sets up what it needs; all can be interrupted and repeated.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full test-unit test-lab test-browser lint bench uninstall

VENV := .venv/bin
BLACKSTART := $(VENV)/blackstart
PYTEST := $(VENV)/pytest
NOW = date +%H:%M:%S

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## Python environment, Debian packages; quick when nothing is missing
	@.ci/setup
	@$(BLACKSTART) lab doctor --fix

demo: setup ## build the lab once, start it, take region us away, print the verdict, stop the lab
	@$(BLACKSTART) lab build
	@trap '$(BLACKSTART) lab down' EXIT; \
	  $(BLACKSTART) lab up && $(BLACKSTART) run region-loss

test: setup lint test-unit test-browser test-lab ## everything that CI runs: lint, unit, browser, lab

test-unit: setup
	@$(NOW); export PATH="$(CURDIR)/$(VENV):$$PATH:/usr/local/go/bin"; cd lab/app && go vet ./... && go test ./...
	@$(NOW); $(PYTEST) tests/unit -n 2 -q -m "not full"

test-browser: setup
	@[ -x /usr/bin/chromium ] || { apt-get update -q && apt-get install -qy --no-install-recommends chromium; }
	@$(NOW); $(PYTEST) tests/browser -q

test-lab: setup
	@$(BLACKSTART) lab build --mesh --backup --global-metrics
	@$(NOW); $(PYTEST) tests/lab -m "not full" -v --durations=15

test-full: setup lint test-unit test-browser ## make test, and what takes too long for it
	@$(BLACKSTART) lab build --mesh --backup --global-metrics
	@$(PYTEST) tests/unit -n 2 -q -m full
	@$(PYTEST) tests/lab -v --durations=25

lint: setup ## ruff, mypy --strict, import-linter
	@$(VENV)/ruff check && $(VENV)/ruff format --check
	@$(VENV)/mypy && $(VENV)/mypy tests/lab
	@MYPYPATH=src:tests/lab:tests/unit:bench $(VENV)/mypy bench/*.py
	@$(VENV)/lint-imports --no-logo

bench: setup ## figures of this machine, as ratios against a reference in the same run
	@$(BLACKSTART) lab build --mesh --backup --global-metrics
	@for b in bench/*.py; do echo "== $$b"; $(VENV)/python $$b || exit 1; done

uninstall: ## take away what make put outside this folder (the cache, the link to uv); Debian packages stay
	@[ ! -x $(BLACKSTART) ] || $(BLACKSTART) lab down
	@[ "$$(readlink /usr/local/bin/uv)" != "$$HOME/.cache/blackstart/tools/bin/uv" ] || rm /usr/local/bin/uv
	@rm -rf "$$HOME/.cache/blackstart"
