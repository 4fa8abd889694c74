# The set-up a newcomer needs is any of these targets: each makes the virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test serve check fuzz docs bench clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## a device is enrolled, found, bound, reset: the main job on this machine
	@$(BIN)/quecbind demo

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest

serve: $(STAMP)  ## a Developer Center on this machine, state in ./data
	$(BIN)/quecbind serve --data data

check: $(STAMP)  ## formatting, lint, types, layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/deptry src
