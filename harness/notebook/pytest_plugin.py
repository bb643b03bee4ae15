"""pytest plugin: board tests of one's own. `harness_run("model.bin")` in a test, boards by marker, suites as tests.

pytest loads this in every project of its environment: nothing of harness, numpy or paramiko is imported before a
test wants a board. `-p no:harness` leaves no trace of it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.notebook.board_tests import BoardOfTest
    from harness.notebook.loaded import LoadedRun

MARKER = "harness_board"
RUN, BOARD = "harness.run", "harness.board"  # of a test's properties: they cross to the controller of xdist
_OPTIONS = (
    (
        "board",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "board for tests whose marker names none; repeatable",
        },
    ),
    ("suite", {"default": "", "metavar": "FILE", "help": "suite.yaml whose pairs are collected as tests, one each"}),
    ("hosts", {"default": "", "metavar": "FILE", "help": "hosts.yaml; default as of every command of harness"}),
    ("runs", {"default": "", "metavar": "DIR", "help": "folder for run folders (default: runs)"}),
    (
        "junit",
        {
            "default": "",
            "metavar": "FILE",
            "help": "JUnit XML of what was judged on boards, valid for Jenkins' xUnit plugin",
        },
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, and ini keys of the same names for all but --harness-board."""
    group = parser.getgroup("harness")
    for name, settings in _OPTIONS:
        group.addoption(f"--harness-{name}", **settings)
        if name != "board":
            parser.addini(f"harness_{name}", f"as --harness-{name}", default="")
    parser.addini("harness_wait_s", "seconds to wait for a board that another test uses", default="600")


def setting(config: pytest.Config, name: str) -> str:
    """A setting: the option, else $HARNESS_<NAME>, else the ini key, which is relative to the ini file."""
    given = str(config.getoption(f"harness_{name}") or os.environ.get(f"HARNESS_{name.upper()}", ""))
    if given:
        return given
    written = str(config.getini(f"harness_{name}"))
    return str(config.rootpath / written) if written else ""


def pytest_configure(config: pytest.Config) -> None:
    """The marker, the suite among what is collected, and the writer of --harness-junit."""
    config.addinivalue_line(
        "markers",
        'harness_board(name, **tags): board of this test, by name ("x5-01") or by tags (soc="x5", tag="nightly")',
    )
    suite = setting(config, "suite")
    if suite:
        path = Path(suite).resolve()
        if not path.is_file():
            raise pytest.UsageError(f"{suite}: no such suite (from --harness-suite)")
        config.args.append(str(path))
    if setting(config, "junit") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_JUnitWriter(Path(setting(config, "junit")).absolute()), "harness-junit")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The suite of --harness-suite; no other file is looked at."""
    suite = setting(parent.config, "suite")
    if not suite or file_path.suffix not in (".yaml", ".yml") or file_path.resolve() != Path(suite).resolve():
        return None
    return _SuiteCollector.from_parent(parent, path=file_path)


def pytest_collection_finish(session: pytest.Session) -> None:
    """SIGTERM, with which CI cancels, ends a session that uses boards as Ctrl-C does: they are cleaned up."""
    uses = any(isinstance(item, _PairItem) or _uses_board(item) for item in session.items)
    is_main = threading.current_thread() is threading.main_thread()
    if uses and is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _uses_board(item: pytest.Item) -> bool:
    return bool({"harness_board", "harness_run"} & set(getattr(item, "fixturenames", ())))


# --------------------------------------------------------------------------- fixtures


@pytest.fixture
def harness_board(request: pytest.FixtureRequest) -> Iterator[BoardOfTest]:
    """The board of this test, this test's alone: `.name`, `.soc`, `.platform`. Skips where there is none of that kind.

    A board that does not answer is an error of the set-up, not a failure of the test.
    """
    from harness.notebook.board_tests import chosen, used

    names, tags = _wanted(request.node)
    config = request.config
    names = names or list(config.getoption("harness_board"))
    board = chosen(names, tags, setting(config, "hosts"))
    if isinstance(board, str):
        pytest.skip(board)
    request.node.user_properties.append((BOARD, board.name))
    with used(board, float(config.getini("harness_wait_s"))) as ready:
        yield ready


@pytest.fixture
def harness_run(harness_board: BoardOfTest, request: pytest.FixtureRequest) -> Callable[..., LoadedRun]:
    """`harness_run("model.bin", inputs=[...], reference=...)` runs it on the test's board, as `harness.run` does.

    A run that is measured and bad fails the test, with its headline and the report; `check=False` hands it out.
    """
    from harness.notebook.board_tests import run_on

    config = request.config

    def run(model: str | Path, *, check: bool = True, **more: Any) -> LoadedRun:
        runs = Path(setting(config, "runs") or "runs").absolute()
        loaded, words = run_on(harness_board, model, runs, setting(config, "hosts"), more)
        request.node.user_properties.append((RUN, str(loaded.folder)))
        if check and words:
            pytest.fail(words, pytrace=False)
        return loaded

    return run


def _wanted(item: pytest.Item) -> tuple[list[str], list[str]]:
    """Names and tags of the nearest marker. Errors: UsageError for what is neither."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return [], []
    if not all(isinstance(word, str) and word for word in (*marker.args, *marker.kwargs.values())):
        raise pytest.UsageError(f'{item.nodeid}: @pytest.mark.{MARKER}("x5-01") or (soc="x5"), got {marker}')
    tags = [value if key == "tag" else f"{key}={value}" for key, value in marker.kwargs.items()]
    return list(marker.args), tags


# --------------------------------------------------------------------------- suites


class _SuiteCollector(pytest.File):
    """The pairs of a suite, settled before the first of them runs."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test a pair: `suite.yaml::case[board]`. Errors: CollectError for a suite that cannot be run."""
        from harness.errors import HarnessError
        from harness.notebook.board_tests import pairs_of

        try:
            pairs = pairs_of(self.path, setting(self.config, "hosts"))
        except HarnessError as error:
            raise self.CollectError(f"{error.message}\nhint: {error.hint}") from None
        for pair in pairs:
            yield _PairItem.from_parent(self, name=f"{pair.case.name}[{pair.board.name}]", pair=pair)


class _PairItem(pytest.Item):
    """One case on one board. What was not measured is an error of its set-up."""

    def __init__(self, *, pair: Any, **more: Any) -> None:
        super().__init__(**more)
        self._pair = pair
        self._cell: Any = None
        self.fixturenames: tuple[str, ...] = ()  # plugins of others (labgrid's) ask every item for it

    def setup(self) -> None:
        """Measure. Errors: those that pytest shows as an error or a skip."""
        from harness.notebook.board_tests import measured_pair

        self.user_properties.append((BOARD, self._pair.board.name))
        runs = Path(setting(self.config, "runs") or "runs").absolute()
        cell = measured_pair(self._pair, self.path, runs)
        if cell.run:
            self.user_properties.append((RUN, str(runs.parent / cell.run)))
        if cell.reason == "stopped":
            raise KeyboardInterrupt
        if cell.reason == "maintenance":
            pytest.skip(cell.detail)
        if cell.word == "unmeasured":
            pytest.fail(f"unmeasured ({cell.reason}): {cell.detail}", pytrace=False)
        self._cell = cell

    def runtest(self) -> None:
        """Errors: pytest's failure for what is measured and bad."""
        cell = self._cell
        if cell.word in ("differs", "slower"):
            pytest.fail(f"{cell.word}: {cell.detail}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands, for pytest."""
        return self.path, None, self.name


# --------------------------------------------------------------------------- --harness-junit


class _JUnitWriter:
    """Collects what was judged on boards, of all workers of xdist, and writes it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: dict[str, None] = {}
        self._broken: list[tuple[str, str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note runs, and tests of boards that had none because they broke."""
        facts = dict(report.user_properties)
        self._runs.update(dict.fromkeys(str(value) for key, value in report.user_properties if key == RUN))
        if report.failed and BOARD in facts and RUN not in facts:
            self._broken.append((report.nodeid, str(facts[BOARD]), str(report.longrepr)))

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        from harness.notebook.board_tests import write_junit

        write_junit(self._path, list(self._runs), self._broken)
