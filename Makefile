# The same commands for people and CI. Needs Python 3.11+ and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The model server has its own packages, so it has its own environment.
SERVING := .venv-serving
SERVING_STAMP := $(SERVING)/.installed
# So have the projects.
PROJECTS := .venv-projects
PROJECTS_STAMP := $(PROJECTS)/.installed
# And the training scripts' frameworks: PyTorch and what stands on it.
TRAINING := .venv-training
TRAINING_STAMP := $(TRAINING)/.installed

# Containers like to set it; here hundreds of interpreters start, and each would compile the same modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install browser torch toolchain environments demo test check lint types unit serving-test runtimes-test projects-test bench schema lock docs clean

help: ## Show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Accelfleet needs Python 3.11 or newer, this is %d.%d: set PYTHON=…" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	@touch $@

$(SERVING_STAMP): serving/requirements.txt serving/requirements-stores.txt serving/requirements-dev.txt serving/requirements-models.txt
	$(PYTHON) -m venv $(SERVING)
	$(SERVING)/bin/pip install --quiet --disable-pip-version-check -r serving/requirements-dev.txt
	$(SERVING)/bin/pip install --quiet --disable-pip-version-check --no-deps -r serving/requirements-models.txt
	@touch $@

$(PROJECTS_STAMP): projects/requirements.txt
	$(PYTHON) -m venv $(PROJECTS)
	$(PROJECTS)/bin/pip install --quiet --disable-pip-version-check --no-deps -r projects/requirements.txt
	@touch $@

$(TRAINING_STAMP): training/requirements-cpu.txt training/cpu_torch.py serving/requirements-runtimes.txt
	$(PYTHON) -m venv $(TRAINING)
	DS_BUILD_OPS=0 $(TRAINING)/bin/pip install --quiet --disable-pip-version-check --no-deps -r training/requirements-cpu.txt -r serving/requirements-runtimes.txt
	$(TRAINING)/bin/python training/cpu_torch.py
	@touch $@

install: $(STAMP) $(SERVING_STAMP) ## Set up .venv with everything

demo: $(STAMP) ## Bring the three dev stacks up in the sandbox and show what stands
	$(BIN)/fleet up --sandbox --stack '*-dev'

check: lint types unit ## Lint, types and the fast tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) $(SERVING_STAMP) $(PROJECTS_STAMP)
	$(BIN)/mypy
	$(SERVING)/bin/mypy -p serving
	$(PROJECTS)/bin/mypy -p projects

unit: $(STAMP) serving-test
	$(BIN)/pytest -m 'not sandbox' -n 2

serving-test: $(SERVING_STAMP) ## The model server's tests, in its own environment
	$(SERVING)/bin/pytest --confcutdir=tests/serving tests/serving

runtimes-test: $(TRAINING_STAMP) ## The model server's tests of TorchScript, XLA and TVM, where PyTorch is
	EVERY_RUNTIME=1 $(TRAINING)/bin/pytest --confcutdir=tests/serving tests/serving/test_serving_runtimes.py -k 'torchscript or xla or tvm'

projects-test: $(PROJECTS_STAMP) $(SERVING_STAMP) ## The projects, each run whole at a small size, in their own environment
	$(PROJECTS)/bin/pytest --confcutdir=tests/projects tests/projects

browser: ## Chromium for the HTML report's tests, where it can be had: Debian's, as root; without it they are skipped
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; } || \
	  echo "no Chromium, and none to be installed: the tests of the HTML report are skipped"

torch: $(TRAINING_STAMP) ## PyTorch, Accelerate, DeepSpeed, Lightning and Ray for the training scripts' tests, on a CPU

toolchain: $(STAMP) ## The programs that the sandbox runs, built once
	$(BIN)/python -m sandbox.toolchain

# What can be fetched side by side; tests come after, with the machine to themselves.
environments: install toolchain $(PROJECTS_STAMP) torch browser

test: ## Everything: check, and the tests on the real engine and Kubernetes
	$(MAKE) -j2 environments
	$(MAKE) lint types serving-test runtimes-test projects-test
	$(BIN)/pytest -m 'not sandbox' -n 2
	$(BIN)/pytest -m sandbox -n 2 --dist loadfile

bench: toolchain ## Benchmarks, as ratios
	$(BIN)/python -m benchmarks

schema: $(STAMP) ## Write stacks/schema.json and docs/report.schema.json
	$(BIN)/python -m fleet.schema
	$(BIN)/python -m fleet.report.document

lock: ## Write the lock files, with hashes; uv is for this alone
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	for file in requirements requirements-dev serving/requirements .github/requirements-build; do \
		.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header $$file.txt -o $$file.lock || exit 1; \
	done

docs: $(STAMP) ## Write what is made from the code: pages, figures of the notes, drawings
	$(BIN)/python -m fleet.catalog.matrix
	$(BIN)/python -m charts
	$(BIN)/python -m policies.accel_policies.page
	$(BIN)/python -m fleet.admission.page
	$(BIN)/python -W ignore -m docs.priced_programs
	$(BIN)/python -m notes
	$(BIN)/python -m diagrams
	$(BIN)/python -m docs.coverage

up preview: $(STAMP) ## On real clouds: make up STACK=aws-dev
	$(BIN)/fleet $@ --stack '$(STACK)'

clean: ## Stop the sandbox and forget it
	-$(BIN)/fleet sandbox reset --yes
