# Each target does its own set-up: Python 3.11 or later and make are all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve demo test lint lint-document document lock clean

serve: $(VENV)/serve
	ENVIRONMENT=development $(BIN)/flask db upgrade
	ENVIRONMENT=development $(BIN)/python -m api.server

demo: data/demo.sqlite $(VENV)/serve
	ENVIRONMENT=development DATABASE_URL=sqlite:///$(CURDIR)/$< $(BIN)/flask db upgrade
	ENVIRONMENT=development DATABASE_URL=sqlite:///$(CURDIR)/$< $(BIN)/python -m api.server

# Under another name until it is whole.
data/demo.sqlite: | $(VENV)/serve
	rm -f $@.new*
	ENVIRONMENT=development DATABASE_URL=sqlite:///$(CURDIR)/$@.new $(BIN)/flask db upgrade
	ENVIRONMENT=development DATABASE_URL=sqlite:///$(CURDIR)/$@.new $(BIN)/flask seed
	mv $@.new $@

test: $(VENV)/develop
	$(BIN)/pytest --numprocesses auto --dist loadfile --cov

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two linters from the world of Node, which this target needs, too.
lint-document:
	tests/contract/lint-document.sh

document: $(VENV)/develop
	ENVIRONMENT=development $(BIN)/flask document > docs/openapi.json

lock: $(VENV)/develop
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
		pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
		pyproject.toml --group dev --output-file requirements-dev.txt

clean:
	rm -rf $(VENV)

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed; name one: make PYTHON=python3.12 ...'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve: requirements.txt | $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/develop: requirements-dev.txt | $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/serve
