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
# The files that fork trainings run beside them, each in a process of its own that has done nothing else: in the fork of
# one that has, the threads of PyTorch's autograd may abort.
WORKERS ?= 2
FORKING := $(wildcard tests/faults/test_*.py)
test: venv
	@log=$$(mktemp); status=0; \
	(for file in $(FORKING); do $(BIN)/python -m pytest $$file || failed=1; done; exit $${failed:-0}) >$$log 2>&1 & forking=$$!; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/faults || status=1; \
	wait $$forking || status=1; cat $$log; rm $$log; exit $$status

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
