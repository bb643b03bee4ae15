# Two commands matter: `make demo` shows the main job on an emulated board, `make test` proves the tree.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test quick slow lint format wheel-check clean

demo: $(STAMP)
	@$(BIN)/python scripts/demo.py

# Everything of the fast gate: Debian packages, ruff, mypy --strict, shellcheck, pytest.
test: $(STAMP)
	@sh scripts/debian_packages.sh
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n auto -m "not slow and not vm and not arm"

quick: $(STAMP)
	@$(BIN)/python -m pytest -n auto -x -m "not slow and not vm and not arm"

# Soak and size tests, whole machines, a second architecture, and every fuzz test once more with many examples.
# loadgroup: tests that share one machine go to one worker, which boots it once.
slow: $(STAMP)
	@sh scripts/debian_packages.sh slow
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n auto --dist loadgroup -m "slow or vm or arm or hypothesis"

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@if command -v shellcheck >/dev/null; then shellcheck agents/*.sh scripts/*.sh .ci/run; \
	 else echo "shellcheck is missing: apt-get install shellcheck" >&2; exit 1; fi

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

wheel-check: $(STAMP)
	@$(BIN)/python scripts/wheel_check.py

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "harness needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	 { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) dist build demo .mypy_cache .ruff_cache .pytest_cache
