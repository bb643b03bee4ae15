"""The vendor's simulator for tests: prepared once on this machine, kept in the user's cache, shared by all workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.emulator.sophgo import environment
from harness.emulator.sophgo.packages import VERSION
from harness.emulator.sophgo.pythons import find_python
from harness.errors import HostError
from tests.profile import WHOLE

_NO_INDEX = ("No matching distribution", "Could not find a version", "ConnectionError", "Max retries")


@contextmanager
def prepared() -> Iterator[Path]:
    """The environment's folder, in HARNESS_SOPHGO while the context lasts. `prepare` holds a lock, so that of several
    workers one sets it up and the others wait. Tests are skipped, with the reason, where it cannot be there at all.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harness"
    before = os.environ.get(environment.ENVIRONMENT)
    os.environ[environment.ENVIRONMENT] = before or str(home / f"tpu-mlir-{VERSION}")
    try:
        yield _prepare()
    finally:
        if before is None:
            del os.environ[environment.ENVIRONMENT]


def _prepare() -> Path:
    """CI and `make soak` set it up (CI before its slow tests, `.ci/run`); elsewhere what is there is used."""
    if not environment.is_ready():
        try:
            find_python()
        except HostError as error:
            pytest.skip(str(error))  # "no CPython 3.10": an excuse of tests/gate.py
        if not WHOLE and not os.environ.get("CI"):
            pytest.skip("Sophgo's simulator is not prepared: make simulator")
    try:
        return environment.prepare()
    except HostError as error:
        if any(words in str(error) for words in _NO_INDEX):
            pytest.skip(f"Sophgo's simulator cannot be fetched: {error}")
        raise
