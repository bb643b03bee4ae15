"""The aarch64 Python of this PC, kept in the user's cache: 50 MB are not fetched for every run of the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.emulator.ort.arm64 import arm_python
from harness.errors import HostError


@pytest.fixture(scope="session")
def arm(_own_homes: None) -> Path:
    """The `armpy` command; skips where it cannot be set up, with the reason."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    os.environ.setdefault("HARNESS_ARM64", f"{cache}/harness")
    try:
        return arm_python()
    except HostError as error:
        pytest.skip(f"{error.message} ({error.hint})")
