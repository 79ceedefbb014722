# Everything is installed into .venv and .tools of the checkout by scripts/setup.py; nothing else has to be there
# than Python 3.11 or newer, git and make.
SHELL := /bin/bash
# The first Python that runs and is new enough: a name on PATH alone may be a version manager's empty shim.
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
ifeq ($(PYTHON),)
$(error Python 3.11 or newer with its venv module is needed)
endif
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo lint test test-fast test-image bench lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Install what running, testing and linting need
	@$(PYTHON) scripts/setup.py full

demo: ## Publish an example to a throw-away repository, step by step
	@$(PYTHON) scripts/setup.py light
	@scripts/demo

lint: setup ## Check style, types and the files of the doors
	@scripts/lint

test: lint ## Run all tests except those of the image
	@scripts/run-tests -m 'not image'

test-fast: setup ## Run the tests that take no longer than a few seconds each
	@scripts/run-tests -m 'not slow and not image'

test-image: setup ## Build the container image and run it as CI products do
	@scripts/test-image

bench: setup ## Compare with the hand-written recipe, ghp-import and bare git, and with `cdk8s synth`
	@python bench/publish.py
	@python bench/freshness.py
	@python bench/apps.py

lock: ## Resolve the Python and npm locks again
	@scripts/lock

clean: ## Remove everything that set-up and tests made
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis
