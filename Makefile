# make quickstart   install into .venv and run the main job on the included demo
# make check        install the test tools too and run the fast tests
# make test         run every test
# make gpu          run the tests that a GPU can run on it, and print how long a step takes there
# make lint         style and types
# make docs         make the site of the documentation in build/docs; a link that leads nowhere is an error
# make linkcheck    open every external link of the site; it needs the network, so it is not part of CI
# make sanitize     run the tests of the C code under AddressSanitizer and UndefinedBehaviorSanitizer
# make fuzz         run a coverage-guided fuzzer on every parser, FUZZ_SECONDS=30 each
# make dist         build sdist and wheel into dist/, install the wheel into an environment of its
#                   own and run it outside of this folder
# make bench        print the figures that README claims; on real input too, if it is given:
#                   make bench VECTORS="glove.6B.50d.txt glove.6B.100d.txt" DATA=folder-of-data-sets
#                   and with TASKS=folder PEERS=python-of-an-environment, see benchmarks/README.md;
#                   SEEDS=1 for a first look, RUNS=folder to resume where it was stopped
# make recipes      run every recipe config: make recipes VECTORS=... DATA=...

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Every package but torch is checked against its hash.
LOCKED := $(PIP) --no-deps --require-hashes --requirement
# Tests run in one process per core, each with one thread. They start many interpreters, each of which
# would compile every module again if none wrote what it compiled.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: quickstart check test gpu lint docs linkcheck sanitize fuzz dist bench recipes clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml requirements.txt constraints.txt $(shell find finetune_embed -name '*.[ch]')
	$(LOCKED) requirements.txt
	$(PIP) --requirement constraints.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt tests/fastai.txt
	$(LOCKED) requirements-dev.txt
	$(LOCKED) tests/fastai.txt
	@touch $@

quickstart: $(VENV)/installed
	$(BIN)/finetune-embed quickstart
	@echo "finetune-embed is in $(BIN): first run . $(BIN)/activate"

check: $(VENV)/installed-dev
	$(PYTEST) -m 'not slow' --hypothesis-profile fast

test: $(VENV)/installed-dev
	$(PYTEST)

gpu: $(VENV)/installed-dev
	@$(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || \
		{ echo "There is no GPU that torch can use here." >&2; exit 1; }
	$(BIN)/python -m pytest -m gpu --numprocesses 0 -rs

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed-docs: $(VENV)/installed-dev requirements-docs.txt
	$(LOCKED) requirements-docs.txt
	@touch $@

docs: $(VENV)/installed-docs
	rm -rf build/docs
	$(BIN)/sphinx-build -c docs -b html --quiet --fail-on-warning --keep-going . build/docs

linkcheck: $(VENV)/installed-docs
	$(BIN)/sphinx-build -c docs -b linkcheck --quiet . build/linkcheck

sanitize: $(VENV)/installed-dev
	$(BIN)/python tests/sanitize.py

fuzz: $(VENV)/installed-dev
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(FUZZ_SECONDS),30)

# The dependencies are those of .venv, which the environment of the wheel sees; the package is not.
dist: $(VENV)/installed-dev
	rm -rf dist build/wheel
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python tests/built.py dist
	$(BIN)/python -m venv build/wheel
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$(build/wheel/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-installed dist/*.whl
	cd build/wheel && bin/python -I $(CURDIR)/tests/installed.py --compiled
	cd build/wheel && bin/finetune-embed quickstart --quiet --epochs 2 --output-dir tuned

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/run.py $(if $(VECTORS),--vectors $(VECTORS)) $(addprefix --data ,$(DATA)) \
		$(addprefix --tasks ,$(TASKS)) $(addprefix --peers ,$(PEERS)) $(addprefix --seeds ,$(SEEDS)) \
		$(addprefix --runs ,$(RUNS))

recipes: $(VENV)/installed-dev
	$(BIN)/python recipes/run_all.py --vectors $(firstword $(VECTORS)) --data $(DATA)

clean:
	rm -rf $(VENV) quickstart build dist
