# Needs Python 3.11 or newer, git and make. scripts/setup.py installs everything else into .venv and .tools of the
# checkout.
SHELL := /bin/bash
# The first Python that runs and is new enough: what PATH finds may be a version manager's shim for a missing version.
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && break; done)
ifeq ($(PYTHON),)
$(error Python 3.11 or newer with its venv module is needed)
endif
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo lint test test-slow test-image coverage bench lock upgrade clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Install what running, testing and linting need, as it is locked
	@$(PYTHON) scripts/setup.py full

demo: ## Publish an example to a throw-away repository, step by step
	@$(PYTHON) scripts/setup.py light
	@scripts/demo

lint: setup ## Check style, types, layers and generated files
	@scripts/lint

test: lint ## Run the linters and the tests, except the slow ones and those of the image
	@scripts/run-tests -m 'not slow and not image'

test-slow: setup ## Run the tests that take longer: installations, random kills, races
	@scripts/run-tests -m 'slow and not image'

test-image: setup ## Build the container image and run it as CI products do
	@scripts/test-image

coverage: setup ## Run all tests but the image's under branch coverage, and show what none of them reaches
	@scripts/run-tests --cov --cov-report=term -m 'not image'

bench: setup ## Compare with the hand-written recipe, ghp-import and bare git, and with `cdk8s synth`
	@python bench/publish.py
	@python bench/freshness.py
	@python bench/apps.py

lock: setup ## Bring the locks up to date with what pyproject.toml, requirements/*.in and package.json ask for
	@scripts/lock

upgrade: setup ## The same, with the newest Python packages that fit
	@scripts/lock --upgrade

clean: ## Remove everything that set-up and tests made
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
