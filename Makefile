# make demo: set up and run the main job on real data. make test: set up and pass the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test check bench accuracy ui clean

help: ## show what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the virtual environment in .venv

demo: $(VENV)/.installed ## train, score and list on CDNOW
	@$(BIN)/foretier demo

test: $(VENV)/.installed-dev ## run all tests
	@$(BIN)/python -m pytest

check: $(VENV)/.installed-dev ## ruff, mypy, import-linter, and the docs against the commands and settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_docs.py

bench: $(VENV)/.installed-dev ## print measured ratios, each beside its peer
	@for script in features btyd drivers serving; do $(BIN)/python benchmarks/$$script.py || exit 1; done

accuracy: $(VENV)/.installed-dev ## backtest many logs and write docs/accuracy.md (some five minutes)
	@$(BIN)/python benchmarks/accuracy.py

ui: $(VENV)/.installed ## open the MLflow page of this folder's state on http://127.0.0.1:5000
	@mkdir -p "$${FORETIER_HOME:-.foretier}"
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 --port 5000 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$${FORETIER_HOME:-.foretier}/mlflow.db}"

clean: ## remove the virtual environment and the caches, not the state in .foretier
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once, a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Foretier needs Python 3.11 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
