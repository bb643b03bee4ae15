"""A run folder -> profile, comparison, findings and the run's verdict. Needs no board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.consistency.checks import reference_check, repeatability
from harness.consistency.checks.fed_inputs import fed_pairs, with_fed_inputs
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import load_policy, waiver_record
from harness.consistency.reading.hashed import HashedDump, hashed_files
from harness.consistency.stages import with_stages
from harness.diagnosis import find
from harness.diagnosis.fed import InputView
from harness.diagnosis.plan import find_beside, join, read_build
from harness.diagnosis.segments import explained
from harness.diagnosis.steps import steps_of
from harness.dumps.folders import each_once
from harness.errors import MEASURED_BAD, HarnessError, InputError
from harness.platforms.base import Platform
from harness.platforms.emulated import with_estimate
from harness.profiling import order_of_dumps, profile
from harness.profiling.distribution import merged, usual_us
from harness.records import (
    Case,
    Checks,
    Comparison,
    DebugVsRelease,
    Determinism,
    Dump,
    Earlier,
    Finding,
    Gap,
    Graph,
    Latency,
    ModelInfo,
    ModeOfRun,
    OpTime,
    PolicyOfRun,
    Profile,
    Run,
)
from harness.records.callbacks import ProgressCallback
from harness.reference.beside import check_runtime
from harness.reference.folder import refuse_no_reference
from harness.reference.graph import read_graph
from harness.review import identity, preflight
from harness.review.case_reference import CaseReference
from harness.review.dump_specs import DumpSpecs
from harness.review.identity import command_of
from harness.review.timeline import timeline_of
from harness.review.verdict import gated_checks, not_measured, verdict
from harness.runs import baseline, previous, resume
from harness.runs import folder as store
from harness.toolchains import read_any
from harness.toolchains.vendor_runtime import is_compiled


def check_before(case: Case) -> Case:
    """Refuse what cannot be judged, before a board is touched. Errors: InputError, ConfigError."""
    _check_references(case)
    if case.graph:
        read_graph(Path(case.graph))
    if case.mapping and not Path(case.mapping).is_file():
        what = "expected a mapping file, got a folder" if Path(case.mapping).is_dir() else "no such file"
        raise InputError(f"{case.mapping}: {what}", "--map takes a YAML file of lines `board tensor: reference tensor`")
    load_policy(case.policy)
    for path in case.build:
        if not path.exists():
            raise InputError(f"{path}: no such file (from --build)", "give a toolchain log or table")
    for path, artifact in ((path, read_any(path)) for path in case.build):
        if artifact is None:
            raise InputError(
                f"{path}: unrecognised file type (from --build)",
                "give the toolchain's log or tables; harness inspect --kinds lists the file types",
            )
        if not (artifact.nodes or artifact.estimates or artifact.similarities or artifact.messages):
            raise InputError(f"{path}: {artifact.title}: has no build data", "give the toolchain's log or tables")
    return case


def _check_references(case: Case) -> None:
    for given, what in ((case.reference, "reference"), (case.floats, "float reference")):
        if given:
            if not (is_compiled(Path(given)) and Path(given).is_file()):
                refuse_no_reference(Path(given), what)
            check_runtime(Path(given), case.reference_runtime)


@dataclass(frozen=True)
class Compared:
    """What the modes of a run left, held against the PC."""

    modes: tuple[ModeOfRun, ...]
    comparison: Comparison | None
    checks: Checks  # what the board says against itself, where nothing else was compared
    inputs: tuple[Finding, ...] = ()  # what speaks against the inputs, or the reference as a whole


class FirstLook:
    """Does a run speak against its board? Asked through `expected` while it is there; what it compared is kept."""

    def __init__(self, expected: CaseReference, tell: ProgressCallback) -> None:
        self.compared: Compared | None = None
        expected.doubted = self.is_bad
        self._expected, self._tell = expected, tell

    def is_bad(self, folder: Path) -> bool:
        """False, too, where it cannot be compared: judging says why."""
        self.compared = None
        with suppress(HarnessError):
            compared = self.compared = _compare(folder, store.load_run(folder), self._expected, self._tell)
            return verdict(compared.modes, compared.comparison, compared.checks).exit_code == MEASURED_BAD
        return False


def _compare(folder: Path, run: Run, expected: CaseReference, tell: ProgressCallback) -> Compared:
    reader = _reader(folder, run, expected.platform)
    views = preflight.views(folder, run, expected)
    comparison = _comparison(reader, expected, views, tell)
    suspicions = preflight.findings(views, run, expected, comparison)
    comparison = preflight.settled(comparison, suspicions)
    checks = Checks() if comparison else _over_time(reader, DumpSpecs(expected))
    return Compared(run.modes, comparison, checks, suspicions)


def _reader(folder: Path, run: Run, platform: Platform) -> RunReader:
    return RunReader(platform, folder, {mode.mode: mode for mode in run.modes})


def judge(folder: Path, expected: CaseReference, tell: ProgressCallback, compared: Compared | None = None) -> Run:
    """Read what a run left, judge it (by `compared`, where that is of these modes) and write it into its run.json.

    Returns the run. Errors: InputError where a file of this PC is not what it was when the run began.
    """
    run = store.load_run(folder)
    store.check_names(run, folder / "run.json")
    try:
        if compared is None or compared.modes != run.modes:
            compared = _compare(folder, run, expected, tell)
        run = _judged(_reader(folder, run, expected.platform), run, expected, compared, tell)
    except HarnessError:
        _refuse_changed(folder, expected.case, run)  # a file that is being written over looks damaged
        raise
    run = _refuse_changed(folder, expected.case, run)
    store.save_run(folder, run)
    resume.drop(folder)  # judged: from here on there is nothing to go on with
    return run


def _judged(reader: RunReader, run: Run, expected: CaseReference, compared: Compared, tell: ProgressCallback) -> Run:
    case, graph = expected.case, expected.network()
    comparison, checks = gated_checks(case, compared.comparison, compared.checks)
    tell("reading times", 0, -1)
    times = _profile(reader, graph)
    build = case.build or find_beside(case.model, case.model_name)
    plan = join(read_build(build), times, comparison) if build else None
    run = replace(
        run,
        profile=times,
        comparison=comparison,
        graph=graph if comparison is None else None,  # else the comparison keeps it
        checks=checks,
        policy=_policy(expected, comparison),
        plan=plan,
        memory=_memory(reader),
    )
    over_time = timeline_of(run, {turn: reader.latency(turn) for turn in reader.turns("profile")})
    run = replace(run, segmentation=explained(run, graph), timeline=over_time)
    tell("diagnosing", 0, -1)
    findings = (*compared.inputs, *find(run), *_pc_side(expected, run))
    run = replace(run, findings=findings, verdict=verdict(run.modes, comparison, checks))
    run = replace(run, steps=steps_of(run))
    return _held_against(case, run)


def _refuse_changed(folder: Path, case: Case, run: Run) -> Run:
    """Refuse a verdict by files that changed since the run began; of those that were sent, a note says so.

    Errors: InputError; what run.json says then is that nothing was measured.
    """
    kept = resume.load(folder).files if (folder / resume.FILE).is_file() else ()
    notes = [
        f"changed on this PC after upload (this run used the uploaded version): {identity.for_record(sentence, kept)}"
        for sentence in identity.differences(*identity.again(kept, identity.SENT))
    ]
    beside = () if case.build else find_beside(case.model, case.model_name)
    now = identity.take(identity.without(identity.files_of(case, beside), identity.SENT)) if kept else ()
    changed = identity.differences([one for one in kept if one.role not in identity.SENT], now)
    try:
        identity.refuse(changed, "this run began", command_of(run))
    except InputError as error:
        before, sentence = store.load_run(folder), identity.for_record(error.message, kept)
        problems, word = (*before.problems, sentence), not_measured(sentence)
        store.save_run(folder, replace(before, state="failed", stopped_at="judging", problems=problems, verdict=word))
        error.run_folder = folder
        raise
    return replace(run, notes=(*run.notes, *notes))


def _policy(expected: CaseReference, comparison: Comparison | None) -> PolicyOfRun | None:
    """The policy that judged, with all its waivers: also those that no layer needed, or that have ended."""
    if comparison is None:
        return None
    policy = load_policy(expected.case.policy or comparison.policy)
    layers = [(layer.op, layer.name) for layer in comparison.layers]
    return PolicyOfRun(policy.name, policy.source, waiver_record(policy, layers))


def _held_against(case: Case, run: Run) -> Run:
    if not case.previous or run.verdict is None:
        return run
    before, words = baseline.find_baseline(Path(case.previous), run)
    limit = case.max_slower_percent
    if before is None:
        return replace(run, gate="no_baseline", previous=Earlier(why_none=words, max_slower_percent=limit))
    earlier = replace(previous.against(before, run), passed_over=words, max_slower_percent=limit)
    word, gate = previous.judged(run.verdict, earlier.latency, limit)
    return replace(run, gate=gate, previous=earlier, verdict=word)


class RunReader:
    """What a run left on this PC, read through its platform's eyes."""

    def __init__(self, platform: Platform, folder: Path, modes: Mapping[str, ModeOfRun]) -> None:
        self.platform, self.folder, self.modes = platform, folder, modes
        self.info: ModelInfo = platform.read_model_info(self.log("info"))

    def log(self, mode: str) -> str:
        """What the mode's tool printed; "" without a log."""
        path = self.folder / mode / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def worked(self, mode: str) -> bool:
        """Whether the mode ran and did not fail."""
        return mode in self.modes and not self.modes[mode].failure

    def outputs(self, mode: str) -> tuple[Dump, ...]:
        """The model's outputs that the mode left."""
        return self.platform.read_outputs(self.folder / mode, self.log(mode), self.info)

    def layers(self, mode: str) -> tuple[Dump, ...]:
        """Per-layer dumps of a debug run; of any other mode none."""
        if not mode.startswith("debug"):
            return ()
        return self.platform.read_dumps(self.folder / mode, self.log(mode), self.info)

    def dumps(self, mode: str) -> tuple[Dump, ...]:
        """Layers and outputs that the mode left, each once."""
        return each_once(self.layers(mode), self.outputs(mode))

    def gaps(self, mode: str) -> tuple[Gap, ...] | None:
        """Layers that the dumps of a mode miss by their own numbers; None where they carry none."""
        return self.platform.gaps((*self.layers(mode), *self.outputs(mode)))

    def hashed(self, mode: str) -> dict[Path, HashedDump]:
        """Dumps that the board hashed and that were not pulled."""
        return hashed_files(self.folder / mode, self.modes[mode].files)

    def latency(self, mode: str) -> Latency | None:
        """The mode's end-to-end latency; None where it tells none."""
        return self.platform.read_latency(self.folder / mode, self.log(mode))

    def ops(self, mode: str) -> tuple[OpTime, ...]:
        """Times of single ops that the mode tells, in execution order."""
        return self.platform.read_ops(self.folder / mode, self.log(mode))

    def turns(self, kind: str) -> list[str]:
        """The runs of one mode that worked: "debug", "debug-2", ..."""
        return [mode for mode in self.modes if mode.split("-")[0] == kind and self.worked(mode)]


def _memory(reader: RunReader) -> dict[str, dict[str, int]]:
    """Figures in bytes of each mode that tells memory."""
    memory = {mode: reader.platform.read_memory(reader.folder / mode) for mode in reader.modes if reader.worked(mode)}
    return {mode: figures for mode, figures in memory.items() if figures}


def _pc_side(expected: CaseReference, run: Run) -> tuple[Finding, ...]:
    """Is this PC itself a sound reference? Asked where one was computed here and something is not equal."""
    if expected.reference is None or run.comparison is None:
        return ()
    return reference_check.check_run(expected.reference, run)


def _profile(reader: RunReader, graph: Graph | None) -> Profile | None:
    """Times of the profile mode's rounds; a release run alone still tells its latency.

    Ops are those of the round whose latency is in the middle: they belong to one run.
    """
    order = order_of_dumps(reader.layers("debug")) if reader.worked("debug") else ()
    for turns in (reader.turns("profile"), reader.turns("release")[:1]):
        timed = [(latency, turn) for turn in turns if (latency := reader.latency(turn)) is not None]
        if timed:
            middle = sorted(timed, key=lambda one: usual_us(one[0]))[(len(timed) - 1) // 2][1]
            ops, where = reader.ops(middle), reader.folder / middle
            measured = profile(merged([one for one, _ in timed]), ops, graph, order=order, folder=where)
            return with_estimate(measured, where)
    return None


def _comparison(
    reader: RunReader, expected: CaseReference, views: Sequence[InputView], tell: ProgressCallback
) -> Comparison | None:
    """The layers of the debug run, or the outputs of the release run; None when neither worked."""
    mode = next((mode for mode in ("debug", "release") if reader.worked(mode)), None)
    reference = expected.reference
    if mode is None or reference is None:
        return None
    dumps = (*preflight.fed_dumps(views, reader.dumps(mode), expected), *reader.dumps(mode))
    settings = _settings(reader, expected, mode, tell)
    comparison = compare(reference, dumps, settings)
    if stages := expected.all_stages():
        tell("comparing stages", 0, -1)
        own = Path(expected.case.reference)
        comparison = with_stages(comparison, stages, own, reference, dumps, settings, were_fed=True)
    kept = reader.platform.input_files(Path(expected.case.reference))
    comparison = with_fed_inputs(comparison, fed_pairs(kept, reader.folder / "inputs"), reference)
    names = _names(dumps, comparison)
    alone = _over_time(reader, DumpSpecs(expected, names))
    modes_compared = alone.debug_vs_release
    if modes_compared is not None and modes_compared.same is False:
        released = compare(reference, reader.outputs("release"), _settings(reader, expected, "release", tell))
        modes_compared = _both_judged(modes_compared, names, (comparison, released))
    return replace(
        comparison, extras=replace(comparison.extras, debug_vs_release=modes_compared, determinism=alone.determinism)
    )


def _settings(reader: RunReader, expected: CaseReference, mode: str, tell: ProgressCallback) -> CompareSettings:
    case = expected.case
    return CompareSettings(
        storages=reader.platform.storages,
        policy=load_policy(case.policy, case.min_coverage),
        mapping=Path(case.mapping) if case.mapping else None,
        model=Path(case.graph) if case.graph else None,
        board_model=Path(case.model) if reader.platform.runs_onnxruntime and case.model.suffix == ".onnx" else None,
        hypotheses=case.hypotheses,
        floats=expected.floats,
        platform=reader.platform.name,
        runs_onnxruntime=reader.platform.runs_onnxruntime,
        toolchain=reader.info.versions.get("builder", ""),
        repeats=[reader.dumps(turn) for turn in reader.turns(mode) if turn != mode],
        gaps=reader.gaps(mode),
        hashed=reader.hashed(mode),
        progress=tell,
    )


def _both_judged(
    modes_compared: DebugVsRelease, names: Mapping[str, str], comparisons: Sequence[Comparison]
) -> DebugVsRelease:
    """Whether outputs that two modes give differently are good in both: dumping layers takes an optimizer's fusions
    away, and floats then round in another way."""
    layers = [names.get(name, name) for name in modes_compared.differing]
    verdicts = [{layer.name: layer.verdict for layer in one.layers} for one in comparisons]
    within = all(one.get(layer) in ("exact", "within") for one in verdicts for layer in layers)
    sentence = "within the policy in both modes" if within else "not within the policy in every mode"
    return replace(modes_compared, within=within, detail=f"{modes_compared.detail}; {sentence}")


def _names(dumps: Sequence[Dump], comparison: Comparison) -> dict[str, str]:
    """Dump name -> layer name, in the order of the layers: many boards name a tensor in their own way."""
    by_file = {dump.path.name: dump.name for dump in dumps}
    return {by_file.get(layer.board_file, layer.name): layer.name for layer in comparison.layers}


def _over_time(reader: RunReader, known: DumpSpecs) -> Checks:
    """Do release and debug give the same outputs, and do repeats give the same values? Asked of the board alone."""
    repeated: dict[str, Determinism] = {}
    worked = [mode for mode in ("release", "debug") if reader.worked(mode)]
    by_mode = {mode: repeatability.hashes(reader.outputs(mode), known.resolve) for mode in worked}
    modes_compared = repeatability.debug_vs_release(by_mode) if len(by_mode) > 1 else None
    for kind in ("release", "debug"):
        turns = [_data(reader.dumps(turn)) for turn in reader.turns(kind)]
        if len(turns) > 1:
            repeats = [repeatability.hashes(dumps, known.resolve) for dumps in turns]
            renamed = [{known.names.get(name, name): value for name, value in run.items()} for run in repeats]
            order, by_file = known.order(turns[0], renamed)
            answer = repeatability.determinism(renamed, order)
            repeated[kind] = replace(answer, order="files" if by_file else "network")
    return Checks(debug_vs_release=modes_compared, determinism=repeated)


def _data(dumps: Sequence[Dump]) -> Sequence[Dump]:
    """What flows through the network: weights are the model's, and a tensor that an op reads is its producer's."""
    made = {dump.name for dump in dumps if dump.role == "output"}
    return [d for d in dumps if d.role == "output" or (d.role == "input" and d.name not in made)]
