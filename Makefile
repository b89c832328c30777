# The project's commands. `make help` lists them.
#
# PYTHON and VENV choose the interpreter: `make test PYTHON=python3.13 VENV=.venv-3.13`.

PYTHON ?= python3
VENV   ?= .venv
# Processes of `make test`; docs/adr/0009 says why two.
PROCESSES ?= 2
BIN    := $(VENV)/bin
WTSCTL := $(BIN)/wtsctl

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules --no-print-directory

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.ready ## Bring up a Kubernetes on this machine, deploy the models, show status and latency. Needs root.
	@WTSCTL=$(WTSCTL) $(SHELL) docs/demo.sh

.PHONY: test
test: $(VENV)/.ready ## Run every test: unit, golden, http, and as root those on a real cluster.
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(PYTEST_ARGS)

.PHONY: check
check: $(VENV)/.ready ## What CI runs: format, lint, types, import layers, then `make test`.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

.PHONY: docs
docs: $(VENV)/.ready ## Write the generated reference pages again.
	@for script in docs/reference/generate*.py; do $(BIN)/python $$script; done

.PHONY: clean
clean: ## Remove what make made here. The sandbox stays: `wtsctl sandbox down --purge` removes that.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian splits venv from Python; as root it is installed, otherwise the message says what is missing.
$(VENV)/.ready: pyproject.toml constraints.txt
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    echo "error: $(PYTHON) is older than 3.11; choose another one with make PYTHON=..." >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
	    else echo "error: $(PYTHON) has no venv module; install it (Debian: apt-get install python3-venv)" >&2; exit 1; fi; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade -c constraints.txt pip
	@# Where there is no Go, the sandbox's extra brings one.
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group dev \
	    -e ".$$(command -v go >/dev/null || echo '[sandbox]')"
	@touch $@
