"""A soak's run folder -> its turns over time, the first output that changed, the first failure, drift, and the word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from harness.consistency.checks import repeatability
from harness.consistency.checks.repeatability import WHOLE_FILE
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.platforms.base import Platform
from harness.platforms.emulated import latency_is_estimated
from harness.profiling.distribution import distribution
from harness.profiling.telemetry import Sense, senses_of_record
from harness.records import Run, Soak, SoakPlan, SoakStretch, Verdict
from harness.review.judge import RunReader
from harness.review.sweep import rate_of
from harness.runs import folder as store
from harness.runs import resume

LEAST_TURNS = 8  # for a drift between the first and the last quarter
MEMORY = "memory_available_bytes"  # as the agent calls it


def judge_soak(folder: Path, platform: Platform, plan: SoakPlan) -> Run:
    """Read what the turns gave and write it into run.json, whole or as far as the soak came. Returns the run."""
    run = store.load_run(folder)
    store.check_names(run, folder / "run.json")
    reader = RunReader(platform, folder, {mode.mode: mode for mode in run.modes})
    stretches = _with_outputs(reader, tuple(_stretches(reader, run)))
    last_s = max((m.at_s + (m.duration_s or 0.0) for m in run.modes if m.at_s is not None), default=0.0)
    estimated = any(latency_is_estimated(folder / one.mode) for one in stretches if one.usual_us is not None)
    run = replace(run, soak=replace(soak_of(stretches, plan, last_s), estimated=estimated))
    if run.state == "complete" and run.soak is not None:
        run = replace(run, verdict=word_on(run.soak))
        resume.drop(folder)
    store.save_run(folder, run)
    return run


# --------------------------------------------------------------------------- one turn


def _stretches(reader: RunReader, run: Run) -> Iterable[SoakStretch]:
    senses = {sense_phase: [] for sense_phase in reader.modes}  # type: dict[str, list[Sense]]
    for sense in senses_of_record(run.telemetry):
        senses.setdefault(sense.phase, []).append(sense)
    memory: dict[str, list[float]] = {}
    for sample in run.telemetry.samples:
        value = sample.values.get(MEMORY)
        if isinstance(value, int | float):
            memory.setdefault(sample.phase, []).append(float(value))
    for mode in run.modes:
        if mode.at_s is None or mode.mode.split("-")[0] != "profile":
            continue
        other = "release" + mode.mode.removeprefix("profile")
        failure = mode.failure or (reader.modes[other].failure if other in reader.modes else None)
        stretch = SoakStretch(mode.at_s, mode.mode, failure=failure)
        stretch = _with_senses(stretch, senses[mode.mode], memory.get(mode.mode, []))
        yield _with_latency(reader, stretch)


def _with_senses(stretch: SoakStretch, senses: Sequence[Sense], memory: Sequence[float]) -> SoakStretch:
    hot: dict[str, float] = {}
    slow: dict[str, float] = {}
    for sense in senses:
        for name, value in sense.temperatures_c.items():
            hot[name] = max(value, hot.get(name, value))
        for name, value in sense.clocks_mhz.items():
            slow[name] = min(value, slow.get(name, value))
    return replace(stretch, temperatures_c=hot, clocks_mhz=slow, memory_available_bytes=min(memory) if memory else None)


def _with_latency(reader: RunReader, stretch: SoakStretch) -> SoakStretch:
    latency = reader.latency(stretch.mode) if reader.worked(stretch.mode) else None
    if latency is None:
        return stretch
    known = distribution(latency)
    return replace(
        stretch,
        usual_us=known.median_us if known else latency.mean_us,
        low_us=known.low_us if known else None,
        high_us=known.high_us if known else None,
        max_us=latency.max_us,
        fps=rate_of(latency),
        frames=latency.frames,
    )


def _with_outputs(reader: RunReader, stretches: Sequence[SoakStretch]) -> tuple[SoakStretch, ...]:
    """Outputs of every turn by the valid bytes of their files, held against those of the first turn that has any."""
    first: dict[str, str] = {}
    answers = []
    for stretch in stretches:
        mode = "release" + stretch.mode.removeprefix("profile")
        hashed = repeatability.hashes(reader.outputs(mode)) if reader.worked(mode) else {}
        first = first or hashed
        answers.append(replace(stretch, differing=_differing(first, hashed) if hashed else None))
    return tuple(answers)


def _differing(first: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...] | None:
    """Outputs with other valid bytes; None where only whole files, padding included, could be hashed and differ."""
    unequal = [name for name in dict.fromkeys([*first, *now]) if first.get(name) != now.get(name)]
    sure = [name for name in unequal if not (first.get(name, "") + now.get(name, "")).startswith(WHOLE_FILE)]
    return tuple(sure) if sure or not unequal else None


# --------------------------------------------------------------------------- all of them


def soak_of(stretches: Sequence[SoakStretch], plan: SoakPlan, lasted_s: float) -> Soak:
    """What the turns say together."""
    return Soak(
        stretches=tuple(stretches),
        planned_s=plan.duration_s,
        lasted_s=lasted_s,
        first_bad=next((place for place, one in enumerate(stretches) if one.differing), None),
        first_failure=next((place for place, one in enumerate(stretches) if one.failure), None),
        drift=drift_of([one.usual_us for one in stretches if one.usual_us is not None]),
        memory_drift_bytes=_change([m for one in stretches if (m := one.memory_available_bytes) is not None]),
        max_drift_percent=plan.max_drift_percent,
    )


def drift_of(values: Sequence[float]) -> float | None:
    """Median of the last quarter over that of the first, minus 1; None of fewer than LEAST_TURNS."""
    quarter = len(values) // 4
    if len(values) < LEAST_TURNS or median(values[:quarter]) <= 0:
        return None
    return median(values[-quarter:]) / median(values[:quarter]) - 1


def _change(values: Sequence[float]) -> float | None:
    quarter = len(values) // 4
    return median(values[-quarter:]) - median(values[:quarter]) if len(values) >= LEAST_TURNS else None


def word_on(soak: Soak) -> Verdict:
    """A changed output, a failure after turns that worked, or more drift than allowed is unsteady.

    A soak that measured nothing, or a turn of which nobody could compare the outputs, is never steady.
    """
    worked = [one for one in soak.stretches if one.usual_us is not None]
    compared = sum(one.differing is not None for one in soak.stretches)
    count = f"{len(soak.stretches)} turns in {soak.lasted_s / 3600:.2f} h"
    if not worked:
        first = next((one.failure.message for one in soak.stretches if one.failure), "no turn was run")
        return Verdict("not_measured", f"{count}: {first}", COULD_NOT_MEASURE)
    if sentence := _fault(soak):
        return Verdict("unsteady", f"{sentence}; {count}", MEASURED_BAD)
    if soak.max_drift_percent is not None and soak.drift is None:
        why = f"drift is not known of fewer than {LEAST_TURNS} turns (--max-drift)"
        return Verdict("not_measured", f"{count}: {why}", COULD_NOT_MEASURE)
    if compared < max(2, len(soak.stretches)):  # the first turn alone is compared with itself
        why = f"outputs of {compared} of {len(soak.stretches)} turns compared"
        return Verdict("not_measured", f"{count}: {why}", COULD_NOT_MEASURE)
    drift = f", latency drift {soak.drift:+.1%}" if soak.drift is not None else ""
    return Verdict("steady", f"outputs equal in {compared} turns, {count}{drift}", GOOD)


def _fault(soak: Soak) -> str:
    if soak.first_bad is not None:
        one = soak.stretches[soak.first_bad]
        names = ", ".join((one.differing or ())[:3])
        return f"output {names} changed, first in turn {soak.first_bad + 1} after {at_words(one.at_s)}"
    if soak.first_failure is not None:
        one = soak.stretches[soak.first_failure]
        message = one.failure.message if one.failure else ""
        return f"turn {soak.first_failure + 1} failed after {at_words(one.at_s)}: {message}"
    limit = soak.max_drift_percent
    if limit is not None and soak.drift is not None and soak.drift * 100 > limit:
        return f"latency drift {soak.drift:+.1%}, more than the {limit:g} % allowed"
    return ""


def at_words(seconds: float) -> str:
    """`2 h 13 min`, `4 min`, `12 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
