"""A run held against an earlier one: what was run, the verdict, layers, latency. Two run.json are all it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.profiling.distribution import distribution, ratio
from harness.records import (
    Change,
    Distribution,
    Earlier,
    LatencyChange,
    LayerChange,
    LayerChanges,
    Profile,
    Run,
    TimePart,
    Verdict,
    VerdictChange,
)

_RUN_RANK = {"consistent": 0, "consistent_within": 1, "consistent_accumulated": 2, "slower": 3, "diverges": 4}
_RUN_RANK |= {"not_deterministic": 4, "board_fault": 4}
_LAYER_RANK = {"exact": 0, "within": 1, "differs": 2}


def against(before: Run, now: Run) -> Earlier:
    """Both runs side by side, for run.json. What cannot be held against each other says why."""
    return Earlier(
        run=before.id,
        started_utc=before.started_utc,
        changed=tuple(_changes(before, now)),
        verdict=verdict_change(_word(before), _word(now)),
        layers=_layers(_standing(before), _standing(now)),
        latency=latency_change(before, now),
    )


def _word(run: Run) -> str:
    return run.verdict.word if run.verdict else ""


def judged(word: Verdict, latency: LatencyChange, max_slower_percent: float | None) -> tuple[Verdict, str]:
    """(the word on a good run, the gate's own word) once its latency is held against the earlier run's.

    Slower is only what all of the 95 % interval says. Without a limit there is no gate; a bad run keeps its word.
    """
    if max_slower_percent is None:
        return word, ""
    if latency.low_percent is None or latency.high_percent is None:
        why = f"latency cannot be compared with the previous run: {latency.why_not or NO_INTERVAL}"
        refused = Verdict("not_measured", f"{why} (--max-slower); {word.detail}", COULD_NOT_MEASURE)
        return (refused if word.exit_code == GOOD else word), "not_comparable"
    if latency.low_percent <= max_slower_percent:
        return word, "not_slower" if latency.high_percent <= max_slower_percent else "undecided"
    sentence = f"{latency.now_us:.0f} µs, previously {latency.before_us:.0f} µs: {change_in_words(latency)}"
    sentence += " (estimated)" if latency.estimated else ""
    detail = f"{sentence}, more than the {max_slower_percent:g} % allowed; {word.detail}"
    return (Verdict("slower", detail, MEASURED_BAD) if word.exit_code == GOOD else word), "slower"


NO_INTERVAL = "the tool prints a mean alone, which has no interval: use --rounds 5"


def change_in_words(latency: LatencyChange) -> str:
    """`+4.9 % (95 % interval +3.1 to +6.8 %)`; bounds are named as what they are."""
    change = f"{latency.percent:+.1f} %"
    if latency.low_percent is None or latency.high_percent is None:
        return change
    interval = f"{latency.low_percent:+.1f} to {latency.high_percent:+.1f} %"
    return f"{change} ({'bounds' if latency.basis == 'bounds' else '95 % interval'} {interval})"


# --------------------------------------------------------------------------- what was run


def _changes(before: Run, now: Run) -> Iterator[Change]:
    sides = [dict(_facts(run)) for run in (before, now)]
    for what in dict.fromkeys([*sides[0], *sides[1]]):
        values = [str(side.get(what, "")) for side in sides]
        if values[0] != values[1]:
            yield Change(what, *values)


def _facts(run: Run) -> Iterator[tuple[str, object]]:
    case, board = run.case, run.board
    yield "model (md5)", case.model.md5 if case.model else ""
    for fed in case.inputs:
        yield f"input {fed.tensor} (md5)", fed.md5
    yield "reference", case.reference.name if case.reference else "none"
    yield "policy", case.policy
    yield from (("model_name", case.model_name), ("core", case.core), ("threads", case.threads))
    yield from (("frames", case.frames), ("time_s", case.time_s))
    yield "load beside", case.beside or "none"
    yield "options", ", ".join(f"{key}={value}" for key, value in sorted(case.options.items()))
    yield from (("board name", board.name), ("board platform", board.platform), ("board soc", board.soc))
    yield from ((f"version of {name}", value) for name, value in run.versions.items())
    yield "harness", run.harness_version


# --------------------------------------------------------------------------- verdicts


def verdict_change(before: str, now: str) -> VerdictChange:
    """The words of two runs, and whether the second is better or worse."""
    return VerdictChange(before, now, _change(_RUN_RANK.get(before), _RUN_RANK.get(now), before == now))


def _change(before: int | None, now: int | None, same: bool) -> str:
    """`same`, `better`, `worse`, or `other` where one of the two cannot be ranked."""
    if same or before is None or now is None:
        return "same" if same else "other"
    return "same" if before == now else "better" if now < before else "worse"


def _standing(run: Run) -> dict[str, str]:
    """Verdict by layer."""
    return {layer.name: layer.verdict for layer in run.comparison.layers} if run.comparison else {}


def _layers(before: Mapping[str, str], now: Mapping[str, str]) -> LayerChanges:
    """Layers whose verdict is another one, by kind of change; how many were compared in both runs."""
    rows = [
        LayerChange(name, before.get(name, "not_compared"), now.get(name, "not_compared"))
        for name in dict.fromkeys([*now, *before])
    ]
    kinds = [(layer_change(row.before, row.now), row) for row in rows]
    return LayerChanges(
        both=sum(row.before in _LAYER_RANK and row.now in _LAYER_RANK for row in rows),
        worse=tuple(row for kind, row in kinds if kind == "worse"),
        better=tuple(row for kind, row in kinds if kind == "better"),
        no_longer_compared=tuple(row for kind, row in kinds if kind == "no_longer_compared"),
        newly_compared=tuple(row for kind, row in kinds if kind == "newly_compared"),
    )


def layer_change(before: str, now: str) -> str:
    """`better`, `worse`, `newly_compared` or `no_longer_compared`, of two verdicts; "" where they are the same."""
    ranks = _LAYER_RANK.get(before), _LAYER_RANK.get(now)
    change = _change(*ranks, before == now)
    if change in ("better", "worse"):
        return change
    if before == now:
        return ""
    return "newly_compared" if ranks[0] is None else "no_longer_compared"


# --------------------------------------------------------------------------- latency


def latency_change(before: Run, now: Run) -> LatencyChange:
    """Usual end-to-end latency of both, their ratio in percent where it means something, and the parts of the time."""
    profiles = [run.profile for run in (before, now)]
    known = [distribution(profile.latency) if profile else None for profile in profiles]
    means = [profile.latency.mean_us if profile else None for profile in profiles]
    usual = [one.median_us if one else mean for one, mean in zip(known, means, strict=True)]
    parts = [profile.split_us if profile else {} for profile in profiles]
    change = LatencyChange(
        before_us=usual[0],
        now_us=usual[1],
        mean_before_us=means[0],
        mean_now_us=means[1],
        why_not=_why_not(before, now),
        estimated=any(profile.estimated for profile in profiles if profile),
        parts=tuple(
            TimePart(part, parts[0].get(part), parts[1].get(part)) for part in dict.fromkeys([*parts[0], *parts[1]])
        ),
    )
    return change if change.why_not else _with_percent(change, known[0], known[1])


def _with_percent(change: LatencyChange, before: Distribution | None, now: Distribution | None) -> LatencyChange:
    """The change in percent, with its interval where both runs tell one."""
    if before is None or now is None:
        return replace(change, percent=((change.now_us or 0) / (change.before_us or 1) - 1) * 100)
    medians = ratio(before, now)
    basis = min((before.basis, now.basis), key=_WEAKEST_FIRST.index)
    percents = [(value - 1) * 100 for value in (medians.ratio, medians.low, medians.high)]
    return replace(change, percent=percents[0], low_percent=percents[1], high_percent=percents[2], basis=basis)


_WEAKEST_FIRST = ("bounds", "frames", "rounds")


def _why_not(before: Run, now: Run) -> str:
    """Why two latencies say nothing about each other; "" where they do."""
    for word, run in (("earlier", before), ("new", now)):
        if run.profile is None or not run.profile.latency.mean_us > 0:
            return f"the {word} run has none"
    assert before.profile is not None and now.profile is not None
    for what, first, second in _conditions(before.profile, now.profile):
        if first != second:
            return f"{what}: {first} before, {second} now"
    loads = [run.case.beside for run in (before, now)]
    if loads[0] != loads[1]:
        return f"load beside: {loads[0] or 'none'} before, {loads[1] or 'none'} now"
    chips = [(run.board.platform, run.board.soc, run.board.emulated) for run in (before, now)]
    return "" if chips[0] == chips[1] else "different SoCs, or one board is emulated"


def _conditions(before: Profile, now: Profile) -> Iterator[tuple[str, object, object]]:
    """Under which two latencies were measured, of both."""
    yield "measured by", before.source.split("-")[0], now.source.split("-")[0]
    yield "estimated", before.estimated, now.estimated
    yield "threads", before.latency.threads, now.latency.threads
    yield "core", before.latency.core, now.latency.core
    yield "warmup excluded", before.latency.warmup_excluded, now.latency.warmup_excluded
