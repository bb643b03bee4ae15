"""Shared by all tests: nothing of the user's own is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_homes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Emulated boards, keys and inventories of the tests live in their own folders, one per worker."""
    base = tmp_path_factory.mktemp("homes")
    os.environ["HARNESS_HOME"] = str(base / "harness")
    os.environ["XDG_CONFIG_HOME"] = str(base / "config")
    os.environ["XDG_STATE_HOME"] = str(base / "state")
    os.environ.pop("HARNESS_HOSTS", None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of a run, for things that are built once; guard it with a lock."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return folder
