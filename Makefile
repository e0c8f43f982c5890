# Every target sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
UV_COMPILE := $(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
FAST := tests/unit tests/component runner-image/tests

.PHONY: help demo test test-fast test-install test-types test-versions test-cluster chaos soak profile bench bench-gateway bench-runner scale lint format docs cluster-up cluster-down images crds manifests locks clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

$(READY): locks/dev.txt pyproject.toml
	@echo "preparing $(VENV) (locks/dev.txt) …"
	@python3 -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Run one real ingestion on a real Kubernetes and follow it
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m tools.demo

test: $(READY) ## Run everything that CI runs
	@$(MAKE) --no-print-directory -j2 lint test-cluster
	@$(PYTHON) -m pytest -n 2 --dist loadscope

test-cluster: $(READY) ## Start the test cluster with all images and programs that tests need
	@$(PYTHON) -m testcluster setup
	@# Before the tests: their time limits do not allow for a first build.
	@$(PYTHON) -m testcluster up
	@$(PYTHON) -m testcluster.images all --load > /dev/null
	@$(PYTHON) -m testcluster s3-server > /dev/null
	@$(PYTHON) -m testcluster helm > /dev/null
	@$(PYTHON) -m testcluster kube-router > /dev/null

test-fast: $(READY) ## Run the tests that need no cluster
	@$(PYTHON) -m pytest $(FAST)

test-install: $(READY) ## Install, upgrade and remove the chart on the test cluster
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m testcluster up
	@$(PYTHON) -m testcluster.images operator runner fake-openmetadata postgres --load > /dev/null
	@$(PYTHON) -m testcluster s3-server > /dev/null
	@$(PYTHON) -m testcluster helm > /dev/null
	@$(PYTHON) -m testcluster kube-router > /dev/null
	@$(PYTHON) -m pytest tests/integration/helm tests/e2e/install

manifests: $(READY) ## Render manifests/ from the chart
	@$(PYTHON) -m tools.render_manifests

test-types: $(READY) ## Run every pipeline type and its failures: ONLY="usage dbt" WRITE=1
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m tests.scenarios.types $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write)

test-versions: $(READY) ## Run the runner's tests with the older versions of the library
	@$(PYTHON) -m testcluster setup
	@for version in 1.12 1.13; do echo "openmetadata-ingestion $$version"; \
	  OPENMETADATA=$$version $(PYTHON) -m pytest tests/integration/runner || exit 1; done

chaos: $(READY) ## Inject every fault into real runs: ROUNDS=1 ONLY="success deadline" WRITE=1
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m tests.scenarios.faults --rounds $(or $(ROUNDS),1) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write)

soak: $(READY) ## Run random operations and faults for hours: DURATION=120 SEED=1
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m tests.scenarios.soak --minutes $(or $(DURATION),120) --seed $(or $(SEED),1)

scale: $(READY) ## Measure the cost of thousands of pipelines: N=5000
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m benchmarks.scale

bench: $(READY) ## Compare with Airflow and its plugin, side by side: RUNS=3
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m benchmarks.side_by_side

profile: $(READY) ## Profile time and memory of operator and gateway: N=300
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m benchmarks.profiling

bench-runner: $(READY) ## Measure the start of a run, beside a plain pip image: RUNS=5
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m benchmarks.runner

bench-gateway: $(READY) ## Measure the gateway with 1, 1,000 and 5,000 pipelines
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m benchmarks.gateway

lint: $(READY) ## Check style, types, import contracts and generated files
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet . || { echo "not formatted: run make format"; exit 1; }
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@$(PYTHON) -m tools.generate_crds --check
	@$(PYTHON) -m tools.generate_chart --check
	@$(PYTHON) -m tools.version --check

format: $(READY) ## Format the code and fix what ruff can fix
	@$(VENV)/bin/ruff check --quiet --fix . ; $(VENV)/bin/ruff format --quiet .

docs: $(READY) ## Build the documentation site into build/docs; a broken link is an error
	@$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs --doctree-dir build/doctrees . build/docs
	@echo "built build/docs/index.html"

cluster-up: $(READY) ## Start the test cluster, or repair it
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m testcluster up

cluster-down: $(READY) ## Remove the test cluster completely
	@$(PYTHON) -m testcluster down

images: $(READY) ## Build all images: OPENMETADATA=2.0
	@$(PYTHON) -m testcluster setup
	@$(PYTHON) -m testcluster.images all $(if $(OPENMETADATA),--openmetadata $(OPENMETADATA))

crds: $(READY) ## Generate crds/ and the chart from models and values
	@$(PYTHON) -m tools.generate_crds
	@$(PYTHON) -m tools.generate_chart

locks: $(READY) ## Update the locked dependencies of the operator
	@$(UV_COMPILE) --upgrade pyproject.toml --group dev -o locks/dev.txt
	@$(UV_COMPILE) pyproject.toml --constraint locks/dev.txt -o locks/operator.txt

clean: cluster-down ## Remove the cluster and all files that git ignores; keep the cache
	@git clean -fdXq
