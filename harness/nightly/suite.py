"""suite.yaml: what a night runs, on which boards, within which limits. What a person may write, and its defaults.

`suite.schema.json` beside this file is its JSON Schema, made of the models: `python -m harness.nightly.suite` prints
it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from harness.config import StrictFile, line_of, load_file
from harness.errors import ConfigError
from harness.names import safe_name

SCHEMA = Path(__file__).with_name("suite.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"


Files = list[str] | dict[str, str]


class SuitePart(StrictFile):
    """Base of every part of a suite: no number is infinite, and none is NaN."""

    model_config = ConfigDict(allow_inf_nan=False)


class BoardsOfCaseFile(SuitePart):
    """`boards:`: which boards a case is for. A board must have every tag; `soc=x5` and `platform=hbdnn` are tags too.

    `pick`: `each` is a matrix, each of these boards runs the case; `any` is one of them, chosen before the night.
    """

    names: list[str] = []
    tags: list[str] = []
    pick: Literal["each", "any"] = "each"


class CaseLimitsFile(SuitePart):
    """`limits:` of a case, seconds: of one mode on the board, and of the whole case with all that is around it."""

    timeout_s: float | None = Field(default=None, gt=0)
    budget_s: float = Field(default=3600.0, gt=0)


class LatencyFile(SuitePart):
    """`latency:` of a case: how it is measured, and when it is slower.

    `blocks` separate profile runs with `pause_s` between them; the night's value is the median of their medians. Of a
    board that is hotter than `start_c` nothing is measured: it is waited for, `cool_s` at most. A session whose
    frames or blocks drift by more than `max_drift_percent`, or whose clocks went down, is no point. A change is
    confirmed in one sitting with the last good model, unless `confirm: false`: then it has to last.
    """

    blocks: int = Field(default=3, ge=1, le=100)
    pause_s: float = Field(default=0.0, ge=0, le=3600)
    start_c: float | None = Field(default=None, gt=0, le=150)
    cool_s: float = Field(default=300.0, ge=0)
    max_drift_percent: float = Field(default=2.0, gt=0)
    max_slower_percent: float = Field(default=2.0, ge=0)
    confirm: bool = True


class CaseOfSuiteFile(SuitePart):
    """One case. Paths are relative to the suite's folder; `{soc}`, `{platform}` and `{board}` in them are the board's.

    Without `modes:` a case runs all that the platform has; one of `pick: any` all but profile.
    """

    model: str = ""
    inputs: Files = []
    samples: Files = []
    truth: str = ""
    reference: str = ""
    modes: list[str] = []
    policy: str = ""
    min_coverage: float | None = Field(default=None, ge=0, le=100)
    model_name: str = ""
    core: int | str = 0
    threads: int = Field(default=1, ge=1)
    frames: int = Field(default=200, ge=1)
    repeat: int = Field(default=1, ge=1)
    pull: Literal["differing", "all", "none"] = "differing"
    options: dict[str, str | int | float] = {}
    boards: BoardsOfCaseFile | None = None
    limits: CaseLimitsFile = CaseLimitsFile()
    latency: LatencyFile = LatencyFile()


class HealthFile(SuitePart):
    """`health:`: a known model with known values and a known time, run on a board that is in doubt before its next job.

    `reference` holds the known values; `max_us` is the longest usual latency of a board that is well. `clean_checks` in
    a row make a bad board good again.
    """

    model: str
    inputs: Files = []
    reference: str
    max_us: float | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    clean_checks: int = Field(default=2, ge=1, le=10)


class NightLimitsFile(SuitePart):
    """`limits:` of the night: seconds in all, for a board that somebody else has, tries of the way to a board, and
    which share of a board's cells makes its alarms an incident."""

    budget_s: float = Field(default=10 * 3600.0, gt=0)
    wait_s: float = Field(default=600.0, ge=0)
    retries: int = Field(default=2, ge=0, le=10)
    retry_pause_s: float = Field(default=5.0, ge=0)
    incident_percent: float = Field(default=20.0, gt=0, le=100)


class SuiteFile(SuitePart):
    """The whole suite.yaml. `defaults` holds for every case that does not say otherwise.

    `known`: a file of known issues, or a command that prints one. `history`: the URL of the history's database.
    `keep_models`: models of so many nights are kept, so that tonight's can be measured beside the last good one.
    """

    suite: str
    cases: dict[str, CaseOfSuiteFile]
    defaults: CaseOfSuiteFile = CaseOfSuiteFile()
    boards: BoardsOfCaseFile = BoardsOfCaseFile()
    health: HealthFile | None = None
    limits: NightLimitsFile = NightLimitsFile()
    power_cycle: bool = True
    notify: list[str] = []
    known: str | list[str] = ""
    history: str = ""
    keep_models: int = Field(default=28, ge=0)

    def case(self, name: str) -> CaseOfSuiteFile:
        """A case with what `defaults` says in its place."""
        values = [one.model_dump(exclude_unset=True) for one in (self.defaults, self.cases[name])]
        return CaseOfSuiteFile.model_validate(_merged(*values))

    def boards_of(self, name: str) -> BoardsOfCaseFile:
        """Which boards a case is for: its own word, the defaults', the suite's."""
        return self.case(name).boards or self.boards


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """`above` wins, key by key inside `limits` and `latency` too; lists and other mappings are taken whole."""
    merged = {**below, **above}
    for key in ("limits", "latency"):
        one, other = below.get(key), above.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            merged[key] = {**one, **other}
    return merged


def load_suite(path: Path) -> SuiteFile:
    """Read a suite. Errors: ConfigError with file, line and what to write."""
    suite = load_file(path, SuiteFile)
    _refuse_name(path, ("suite",), suite.suite)
    if not suite.cases:
        raise ConfigError(f"{path}:{line_of(path, ('cases',))}: cases: no case in it", "add one: a name with `model:`")
    for name in suite.cases:
        _refuse_name(path, ("cases", name), name)
        _refuse_contradictions(path, name, suite)
    return suite


def _refuse_name(path: Path, place: tuple[str, ...], name: str) -> None:
    if not re.fullmatch(_NAME, name) or safe_name(name) != name:
        raise ConfigError(
            f"{path}:{line_of(path, place)}: {place[0]}: {name!r} cannot be a folder's name",
            "use letters, digits, `_`, `.` and `-`, at most 80",
        )


def _refuse_contradictions(path: Path, name: str, suite: SuiteFile) -> None:
    """What the types cannot say of a case. Errors: ConfigError with the line."""
    case, boards = suite.case(name), suite.boards_of(name)
    where = ("cases", name)

    def wrong(key: str, message: str, hint: str) -> ConfigError:
        return ConfigError(f"{path}:{line_of(path, (*where, key))}: cases.{name}: {message}", hint)

    if not case.model:
        raise wrong("model", "missing key 'model'", "add `model:`, the compiled file")
    if boards.pick == "any" and "profile" in case.modes:
        raise wrong("modes", "a latency needs one board that it is pinned to, and `pick: any` takes another each night",
                    "write `pick: each`, or leave `profile` out of `modes:`")  # fmt: skip
    if case.samples and case.inputs:
        raise wrong("samples", "`samples:` and `inputs:` cannot be used together", "leave one of them out")
    if case.truth and not case.samples:
        raise wrong("truth", "`truth:` needs `samples:`", "add `samples:`, or leave it out")
    if isinstance(case.samples, list) and len(case.samples) > 1:
        raise wrong("samples", "several folders without a tensor's name", "write `samples: {tensor: folder}`")


# --------------------------------------------------------------------------- the schema that is shipped


def schema_text() -> str:
    """The JSON Schema of suite.yaml, as it is shipped: editors and `check-jsonschema` take it."""
    schema = SuiteFile.model_json_schema()
    return json.dumps({"$schema": _DIALECT, **schema}, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
