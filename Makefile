# Everything runs inside .venv, which scripts/setup.sh makes; only the first time takes minutes.
PYTHON_BIN := .venv/bin/python
# Test processes at once. Each loads torch, and torch's own threads would fight over the cores.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(PYTHON_BIN) -m pytest -q -n $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check bench bench-gpu clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a whole self-rewarding run with a small model on the CPU
	@scripts/setup.sh run
	@.venv/bin/selfreward run recipes/demo.yaml

test: ## all tests (JOBS=n for n processes)
	@scripts/setup.sh dev
	@$(PYTEST)

test-fast: ## the tests that take seconds and need no real model
	@scripts/setup.sh dev
	@$(PYTEST) -m "not slow"

check: ## lint, format and types
	@scripts/setup.sh dev
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m ruff format --check .
	@$(PYTHON_BIN) -m mypy

bench: ## measure what docs/benchmarks.md has figures on: a table and bench.json (half an hour; NAMES="vllm judging")
	@scripts/setup.sh dev
	@$(PYTHON_BIN) scripts/bench.py $(NAMES)

bench-gpu: ## the same comparisons on a machine with a GPU, in nine minutes; JSON
	@$(PYTHON_BIN) scripts/gpu_check.py

clean: ## remove what builds and tests leave (not .venv, not runs/)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
