# The first target that needs it installs everything into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The ledger's peers pin other versions than ShieldX does, so they get an environment of their own.
BENCH_VENV := .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
BENCH_INSTALLED := $(BENCH_VENV)/.installed

# Two processes: while one waits for a server, the other one works. TESTS limits make unit and make soak.
TEST_PROCESSES ?= 2
TESTS ?= tests
PYTEST := $(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder --durations=20
UNIT := not integration and not recovery
# Tests call this project's programs hundreds of times: none of them should compile it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test unit soak run bench growth lint format schemas docs changelog lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Replay a usage trace through a real Kafka and recount its balances (TRACE=file.csv)
	@TRACE="$(TRACE)" $(BIN)/python -m shieldx.demo

test: $(INSTALLED) lint ## Lint, then all tests in their short form, on a real Kafka and a real Postgres
	$(PYTEST) --cov --cov-report= tests
	@$(BIN)/coverage report --include='shieldx/domains/credits/*,shieldx/domains/audit/*,shieldx/domains/shadow/*,shieldx/domains/privacy/*' --fail-under=95
	@$(BIN)/coverage report --include='shieldx/engine/*' --fail-under=90

unit: $(INSTALLED) ## Tests that need neither Kafka nor Postgres, in a minute
	$(PYTEST) -m "$(UNIT)" $(TESTS)

soak: $(INSTALLED) ## The long forms of tests, for hours or SOAK_MINUTES (TESTS=tests/recovery limits them)
	SOAK=1 $(PYTEST) -rP $(TESTS)

run: $(INSTALLED) ## Start the stack and all agents; Ctrl-C stops them
	@$(BIN)/shieldx up

bench: $(BENCH_INSTALLED) ## Measure the ledger, its peers, the audit log, evaluations and masking (BENCH_OPTIONS=--quick)
	@$(BENCH_BIN)/python -m bench $(BENCH_OPTIONS)
	@$(BENCH_BIN)/python -m bench.audit $(filter --quick,$(BENCH_OPTIONS))
	@$(BENCH_BIN)/python -m bench.shadow $(filter --quick,$(BENCH_OPTIONS))
	@$(BENCH_BIN)/python -m bench.privacy masking $(filter --quick,$(BENCH_OPTIONS))

growth: $(BENCH_INSTALLED) ## Measure throughput, restart time and memory as data grows; an hour or more (BENCH_OPTIONS=--quick)
	@$(BENCH_BIN)/python -m bench.growth all $(BENCH_OPTIONS)

lint: $(INSTALLED) ## Run ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy

format: $(INSTALLED) ## Format, and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: $(INSTALLED) ## Write schemas/ from the Python types
	@$(BIN)/shieldx schemas --write

docs: $(INSTALLED) ## Write the pages that are generated from the source
	@$(BIN)/shieldx config --markdown > docs/reference/settings.md
	@$(BIN)/shieldx errors --markdown > docs/reference/errors.md
	@$(BIN)/shieldx dead-letters reasons --markdown > docs/reference/dead-letters.md
	@$(BIN)/shieldx privacy fields --markdown > docs/reference/privacy.md
	@$(BIN)/shieldx topology --format svg -o docs/reference/topology.svg

changelog: $(INSTALLED) ## Show the changes since the last version (VERSION=x.y.z writes them to CHANGELOG.md)
	@$(BIN)/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version next)

lock: $(INSTALLED) ## Pin the newest dependencies that pyproject.toml allows
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra stack --extra vault --group test --group lint --group build -q -o requirements.lock
	cp requirements.lock requirements-bench.lock # the same versions wherever the peers allow them
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra stack --group bench --group build -q -o requirements-bench.lock

clean: ## Remove everything that was installed or cached here
	rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "ShieldX needs Python 3.11 or later; $$($(PYTHON) --version) is here. Try make PYTHON=python3.12"; exit 1; }
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH_INSTALLED): requirements-bench.lock pyproject.toml
	@echo "Installing into $(BENCH_VENV) …"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@$(BENCH_BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
