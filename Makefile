# Each target sets up what it needs. Requirements: Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := tests/clients

.PHONY: serve demo test test-all coverage bench clean-bench chaos mutants lint lint-document clients document lock clean

# Run the server and a worker, which stops with the server.
RUN = $(BIN)/python -m api.server.worker & worker=$$!; trap 'kill $$worker $$server 2>/dev/null; wait' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; $(BIN)/python -m api.server.web & server=$$!; wait $$server

serve: export ENVIRONMENT = development
serve: $(VENV)/serve
	@$(BIN)/flask db upgrade
	@$(RUN)

demo: export ENVIRONMENT = development
demo: export DATABASE_URL = sqlite:///$(CURDIR)/data/demo.sqlite
demo: data/demo.sqlite $(VENV)/serve
	@$(BIN)/flask db upgrade
	@$(RUN)

# Built under a temporary name, so that an interrupted build leaves no partial file.
data/demo.sqlite: | $(VENV)/serve
	rm -f $@.new*
	DATABASE_URL=sqlite:///$(CURDIR)/$@.new $(BIN)/flask db upgrade
	DATABASE_URL=sqlite:///$(CURDIR)/$@.new $(BIN)/flask seed
	mv $@.new $@

# Otherwise each process that a test starts would compile all of its imports again.
test test-all coverage: export PYTHONDONTWRITEBYTECODE =
# worksteal: an idle worker takes half of the remaining tests of another one.
RUN_TESTS = $(BIN)/pytest --numprocesses auto --dist worksteal

# PYTEST: options, as in make test PYTEST='-k likes'.
test: $(VENV)/develop
	$(RUN_TESTS) -m 'not process' $(PYTEST)

# Includes the tests that start servers, workers, Redis or a browser.
test-all: $(VENV)/develop
	$(RUN_TESTS) $(PYTEST)

# make test-all with coverage, which takes 1.5 times as long.
coverage: $(VENV)/develop
	$(RUN_TESTS) --cov $(PYTEST)
	$(BIN)/coverage report --precision=1 --fail-under=99.9

# BENCH: options, as in make bench BENCH='--database sqlite --scale 10'.
bench: $(VENV)/serve
	$(BIN)/python -m benchmarks.bench $(BENCH)

clean-bench: $(VENV)/serve
	$(BIN)/python -m benchmarks.bench --clean
	rm -rf benchmarks/.venvs data/bench

# Inject faults into servers: kill, freeze, exhaust. CHAOS: the faults to run, as in make chaos CHAOS='kill frozen'.
chaos: $(VENV)/serve chaos/.libfaketime
	$(BIN)/python -m chaos $(CHAOS)

# Change the code in 100 places, one at a time; a test must fail for each. MUTANTS: options, as in
# make mutants MUTANTS='--seed 2 --count 20 --database sqlite'.
mutants: $(VENV)/develop
	$(BIN)/python -m tests.mutants $(MUTANTS)

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m support.words

# Linters of the OpenAPI document. Requires Node.
lint-document:
	tests/contract/lint-document.sh

# Generate a Python and a TypeScript client from the document and test them against a server. Requires Node.
clients: $(VENV)/develop $(CLIENTS)/.venv/installed $(CLIENTS)/node_modules/.installed
	$(BIN)/python -m tests.clients.run

document: $(VENV)/develop
	ENVIRONMENT=development $(BIN)/flask openapi export > docs/openapi.json

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header

lock: $(VENV)/develop
	$(BIN)/pip install --quiet uv
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) pyproject.toml --group dev --output-file requirements-dev.txt
	$(LOCK) $(CLIENTS)/requirements.in --output-file $(CLIENTS)/requirements.txt
	$(LOCK) chaos/requirements.in --output-file chaos/requirements.txt

clean:
	rm -rf $(VENV) chaos/.libfaketime $(CLIENTS)/.venv $(CLIENTS)/node_modules tests/contract/node_modules

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is required. Choose one: make PYTHON=python3.12 ...'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo 'On Debian, run apt-get install python3-venv first.'; rm -rf $(VENV); exit 1; }

$(VENV)/serve: requirements.txt | $(VENV)
	@echo 'Installing the server dependencies into $(VENV), which takes about half a minute ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/develop: requirements-dev.txt | $(VENV)
	@echo 'Installing the development dependencies into $(VENV), which takes about a minute ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/serve

# libfaketime (optional), to test clock changes. Without it, those tests are skipped.
chaos/.libfaketime: chaos/requirements.txt | $(VENV)
	-$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --target $@ --upgrade -r $<
	@touch -c $@

# A separate environment for the client generator and its clients, which the application does not need.
$(CLIENTS)/.venv/installed: $(CLIENTS)/requirements.txt | $(VENV)
	$(BIN)/python -m venv $(CLIENTS)/.venv
	$(CLIENTS)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	cd $(CLIENTS) && npm ci --loglevel=error
	@touch $@
