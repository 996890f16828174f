# Everything is kept in .venv (tools and libraries) and .prefect (what the demo and `make serve`
# recorded: runs, blocks, and the key that encrypts the blocks). `make clean` keeps .prefect, because
# it can't be made again. Nothing else of yours is changed, and only .env is read.

PYTHON ?= python3
PORT ?= 4200
BIN := .venv/bin
OLDEST := .ci/prefect-3.8.8
COMPILE := .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --group dev \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml
INSTALL := --quiet --disable-pip-version-check --no-deps
STAMP := .venv/.installed

# If modules are not stored compiled, each command and each test process compiles them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## install the locked versions and the project into .venv

# The lock is complete, hence --no-deps: if pip resolved dependencies, it would find newer versions.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is incomplete; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(INSTALL) --require-hashes -r requirements.lock
	$(BIN)/pip install $(INSTALL) --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: ## choose the newest allowed versions and write them to requirements.lock
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --output-file $(OLDEST).lock --constraint $(OLDEST).txt
	rm -rf .venv-lock

.PHONY: lint
lint: setup ## check the style and the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: test
test: setup ## run all tests except those of `make test-servers`
	$(BIN)/pytest --numprocesses 4 --dist loadgroup -m "not servers"

.PHONY: test-fast
test-fast: setup ## run the tests that need no Prefect server
	$(BIN)/pytest --numprocesses 2 -m "not prefect and not servers"

.PHONY: test-servers
test-servers: setup ## test schedules, kills and restarts on SQLite and PostgreSQL; takes 20 minutes
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m servers

.PHONY: test-oldest
test-oldest: ## run the tests that need a Prefect server with the oldest supported Prefect
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install $(INSTALL) --require-hashes -r $(OLDEST).lock
	.venv-oldest/bin/pip install $(INSTALL) --no-build-isolation --editable .
	.venv-oldest/bin/pytest --numprocesses 4 --dist loadgroup -m "prefect and not servers"

.PHONY: demo
demo: setup ## run tests against a simulator: no account, no server, no token
	@$(BIN)/python -m deployments.demo

.PHONY: ui
ui: setup ## show what the demo recorded, in Prefect's UI on port 4200, or PORT=N
	@$(BIN)/python -m deployments.serve --port $(PORT) --reports-only

.PHONY: serve
serve: setup ## start Prefect server, worker and deployments on this machine, on port 4200, or PORT=N
	@$(BIN)/python -m deployments.serve --port $(PORT)

.PHONY: pictures
pictures: setup ## renew the pictures of README and docs; needs Chromium
	PICTURES="$(CURDIR)/deployments/pictures" $(BIN)/pytest tests/deployments/test_ui.py

.PHONY: bench
bench: setup ## measure speed, quota, growth and pages; prints tables, takes about two hours
	$(BIN)/python -m tests.benchmarks

.PHONY: chaos
chaos: setup ## cause real faults and print what they cost; FAULT=name for one, SHORT=1 for a few
	$(BIN)/python -m tests.chaos $(if $(SHORT),--short) $(FAULT)

.PHONY: clean
clean: ## remove the environments that the other targets made; what was recorded stays in .prefect
	rm -rf .venv .venv-lock .venv-oldest
