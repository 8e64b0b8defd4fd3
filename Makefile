# make demo: set up and run the main job on real data. make test: set up and pass the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GENERATOR_VERSION := 0.29.1
GENERATOR := $(VENV)/openapi-python-client-$(GENERATOR_VERSION)
CLIENT := build/client
DIST := dist

.PHONY: help install demo test check bench accuracy contract load client ui clean

help: ## show what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the virtual environment in .venv

demo: $(VENV)/.installed ## train, score and list on CDNOW
	@$(BIN)/foretier demo

test: $(VENV)/.installed-dev $(GENERATOR)/.installed ## run all tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/.installed-dev ## ruff, mypy, import-linter, and the docs against the commands and settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_docs.py

bench: $(VENV)/.installed-dev ## print measured ratios, each beside its peer
	@for script in features btyd drivers; do $(BIN)/python benchmarks/$$script.py || exit 1; done

accuracy: $(VENV)/.installed-dev ## backtest many logs and write docs/accuracy.md (some five minutes)
	@$(BIN)/python benchmarks/accuracy.py

contract: $(VENV)/.installed-dev ## hold a running service against its OpenAPI description, 10,000 generated requests (some ten minutes)
	@$(BIN)/python benchmarks/contract.py

load: $(VENV)/.installed-dev ## measure the HTTP service under load, faults and change, beside its peers (some twenty minutes)
	@$(BIN)/python benchmarks/load.py

client: $(VENV)/.installed-dev $(GENERATOR)/.installed ## make the Python client of the HTTP service, a wheel in dist
	@rm -rf $(CLIENT) && mkdir -p $(CLIENT)
	@$(BIN)/python -c 'import json; from serving.openapi import openapi; print(json.dumps(openapi()))' > $(CLIENT)/openapi.json
	@PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=$(GENERATOR) $(BIN)/python -m openapi_python_client generate --fail-on-warning \
		--path $(CLIENT)/openapi.json --config serving/client/config.yaml --custom-template-path serving/client \
		--meta uv --output-path $(CLIENT) --overwrite > /dev/null
	@$(BIN)/uv build --quiet --wheel --python $(BIN)/python --out-dir $(DIST) $(CLIENT)
	@ls $(DIST)/foretier_client-*.whl

ui: $(VENV)/.installed ## open the MLflow page of this folder's state on http://127.0.0.1:5000
	@mkdir -p "$${FORETIER_HOME:-.foretier}"
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 --port 5000 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$${FORETIER_HOME:-.foretier}/mlflow.db}"

clean: ## remove the virtual environment and the caches, not the state in .foretier
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once, a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Foretier needs Python 3.11 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# A folder of its own, without what it needs: its command line asks for an older typer than ours, and works with ours.
$(GENERATOR)/.installed: | $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(GENERATOR) \
		openapi-python-client==$(GENERATOR_VERSION) ruamel.yaml==0.19.1
	@touch $@
