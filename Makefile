# Each target does all of its own set-up: `make test` in a fresh clone is enough.
# With uv on the PATH the set-up takes seconds, otherwise python3 -m venv and pip do it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: venv demo test lint types docs bench clean
venv: .venv/tools

# What runs mcvd, and that with all that tests and builds it: the demo does not wait for the second.
.venv/mcvd: INSTALLED := .
.venv/tools: INSTALLED := .[dev]
.venv/mcvd .venv/tools: pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && uv pip install --quiet --python $(BIN)/python -e '$(INSTALLED)'; \
	else \
	  $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '$(INSTALLED)'; \
	fi
	@touch .venv/mcvd $@

demo: .venv/mcvd
	$(BIN)/mcvd demo

# Two workers, each with a stretch of neighbouring tests, which share their fixtures; WORKERS=0 runs all in one process.
WORKERS ?= 2
test: venv
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

docs: venv
	$(BIN)/mkdocs build --quiet

bench: venv
	$(BIN)/python tools/bench/bench.py

clean:
	rm -rf .venv build dist *.egg-info
