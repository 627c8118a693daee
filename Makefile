# Every target does its own set-up; a second run costs a moment.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: help setup run test check bench score torture lock servers

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: .python ## set up, then the demo: a simulated district on an embedded broker and store (ARGS="--for 20s")
	@$(PYTHON) .ci/bootstrap.py run
	@$(BIN)/citylight demo $(ARGS)

test: setup servers ## set up, then the whole test suite on real servers (ARGS="-k journal")
	@$(BIN)/python -m pytest $(ARGS)

check: setup ## lint, format, types, import rules, project rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/project

bench: setup servers ## every bench against its target, kept in benchmarks/results (ARGS="--only pipeline latency")
	@$(BIN)/citylight bench all $(ARGS)

score: setup ## precision and recall of the alarms on simulated cities (SEED=n, ARGS="--full")
	@$(BIN)/python -m benchmarks.score $(if $(SEED),--seed $(SEED)) $(ARGS)

torture: setup servers ## kill, freeze and spoil everything for a while, and count what is lost (DURATION=9m SEED=1)
	@PYTHONPATH=.:tests:tests/end_to_end $(BIN)/python tests/torture/torture.py --duration $(or $(DURATION),9m) $(if $(SEED),--seed $(SEED)) $(ARGS)

setup: .python ## the environment in .venv, from hash-locked requirements
	@$(PYTHON) .ci/bootstrap.py dev

servers: .python
	@$(PYTHON) .ci/bootstrap.py servers

lock: .python ## resolve the requirements again (ARGS="--upgrade")
	@$(PYTHON) .ci/bootstrap.py lock $(ARGS)

.PHONY: .python
.python:
	@command -v $(PYTHON) >/dev/null || { echo "setup: '$(PYTHON)' is not there; install python3 (3.11 to 3.14) and run again" >&2; exit 1; }
