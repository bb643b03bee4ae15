# Two commands matter: `make demo` shows the main job on an emulated board, `make test` proves the tree.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# `make fresh`: the releases of Debian to build, and what to make in each.
DEBIAN ?= 12 13
RUN ?= demo test

.PHONY: install demo test quick slow machines simulator soak lint types-oldest fresh format wheel-check clean

install: $(STAMP)
	@echo "installed; type: . $(BIN)/activate && harness --help"

demo: $(STAMP)
	@$(BIN)/python scripts/demo.py

# Everything of the fast gate: Debian packages (root or sudo), ruff, mypy --strict, shellcheck, pytest.
test: $(STAMP)
	@sh scripts/debian_packages.sh
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n auto -m "not slow and not vm and not arm"

# Under two minutes: no lint, and no test whose module starts programs (boards, commands, a browser: tests/gate.py).
quick: $(STAMP)
	@$(BIN)/python -m pytest -n auto -m "not process and not slow and not vm and not arm"

# Soak and size tests. They wait for time limits and frozen links much of the time: half as many workers again as cores.
slow: $(STAMP)
	@sh scripts/debian_packages.sh slow
	@$(BIN)/python -m pytest -n $$(( ($$($(BIN)/python -c "import os; print(os.cpu_count())") * 3 + 1) / 2 )) --dist worksteal -m "slow and not vm and not arm"

# A whole virtual board whose power is cut, and a second architecture. One process: each machine boots once.
machines: $(STAMP)
	@sh scripts/debian_packages.sh slow
	@$(BIN)/python -m pytest -n 0 -m "vm or arm"

# Sophgo's compiler and chip simulator, for the slow tests of its boards: CPython 3.10, 0.5 GB fetched, 2 GB in the cache.
simulator: $(STAMP)
	@$(BIN)/harness boards prepare emu-bm1684x

# Everything, and every fuzz test with 400 examples. Hours.
soak: $(STAMP)
	@sh scripts/debian_packages.sh slow
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n auto

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@sh scripts/shellcheck.sh agents/*.sh scripts/*.sh .ci/run

# Types once more against the lower bound of numpy, on the oldest Python.
types-oldest: $(STAMP)
	@$(BIN)/python scripts/types_oldest.py

# Bare Debian roots, an ordinary user without sudo, `make demo` and `make test`. Wants root and debootstrap.
fresh:
	@sh scripts/python_version.sh "$(PYTHON)"
	@sh scripts/debian_packages.sh fresh
	@"$(PYTHON)" scripts/fresh_machine.py $(DEBIAN:%=--debian %) $(RUN:%=--run %)

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The wheel in an empty environment of every Python from 3.10 to 3.13 that is on this machine.
wheel-check: $(STAMP)
	@$(BIN)/python scripts/wheel_check.py

# An environment without pip is what a failed `python3 -m venv` left: it is made anew.
$(STAMP): pyproject.toml
	@sh scripts/python_version.sh "$(PYTHON)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); } || \
	 { rm -rf $(VENV); echo "no environment could be made; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest dist build demo .mypy_cache .ruff_cache .pytest_cache
