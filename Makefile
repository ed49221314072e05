# make fit    install, train the quickstart on handwritten digits, test it on held-out scans
# make test   install, run the tests
# make lint   install, ruff, import-linter and mypy
.DEFAULT_GOAL := help
.PHONY: help install fit test lint format clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CORES   := $(shell getconf _NPROCESSORS_ONLN)
#	One more worker than there are cores: many tests wait for processes that they started.
WORKERS ?= $(shell expr $(CORES) + 1)

help:
	@sed -n 's/^# //p' Makefile

# Installed once, and again when the requirements change.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing Descent and what it needs into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(STAMP)

fit: $(STAMP)
	$(BIN)/descent fit --config configs/quickstart.yaml
	$(BIN)/descent test --ckpt_path runs/quickstart

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy --num-workers $(CORES) .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
