# What a clone needs: `make demo` shows it at work, `make test` tests all of it. Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SAMPLE := images/sample/.build/sample.tar.gz
PYTEST_ARGS ?=
BENCH_ARGS ?=
IMAGE ?= helper

.PHONY: help demo test check image bench clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    deploy two sample systems to demo/'
	@echo 'make test    run all tests, with private container engines where that can be'
	@echo 'make check   form, types, unit and architecture tests: before every commit'
	@echo 'make image   build the helper image on the container engine that answers;'
	@echo '             make image IMAGE=legacy builds the one with Python 2'
	@echo 'make bench   measure against the targets; figures also to build/bench.json'
	@echo 'make clean   remove what was built here'

demo: $(READY) $(SAMPLE)
	@if $(BIN)/python images/build.py; then engine=auto; \
	else echo 'using the local engine'; engine=local; fi; \
	exec $(BIN)/containerdeploy deploy --definitions images/sample/definitions \
	    --engine $$engine --output-dir demo images/sample/definitions/clusters/demo.yaml

test: $(READY)
	@$(BIN)/python -m tests.engines $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet $(wildcard tests/unit tests/test_architecture.py)

image: $(READY)
	@$(BIN)/python images/build.py $(IMAGE)

bench: $(READY)
	@$(BIN)/python -m tests.engines $(BIN)/python -m tests.bench $(BENCH_ARGS)

clean:
	rm -rf $(VENV) demo build dist *.egg-info images/*/.build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m compileall -q containerdeploy  # pip compiles only what it copies
	@touch $@

$(SAMPLE): images/sample/make.py
	@$(PYTHON) images/sample/make.py $@
