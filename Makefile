# The newcomer's door. Tasks themselves live in pyproject.toml ([tool.poe.tasks]).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench
demo: .venv/.ready
	$(BIN)/dataflower demo wordcount
test: .venv/.ready-dev
	$(BIN)/poe test
check: .venv/.ready-dev
	$(BIN)/poe lint && $(BIN)/poe types
bench: .venv/.ready-dev
	$(BIN)/poe bench

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@
.venv/.ready-dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch .venv/.ready $@
