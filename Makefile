# The newcomer's door. Tasks themselves live in pyproject.toml ([tool.poe.tasks]).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test check bench clients services engine
demo: .venv/.ready
	$(BIN)/dataflower demo wordcount
test: .venv/.ready-dev
	$(BIN)/poe test
check: .venv/.ready-dev
	$(BIN)/poe lint && $(BIN)/poe types
bench: .venv/.ready-dev
	$(BIN)/poe bench
clients:
	$(PYTHON) -m tests.support.npm_clients
services:
	$(PYTHON) -m tests.support.kafka
engine:
	@$(PYTHON) -m tests.support.engine

.venv/.ready: pyproject.toml | .venv/bin/pip
	$(PIP) install -e .
	touch $@
.venv/.ready-dev: pyproject.toml | .venv/bin/pip
	$(PIP) install -e '.[dev]'
	touch .venv/.ready $@
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed as $(PYTHON); another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
