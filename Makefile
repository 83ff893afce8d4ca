# make quickstart   install into .venv and run the main job on the embedded demo
# make test         install the test tools too and run every test
# make lint         style and types, with the tools that `make test` installed
# make fuzz         let a coverage-guided fuzzer loose on every parser, FUZZ_SECONDS=30 each
# make bench        print the figures that README claims; on real input too, if it is given:
#                   make bench VECTORS="glove.6B.50d.txt glove.6B.100d.txt" DATA=folder-of-data-sets
#                   and with TASKS=folder PEERS=python-of-an-environment, see benchmarks/README.md;
#                   SEEDS=1 for a first look, RUNS=folder to go on where it was stopped
# make recipes      run every recipe config: make recipes VECTORS=... DATA=...

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test lint fuzz bench recipes clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt $(shell find finetune_embed -name '*.c')
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed tests/fastai.txt
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps --requirement tests/fastai.txt
	@touch $@

quickstart: $(VENV)/installed
	$(BIN)/finetune-embed quickstart

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/installed-dev
	$(PIP) --editable '.[dev,fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(FUZZ_SECONDS),30)

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/run.py $(if $(VECTORS),--vectors $(VECTORS)) $(addprefix --data ,$(DATA)) \
		$(addprefix --tasks ,$(TASKS)) $(addprefix --peers ,$(PEERS)) $(addprefix --seeds ,$(SEEDS)) \
		$(addprefix --runs ,$(RUNS))

recipes: $(VENV)/installed-dev
	$(BIN)/python recipes/run_all.py --vectors $(firstword $(VECTORS)) --data $(DATA)

clean:
	rm -rf $(VENV) quickstart
