"""Which case runs on which board, settled before the night: what no board can run is an error now, not at 4 o'clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import platforms
from harness.boards.inventory import has_tag
from harness.config import line_of, nearest
from harness.errors import ConfigError, HarnessError
from harness.nightly.suite import BoardsOfCaseFile, CaseOfSuiteFile, Files, HealthFile, SuiteFile
from harness.records import Board, BoardIdentity, Case, SamplesPlan
from harness.review import judge
from harness.review.chosen_stages import ChosenStages, with_beside
from harness.session import check_case
from harness.session.judged import refuse_noise

PROFILE = "profile"


@dataclass(frozen=True)
class CasePair:
    """One case on one board, with everything that its run needs. `is_pinned`: its latency is judged over nights."""

    case: Case
    board: Board
    budget_s: float
    is_pinned: bool
    max_drift_percent: float = 2.0
    max_slower_percent: float = 2.0
    confirm: bool = True


@dataclass(frozen=True)
class LeftOut:
    """A board that its tags chose for a case, and that cannot run it."""

    case: str
    board: str
    reason: str


@dataclass(frozen=True)
class Pairing:
    """A whole night before it begins: pairs in the order of the suite, and what was left out of it."""

    pairs: tuple[CasePair, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def boards(self) -> dict[str, Board]:
        """Every board that has something to do, by name."""
        return {pair.board.name: pair.board for pair in self.pairs}


@dataclass
class _Load:
    """How much each board has to do so far: `pick: any` takes the one with the least."""

    pairs: Counter[str] = field(default_factory=Counter)

    def least(self, names: Sequence[str], unwanted: frozenset[str]) -> str:
        return min(names, key=lambda name: (name in unwanted, self.pairs[name], name))


def settle(
    path: Path,
    suite: SuiteFile,
    inventory: Mapping[str, Board],
    own: Sequence[Board],
    unwanted: frozenset[str] = frozenset(),
) -> Pairing:
    """CasePair every case of the suite at `path` with its boards.

    `inventory` is every board by name; tags choose among `own`. `unwanted` boards (bad, in maintenance) are taken for
    `pick: any` only where there is no other. Errors: ConfigError for a case that no board can run, and for a board that
    is named and cannot run its case, with the reason; InputError for files that are not there.
    """
    load = _Load()
    pairs: list[CasePair] = []
    left_out: list[LeftOut] = []
    for name in suite.cases:
        fits, unfit = _fitting(path, suite, name, inventory, own)
        boards = suite.boards_of(name)
        if boards.pick == "any":
            chosen = load.least(sorted(fits), unwanted)
            fits = {chosen: fits[chosen]}
        load.pairs.update(fits.keys())
        pairs += fits.values()
        left_out += unfit
    _check_health(path, suite, pairs)
    return Pairing(tuple(pairs), tuple(left_out))


def _check_health(path: Path, suite: SuiteFile, pairs: Sequence[CasePair]) -> None:
    """The health check must be there for every kind of board of the night. Errors: ConfigError."""
    if suite.health is None:
        return
    for board in {(p.board.identity.platform, p.board.identity.soc): p.board for p in pairs}.values():
        try:
            _check(health_case(path.parent, suite.health, board.identity), board)
        except HarnessError as error:
            place = f"{path}:{line_of(path, ('health',))}: health: {board.name}"
            raise ConfigError(f"{place}: {error.message}", error.hint) from error


def _fitting(
    path: Path, suite: SuiteFile, name: str, inventory: Mapping[str, Board], own: Sequence[Board]
) -> tuple[dict[str, CasePair], list[LeftOut]]:
    boards = suite.boards_of(name)
    fits: dict[str, CasePair] = {}
    unfit: list[LeftOut] = []
    for board in _chosen(path, name, boards, inventory, own):
        try:
            fits[board.name] = _pair(path.parent, suite, name, board)
        except HarnessError as error:
            if board.name in boards.names or isinstance(error, ConfigError):
                raise ConfigError(f"{_place(path, name)}: {board.name}: {error.message}", error.hint) from error
            unfit.append(LeftOut(name, board.name, error.message))
    if not fits:
        raise ConfigError(
            f"{_place(path, name)}: no board can run it: {unfit[0].board}: {unfit[0].reason}",
            f"harness boards list; {len(unfit)} boards have its tags",
        )
    return fits, unfit


def _place(path: Path, name: str) -> str:
    return f"{path}:{line_of(path, ('cases', name))}: cases.{name}"


def _chosen(
    path: Path, name: str, wanted: BoardsOfCaseFile, inventory: Mapping[str, Board], own: Sequence[Board]
) -> list[Board]:
    """Errors: ConfigError for a name that is no board, and for tags that none has."""
    for board in wanted.names:
        if board not in inventory:
            raise ConfigError(f"{_place(path, name)}: no board {board!r}", nearest(board, list(inventory)))
    boards = [inventory[board] for board in dict.fromkeys(wanted.names)]
    if wanted.tags or not wanted.names:
        boards += [b for b in own if b.name not in wanted.names and all(has_tag(b, tag) for tag in wanted.tags)]
    if not boards:
        tags = " and ".join(repr(tag) for tag in wanted.tags)
        raise ConfigError(f"{_place(path, name)}: no board has the tag {tags}", "harness boards list shows the tags")
    return boards


# --------------------------------------------------------------------------- one case on one board


def _pair(folder: Path, suite: SuiteFile, name: str, board: Board) -> CasePair:
    """Errors: InputError, ConfigError for a case that this board cannot run."""
    written, identity = suite.case(name), board.identity
    case = _case(folder, suite, name, written, identity, board.limits.timeout_s)
    platform = platforms.load(identity.platform)
    if not case.modes:
        modes = tuple(mode for mode in platform.modes if suite.boards_of(name).pick == "each" or mode != PROFILE)
        case = replace(case, modes=modes)
    _check(case, board)
    latency = written.latency
    is_pinned = PROFILE in case.modes
    percents = latency.max_drift_percent, latency.max_slower_percent
    return CasePair(case, board, written.limits.budget_s, is_pinned, *percents, latency.confirm)


def _check(case: Case, board: Board) -> None:
    """What would be refused in the night is refused now. Errors: InputError, ConfigError."""
    platform = platforms.load(board.identity.platform)
    for _, file in case.inputs:
        if not file.is_file():
            raise ConfigError(f"{file}: no such input file", "paths are relative to the suite's folder")
    check_case(platform, board.identity, board.folders.work, case)
    judge.check_before(case)
    refuse_noise(case)


def _case(
    folder: Path, suite: SuiteFile, name: str, written: CaseOfSuiteFile, identity: BoardIdentity, timeout_s: float
) -> Case:
    """The case as the session takes it."""

    def path(text: str) -> str:
        return str((folder / filled(text, identity)).absolute()) if text else ""

    model = Path(path(written.model))
    chosen = ChosenStages(path(written.reference), "", ())
    if model.is_file() and not written.samples:
        chosen = with_beside(model, written.model_name, chosen)
    samples = SamplesPlan(_named(path, written.samples), path(written.truth)) if written.samples else None
    return Case(
        name=name,
        model=model,
        inputs=_named(path, written.inputs),
        reference=chosen.reference,
        floats=chosen.floats,
        stages=chosen.others,
        automatic=chosen.automatic,
        left_out=chosen.left_out,
        modes=tuple(written.modes),
        policy=_policy(folder, written.policy),
        min_coverage=written.min_coverage,
        model_name=written.model_name,
        core=written.core,
        threads=written.threads,
        frames=written.frames,
        repeat=written.repeat,
        rounds=written.latency.blocks,
        pause_s=written.latency.pause_s,
        start_c=written.latency.start_c,
        cool_s=written.latency.cool_s,
        pull=written.pull,
        options={key: str(value) for key, value in written.options.items()},
        timeout_s=written.limits.timeout_s or timeout_s,
        wait_s=suite.limits.wait_s,
        samples=samples,
    )


def health_case(folder: Path, health: HealthFile, identity: BoardIdentity) -> Case:
    """The health check as a case: release, and profile where a time is known."""
    text = {key: str((folder / filled(getattr(health, key), identity)).absolute()) for key in ("model", "reference")}
    named = _named(lambda file: str((folder / filled(file, identity)).absolute()), health.inputs)
    platform = platforms.load(identity.platform)
    wanted = ("release", PROFILE) if health.max_us is not None else ("release",)
    return Case(
        name="health",
        model=Path(text["model"]),
        inputs=named,
        reference=text["reference"],
        modes=tuple(mode for mode in wanted if mode in platform.modes),
        hypotheses=False,
        timeout_s=health.timeout_s,
    )


def filled(text: str, identity: BoardIdentity) -> str:
    """A path of the suite with what it says of its board in place."""
    facts = {"{soc}": identity.soc, "{platform}": identity.platform, "{board}": identity.name}
    for word, value in facts.items():
        text = text.replace(word, value)
    return text


def _named(path: Callable[[str], str], files: Files) -> tuple[tuple[str, Path], ...]:
    pairs = files.items() if isinstance(files, dict) else [("", file) for file in files]
    return tuple((name, Path(path(file))) for name, file in pairs)


def _policy(folder: Path, text: str) -> str:
    """A built-in name as it is, a file as a path that means the same from another folder."""
    return str((folder / text).absolute()) if text and (folder / text).is_file() else text


def settled_again(
    path: Path, suite: SuiteFile, inventory: Mapping[str, Board], pairs: Sequence[tuple[str, str]]
) -> tuple[CasePair, ...]:
    """The pairs of a night that is gone on with, each on the board that it was settled for.

    Errors: ConfigError where a case or a board of them is gone, or fits no more.
    """
    again = []
    for case, board in pairs:
        if case not in suite.cases or board not in inventory:
            raise ConfigError(f"{path}: {case} on {board}: no longer in suite and inventory", "start a new night")
        again.append(_pair(path.parent, suite, case, inventory[board]))
    return tuple(again)
