"""A run folder -> profile, comparison, findings and the run's verdict. Needs no board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import platforms, resume, store
from harness.consistency import pcside, temporal
from harness.consistency.compare import Settings, compare
from harness.consistency.pairing import board_spec
from harness.consistency.policy import load_policy
from harness.diagnosis import find
from harness.diagnosis.plan import find_beside, join, read_build
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, InputError
from harness.expectation import Expectation
from harness.platforms.base import Platform
from harness.platforms.horizon_estimates import latency_is_estimated
from harness.profiling import order_of_dumps, profile
from harness.records import Board, Case, Comparison, Dump, Finding, Graph, ModelInfo, Profile, TensorSpec, Verdict
from harness.reference import Reference
from harness.toolchains import read_any

Tell = Callable[[str, int, int], None]


def check_before(case: Case) -> Case:
    """Refuse what cannot be judged, before a board is touched. Errors: InputError, ConfigError."""
    if case.reference and not Path(case.reference).exists():
        raise InputError(f"{case.reference}: no such reference", "give a folder, an .npz or an ONNX on this PC")
    if case.mapping and not Path(case.mapping).is_file():
        raise InputError(f"{case.mapping}: no such mapping file", "a YAML file of lines `board name: reference name`")
    load_policy(case.policy)
    for path in case.build:
        if not path.exists():
            raise InputError(f"{path}: no such file (from --build)", "give a log or table of the toolchain")
    for path, artifact in ((path, read_any(path)) for path in case.build):
        if artifact is None:
            raise InputError(f"{path}: no reader knows this file", f"see what it is: harness inspect {path}")
        if not (artifact.nodes or artifact.estimates or artifact.similarities or artifact.messages):
            raise InputError(
                f"{path}: {artifact.title}: holds no plan of a build", "give the toolchain's log or tables"
            )
    return case


def judge(folder: Path, board: Board, expected: Expectation, tell: Tell) -> dict[str, Any]:
    """Read what a run left, judge it and write it into its run.json; returns the run."""
    run = store.load_run(folder)
    left = Left(platforms.load(board.platform), folder, {mode["mode"]: mode for mode in run["modes"]})
    comparison = _comparison(left, expected, tell)
    tell("reading times", 0, -1)
    times = _profile(left, expected.reference.graph if expected.reference else None)
    case = expected.case
    build = case.build or find_beside(case.model, case.model_name)
    plan = join(read_build(build), times, comparison) if build else None
    run |= {
        "profile": store.to_json(times),
        "comparison": store.to_json(comparison),
        "plan": store.to_json(plan),
        "memory": _memory(left),
    }
    tell("looking for causes", 0, -1)
    found = (*find(run, times, comparison, plan), *_pc_side(expected, run))
    run["findings"] = store.to_json(found)
    run["verdict"] = store.to_json(verdict(run["modes"], comparison))
    store.save_run(folder, run)
    resume.drop(folder)  # judged: from here on there is nothing to go on with
    return run


class Left:
    """What a run left on this PC, read through its platform's eyes."""

    def __init__(self, platform: Platform, folder: Path, modes: Mapping[str, Any]) -> None:
        self.platform, self.folder, self.modes = platform, folder, modes
        self.info: ModelInfo = platform.read_model_info(self.log("info"))

    def log(self, mode: str) -> str:
        path = self.folder / mode / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def worked(self, mode: str) -> bool:
        return mode in self.modes and not self.modes[mode]["failure"]

    def outputs(self, mode: str) -> tuple[Dump, ...]:
        return self.platform.read_outputs(self.folder / mode, self.log(mode), self.info)

    def layers(self, mode: str) -> tuple[Dump, ...]:
        """Per-layer dumps of a debug run; of any other mode none."""
        if not mode.startswith("debug"):
            return ()
        return self.platform.read_dumps(self.folder / mode, self.log(mode), self.info)

    def dumps(self, mode: str) -> tuple[Dump, ...]:
        """Layers and outputs; an output that was dumped in both ways counts once, with the spec of the model."""
        outputs = self.outputs(mode)
        known = {dump.name for dump in outputs}
        return (*(dump for dump in self.layers(mode) if dump.name not in known), *outputs)

    def turns(self, kind: str) -> list[str]:
        """The runs of one mode that worked: "debug", "debug-2", ..."""
        return [mode for mode in self.modes if mode.split("-")[0] == kind and self.worked(mode)]


def _memory(left: Left) -> dict[str, dict[str, int]]:
    """Figures in bytes of each mode that tells memory."""
    told = {mode: left.platform.read_memory(left.folder / mode) for mode in left.modes if left.worked(mode)}
    return {mode: figures for mode, figures in told.items() if figures}


def _pc_side(expected: Expectation, run: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Is this PC itself a sound reference? Asked where one was computed here and something is not equal."""
    if expected.reference is None or run["comparison"] is None:
        return ()
    return pcside.check_run(expected.reference, run)


def _profile(left: Left, graph: Graph | None) -> Profile | None:
    """Times of the profile mode; a release run alone still tells its latency."""
    order = order_of_dumps(left.layers("debug")) if left.worked("debug") else ()
    for mode in ("profile", "release"):
        if left.worked(mode):
            where, log = left.folder / mode, left.log(mode)
            latency = left.platform.read_latency(where, log)
            if latency is not None:
                found = profile(latency, left.platform.read_ops(where, log), graph, order=order, folder=where)
                return found if found.ops else replace(found, estimated=latency_is_estimated(where))
    return None


# --------------------------------------------------------------------------- comparison


def _comparison(left: Left, expected: Expectation, tell: Tell) -> Comparison | None:
    """The layers of the debug run, or the outputs of the release run; None when neither worked."""
    mode = next((mode for mode in ("debug", "release") if left.worked(mode)), None)
    reference, case = expected.reference, expected.case
    if mode is None or reference is None:
        return None
    settings = Settings(
        storages=left.platform.storages,
        policy=load_policy(case.policy),
        mapping=Path(case.mapping) if case.mapping else None,
        platform=left.platform.name,
        toolchain=left.info.versions.get("builder", ""),
        repeats=[left.dumps(turn) for turn in left.turns(mode) if turn != mode],
        progress=tell,
    )
    found = compare(reference, left.dumps(mode), settings)
    return replace(found, extras=found.extras | _over_time(left, reference, found))


def _over_time(left: Left, reference: Reference, comparison: Comparison) -> dict[str, Any]:
    """Do release and debug give the same outputs, and do repeats give the same bytes?"""
    extras: dict[str, Any] = {}
    resolve = _resolver(left, reference)
    by_mode = {mode: temporal.hashes(left.outputs(mode), resolve) for mode in ("release", "debug") if left.worked(mode)}
    if len(by_mode) > 1:
        extras["observer"] = temporal.observer(by_mode)
    order = [layer.name for layer in comparison.layers]
    for kind in ("release", "debug"):
        turns = left.turns(kind)
        if len(turns) > 1:
            repeats = [temporal.hashes(left.dumps(turn), resolve) for turn in turns]
            dumped = [name for name in order if any(name in repeat for repeat in repeats)]
            extras.setdefault("determinism", {})[kind] = temporal.determinism(repeats, dumped)
    return extras


def _resolver(left: Left, reference: Reference) -> temporal.Resolve:
    """The spec of a dump that has none of its own, by the reference's tensor of that name."""

    def resolve(dump: Dump) -> TensorSpec | None:
        tensor = reference.tensors.get(dump.name)
        return board_spec(tensor, dump, left.platform.storages) if tensor is not None else None

    return resolve


# --------------------------------------------------------------------------- the word


def verdict(modes: Sequence[Mapping[str, Any]], comparison: Comparison | None) -> Verdict:
    """One word for the run. A mode that failed can never be good; nothing compared is never consistent.

    Instability comes first: the layers of an unstable run say little. Then what the comparison found; then a debug
    build that computes something else than the release build, whose layers are those of another run.
    """
    failed = [mode for mode in modes if mode["failure"]]
    extras = comparison.extras if comparison else {}
    if comparison is not None:
        word = temporal.final_verdict(comparison.verdict, extras)
        if word.exit_code == MEASURED_BAD:
            return word
    if extras.get("observer", {}).get("same") is False:
        return Verdict("diverges", extras["observer"]["detail"], MEASURED_BAD)
    if failed:
        return not_measured(f"{failed[0]['mode']}: {failed[0]['failure']['message']}")
    if comparison is None:
        return Verdict("not_compared", "measured; no reference was given, so nothing was compared", GOOD)
    return comparison.verdict


def not_measured(why: str) -> Verdict:
    """The word on a run that could not be made."""
    return Verdict("not_measured", why, COULD_NOT_MEASURE)
