# The set-up a newcomer needs is any of these targets: each makes the virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNS ?= 20000
TABLE ?= # --table-file=PATH writes the table of attack, faults, model or openapi as Markdown

.PHONY: demo test serve check attack faults model openapi tables fuzz mutation bench timing docs clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV), once; this takes a minute or so"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## a device is enrolled, found, bound, reset: the main job on this machine
	@$(BIN)/quecbind demo

test: $(STAMP)  ## the whole test suite, a file at a time on each of two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile

attack faults model openapi: $(STAMP)  ## that suite whole, and its table: case, expected, got
	$(BIN)/python -m pytest -q --full --table $(TABLE) tests/$@

tables: $(STAMP)  ## run attack, faults and model whole and write their tables to docs/security-tables, which the tests hold to be complete
	rm -f docs/security-tables/*.md
	for suite in attack faults model; do \
	  $(BIN)/python -m pytest -q --full --table-file=docs/security-tables/$$suite.md tests/$$suite || exit 1; done

serve: $(STAMP)  ## a Developer Center on this machine, state in ./data
	$(BIN)/quecbind serve --data data

fuzz: $(STAMP)  ## every fuzz target for RUNS inputs each; the test suite replays the seeds
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@for target in mqtt frame ttlv lan signing control parameters ws_v1 mqtt_v2; do \
	  echo "== $$target" && $(BIN)/python tests/fuzz/fuzz_$$target.py -runs=$(RUNS) -print_final_stats=0 || exit 1; done

mutation: $(STAMP)  ## mutation testing of the rules and the signatures, in an environment of its own; see docs/mutation.md
	$(PYTHON) -m venv .venv-mutation
	.venv-mutation/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' 'mutmut==3.8.1'
	rm -rf mutants
	.venv-mutation/bin/mutmut run --max-children 1
	.venv-mutation/bin/mutmut results

bench: $(STAMP)  ## log-ins against mosquitto, and binding; needs gcc, libssl-dev, mosquitto and its -dev packages
	$(MAKE) -C tests/bench
	$(BIN)/quecbind bench log-in --lg tests/bench/lg --plugin tests/bench/auth.so
	$(BIN)/quecbind bench bind

timing: $(STAMP)  ## whether the time an answer takes tells a stranger what exists; prints, asserts nothing
	$(BIN)/python -m tests.bench.timing

docs: $(STAMP)  ## links, commands, settings and snippets of the documents, against the program
	$(BIN)/python -m pytest -q tests/docs

clean:  ## what these targets made, the data directory excepted
	rm -rf $(VENV) .venv-mutation mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

check: $(STAMP)  ## formatting, lint, types, layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/deptry src
