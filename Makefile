# The same commands for people and CI. Needs Python 3.11+ and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types unit bench schema docs clean

help: ## Show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Accelfleet needs Python 3.11 or newer, this is %d.%d: set PYTHON=…" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	@touch $@

install: $(STAMP) ## Set up .venv with everything

demo: $(STAMP) ## Bring the three dev stacks up in the sandbox and show what stands
	$(BIN)/fleet up --sandbox --stack '*-dev'

check: lint types unit ## Lint, types and the fast tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest -m 'not sandbox' -n 2

test: lint types $(STAMP) ## Everything: check, and the tests on the real engine and Kubernetes
	$(BIN)/python -m sandbox.toolchain
	$(BIN)/pytest -m 'not sandbox' -n 2
	$(BIN)/pytest -m sandbox

bench: $(STAMP) ## Benchmarks, as ratios
	$(BIN)/python -m sandbox.toolchain
	$(BIN)/python -m benchmarks

schema: $(STAMP) ## Write stacks/schema.json
	$(BIN)/python -m fleet.schema

docs: $(STAMP) ## Write docs/accelerators.md
	$(BIN)/python -m fleet.catalog.matrix

up preview: $(STAMP) ## On real clouds: make up STACK=aws-dev
	$(BIN)/fleet $@ --stack '$(STACK)'

clean: ## Stop the sandbox and forget it
	-$(BIN)/fleet sandbox reset --yes
