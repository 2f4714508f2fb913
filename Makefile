# Headrace: `make run` to try it, `make test` to check it, `make help` for the rest.
#
# A machine needs make and either Python 3.11 or later, or uv. Everything else is installed into
# .venv/ (and .tools/, if uv is missing) of this directory; nothing outside it is touched.
#
#   make run ARGS="--port 8090"         more arguments for `headrace serve`
#   make chat ARGS="--model openai"     more arguments for `headrace chat`
#   make test TESTS="tests/wire -k sse" some of the tests
#   make test PYTHON=3.13               another Python; the environment is made again

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
ARGS ?=
TESTS ?=

BIN := .venv/bin
UV := .tools/uv

# The environment is this directory's own, whatever is active around it.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH UV_PYTHON
export UV_PROJECT_ENVIRONMENT := .venv
export UV_NO_PROGRESS := 1

VERSION := $(if $(PYTHON),-on-$(subst /,_,$(PYTHON)))
# uv makes .venv again for another Python, and these stamps go with it.
READY_TO_RUN := .venv/ready-to-run$(VERSION)
READY_TO_DEVELOP := .venv/ready-to-develop$(VERSION)
SYNC := $(UV) sync --quiet --frozen --extra server $(if $(PYTHON),--python $(PYTHON))
SOURCES := src tests bench examples tools

.PHONY: run chat test coverage fmt docs assets bench chaos clean help

run: $(READY_TO_RUN) ## set everything up and open the chat page on the embedded model
	@$(BIN)/headrace serve --model demo --open $(ARGS)

chat: $(READY_TO_RUN) ## the same in this terminal
	@$(BIN)/headrace chat --model demo $(ARGS)

test: $(READY_TO_DEVELOP) ## set up the development environment and run every check
	@echo "format" && $(BIN)/ruff format --quiet --check $(SOURCES) || \
		{ echo "Some files are not formatted: run \`make fmt\`." >&2; exit 1; }
	@echo "lint" && $(BIN)/ruff check --quiet $(SOURCES)
	@echo "types" && $(BIN)/mypy --no-error-summary
	@echo "floors, tests, doc snippets, examples" && \
		$(BIN)/$(if $(TESTS),pytest -q $(TESTS),python -m tools.run_tests)

coverage: $(READY_TO_DEVELOP) ## run the tests, and say which lines none of them ran in its own process
	@$(BIN)/coverage run -m pytest -q $(TESTS)
	@$(BIN)/coverage report --skip-covered --sort=cover

bench: $(READY_TO_DEVELOP) ## measure against the floor and the peers, write docs/benchmarks.md
	@$(BIN)/python -m bench.run $(ARGS)

chaos: $(READY_TO_DEVELOP) ## kill a process with live runs 200 times, and run 100,000 in another
	@$(BIN)/python -m tests.chaos $(ARGS)

fmt: $(READY_TO_DEVELOP) ## format the sources and fix what can be fixed by itself
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --quiet --fix $(SOURCES)

docs: $(READY_TO_DEVELOP) ## write the pages that are made of the rows and the tests
	@$(BIN)/python -m tests.differential.page
	@$(BIN)/python -m tests.agents.kinds_table

assets: $(READY_TO_DEVELOP) ## bring the pages' vendored files from the npm registry, by hash
	@$(BIN)/python -m tools.refresh_assets $(ARGS)

clean: ## remove everything that these commands have made
	rm -rf .venv .tools .bench .coverage dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -type d -name __pycache__ -prune -exec rm -rf {} +

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

# `--inexact` leaves the development tools where they are, if they are there.
$(READY_TO_RUN): pyproject.toml uv.lock | $(UV)
	@echo "Installing Headrace into .venv (once) …" >&2
	@$(SYNC) --no-dev --inexact
	@touch $@

$(READY_TO_DEVELOP): pyproject.toml uv.lock | $(UV)
	@echo "Installing the development environment into .venv (once) …" >&2
	@$(SYNC)
	@touch $(READY_TO_RUN) $@

# uv of the machine, or a private one made with any Python that is new enough.
$(UV):
	@.ci/find-uv $@
