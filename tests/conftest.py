"""Shared by all tests: nothing of the user's own is read or written."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.gate import (
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_runtest_teardown,
    pytest_terminal_summary,
)
from tests.support.kept import drop_kept

__all__ = [  # pytest's hooks
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
    "pytest_terminal_summary",
]

# The same examples on every run, so that a gate that was green stays green; HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("fast", max_examples=30, deadline=None, derandomize=True, database=None)
settings.register_profile("ci", parent=settings.get_profile("fast"), max_examples=100)
settings.register_profile("thorough", parent=settings.get_profile("fast"), max_examples=400)
settings.register_profile("explore", max_examples=2000, deadline=None, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "fast"))

# Tests start hundreds of Pythons: where byte code is not kept, each of them compiles harness again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # `.ci/run &`: what tests start would be deaf to Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Emulated boards, keys and inventories of the tests live in their own folders, one per worker."""
    base = tmp_path_factory.mktemp("homes")
    os.environ["HARNESS_HOME"] = str(base / "harness")
    os.environ["XDG_CONFIG_HOME"] = str(base / "config")
    os.environ["XDG_STATE_HOME"] = str(base / "state")
    os.environ.pop("HARNESS_HOSTS", None)
    yield
    drop_kept()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of a run, for things that are built once; guard it with a lock."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return folder
