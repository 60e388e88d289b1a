# The newcomer's door. Tasks themselves live in pyproject.toml ([tool.poe.tasks]).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

COMPOSE ?= docker compose
STACK = cd compose && $(COMPOSE)

.PHONY: demo test check bench bench-stack clients services engine stack stack-down images stack-images
demo: .venv/.ready
	$(BIN)/dataflower demo wordcount
test: .venv/.ready-dev
	$(BIN)/poe test
check: .venv/.ready-dev
	$(BIN)/poe lint && $(BIN)/poe types
bench: .venv/.ready-dev
	$(BIN)/poe bench
bench-stack: .venv/.ready-dev
	$(BIN)/python -m tests.benchmarks --stack --short
clients:
	$(PYTHON) -m tests.support.npm_clients
services:
	$(PYTHON) -m tests.support.kafka
engine:
	@$(PYTHON) -m tests.support.engine
stack-images: .venv/.ready-dev
	@$(BIN)/python -m tests.support.stack

images:
	docker build --tag openwhisk-dataflower/server --file compose/Dockerfile .
	docker build --tag openwhisk-dataflower/action-python action_runtime
	docker build --tag openwhisk-dataflower/action-nodejs action_runtime/nodejs
stack: compose/.env
	$(STACK) up --detach --wait || { echo 'an image of ours that is missing is made by `make images`' >&2; exit 1; }
	@echo "ready http://$$(cd compose && $(COMPOSE) port controller 3233), with the stock guest key"
stack-down: compose/.env
	$(STACK) down --volumes
compose/.env: | compose/.env.example
	cp compose/.env.example $@

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
