# What people and CI start. Each target is a line or two; the work is in the packages and in tests/lab.

.DEFAULT_GOAL := help
SHELL := /bin/bash
export CI := true
export PYTHONPATH := tests

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
CLUSTER := $(PYTHON) tests/lab/cluster
GENERATORS := hyper2kvm_api.generate hyper2kvm.cli.reference hyper2kvm_operator.generate
CACHE := $(or $(HYPER2KVM_CACHE),$(HOME)/.cache/hyper2kvm)
export PIP_CACHE_DIR := $(CACHE)/pip

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(CACHE)/pip-tools/bin/pip-compile --quiet --generate-hashes --strip-extras \
  --allow-unsafe --no-emit-index-url --no-emit-find-links --build-deps-for wheel

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

.PHONY: bootstrap
bootstrap: ## install what is missing on this machine (Debian 12), and make .venv
	@test -x /usr/bin/python3 || { apt-get update && apt-get install --yes --no-install-recommends python3; } </dev/null
	@/usr/bin/python3 tests/lab/bootstrap.py

.PHONY: test
test: bootstrap lint ## everything: lint, unit, contract, appliance, guests, cluster
	$(PYTEST) -n 2 -m "not appliance and not guest and not cluster"
	@set -x; $(PYTHON) -m lab.guests & guests=$$!; $(PYTHON) -m lab.product & images=$$!; \
	$(CLUSTER) prepare --kubevirt || ended=$$?; wait $$guests && wait $$images && exit $${ended:-0}
	$(PYTEST) -n 2 -m "appliance or guest"
	@$(CLUSTER) status >/dev/null || trap '$(CLUSTER) down' EXIT; set -ex; $(CLUSTER) up; \
	$(PYTEST) --apart -m "cluster and alone" & apart=$$!; $(PYTEST) -n 2 -m "cluster and not alone" || ended=$$?; wait $$apart; exit $${ended:-0}

.PHONY: lint
lint: bootstrap ## ruff, mypy, the contracts between packages, drift of generated files
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	@for generator in $(GENERATORS); do $(PYTHON) -m $$generator --check || exit 1; done

.PHONY: demo
demo: bootstrap ## migrate a sample guest on Kubernetes, CDI and KubeVirt, all started here
	$(PYTHON) -m lab.demo.cluster

.PHONY: demo-local
demo-local: bootstrap ## migrate a sample guest on this machine, without a cluster
	$(PYTHON) -m lab.demo.local

.PHONY: bench
bench: bootstrap ## measure on this machine, beside virt-v2v, nbdcopy and qemu-img
	@/usr/bin/python3 tests/lab/bootstrap.py --benchmarks
	PYTHONPATH=.:tests $(PYTHON) -m benchmarks

.PHONY: generate
generate: bootstrap ## write what is made from the code: CRDs, schemas, parts of the chart, reference pages
	@for generator in $(GENERATORS); do $(PYTHON) -m $$generator || exit 1; done
	$(PYTHON) tests/lab/manifest.py

.PHONY: lock
lock: bootstrap ## choose the newest versions that pyproject.toml allows; the images get the same ones
	$(PYTHON) -m venv $(CACHE)/pip-tools
	$(CACHE)/pip-tools/bin/pip install --quiet "pip-tools>=7.5,<8"
	$(COMPILE) --upgrade --all-extras --build-deps-for editable --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra operator --output-file operator/requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra conversion --output-file conversion-image/requirements.lock pyproject.toml

.PHONY: cluster
cluster: bootstrap ## start Kubernetes with CDI on this machine, and with KUBEVIRT=1 KubeVirt too
	$(CLUSTER) up $(if $(KUBEVIRT),--kubevirt)

.PHONY: cluster-down
cluster-down: ## remove it and every trace of it
	@if [ -x $(PYTHON) ]; then $(CLUSTER) down; \
	elif [ -e "$(CACHE)/cluster/run" ] || [ -e "$(CACHE)/cluster/spare" ]; then echo "there is a cluster and no .venv: run make bootstrap first"; exit 1; fi

.PHONY: clean
clean: ## remove what tools left in the checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-cache
clean-cache: cluster-down ## remove built guests, images and environments: the next commands take minutes again
	rm -rf "$(CACHE)"
