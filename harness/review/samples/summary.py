"""What the samples of a run say together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, stdev

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.files.samples import open_samples
from harness.records import (
    Case,
    Comparison,
    Run,
    Sample,
    SampledLayer,
    SampledOutput,
    SamplesOfRun,
    TaskResult,
    Verdict,
)
from harness.records.samples import STAGES
from harness.review.samples import kept
from harness.review.samples.one import ORDER, worst_first
from harness.runs import folder as store
from harness.tasks.metric import METRICS, TaskMetric

Rows = Mapping[str, Sequence[kept.LayerFigures]]
NORMAL_95 = 1.96


def focus_of(samples: Mapping[str, Sample], stems: Sequence[str]) -> str:
    """The sample whose layers are compared in full: the worst that the board could run, else the first."""
    ran = [samples[stem] for stem in stems if stem in samples and samples[stem].verdict != "failed"]
    worst = min(ran, key=worst_first, default=None)
    return worst.stem if worst and worst.verdict != "exact" else stems[0]


def debugged_of(samples: Mapping[str, Sample], stems: Sequence[str], most: int) -> list[str]:
    """The first sample and the worst ones, without the one in focus, which the run itself compares."""
    focus = focus_of(samples, stems)
    bad = sorted((one for one in samples.values() if one.verdict == "differs"), key=worst_first)
    wanted = dict.fromkeys([stems[0], *(one.stem for one in bad)])
    able = [stem for stem in wanted if stem != focus and stem in samples and samples[stem].verdict != "failed"]
    return able[:most]


def with_samples(folder: Path, run: Run, case: Case) -> Run:
    """The run with all its samples, and the word on them; written into its run.json."""
    if case.samples is None:
        return run
    stems = open_samples(case.samples).stems
    samples = summary(folder, stems, run.comparison, bool(case.samples.truth))
    run = _with_word(run, samples, case)
    store.save_run(folder, run)
    return run


def summary(folder: Path, stems: Sequence[str], comparison: Comparison | None, has_truth: bool) -> SamplesOfRun:
    """Everything that the run folder keeps of them, put together."""
    known = kept.read(folder)
    samples = tuple(known.get(stem, Sample(stem, "failed", failure="not run")) for stem in stems)
    rows = dict(kept.read_layers(folder))
    focus = focus_of(known, stems)
    if comparison is not None:
        rows[focus] = [kept.figures_of(layer) for layer in comparison.layers]
    figures = kept.read_figures(folder)
    lost = [one for one in samples if one.quantization_relative_l2 is not None]
    return SamplesOfRun(
        total=len(samples),
        samples=samples,
        outputs=_outputs(samples),
        layers=_layers(rows),
        debugged=tuple(rows),
        tasks=_tasks(samples) if has_truth else (),
        worst=focus,
        first=stems[0],
        worst_of_quantization=max(lost, key=lambda one: one.quantization_relative_l2 or 0.0).stem if lost else "",
        pushes=figures.pushes,
        sent_bytes=figures.sent_bytes,
        pulled_bytes=figures.pulled_bytes,
        tool_s=round(sum(one.tool_s or 0.0 for one in samples), 3),
        session_s=figures.session_s,
        rss_mb=figures.rss_mb,
    )


def _outputs(samples: Sequence[Sample]) -> tuple[SampledOutput, ...]:
    names = dict.fromkeys(name for one in samples for name in one.outputs)
    counts = {name: [one.outputs.get(name, "not_compared") for one in samples if one.outputs] for name in names}
    return tuple(
        SampledOutput(name, *(words.count(word) for word in ("exact", "within", "differs", "not_compared")))
        for name, words in counts.items()
    )


def _layers(rows: Rows) -> tuple[SampledLayer, ...]:
    names = {row[0]: row for layers in rows.values() for row in layers}
    pairs = {name: [(stem, r) for stem, layers in rows.items() for r in layers if r[0] == name] for name in names}
    return tuple(_layer(name, names[name][1], names[name][2], pairs) for name, pairs in pairs.items())


def _layer(name: str, op: str, kind: str, pairs: Sequence[tuple[str, kept.LayerFigures]]) -> SampledLayer:
    compared = [(stem, row[3], row[4]) for stem, row in pairs if row[3] != "not_compared"]
    sizes = [size for _, _, size in compared if size is not None and math.isfinite(size)]
    worst = min(compared, key=lambda one: (ORDER.index(one[1]), -(one[2] or 0.0)), default=("", "not_compared", None))
    differs = sum(word == "differs" for _, word, _ in compared)
    figures = (worst[2], median(sizes), min(sizes)) if sizes else (worst[2], None, None)
    return SampledLayer(name, op, kind, len(compared), differs, worst[0], worst[1], *figures)


# --------------------------------------------------------------------------- the task


def _tasks(samples: Sequence[Sample]) -> tuple[TaskResult, ...]:
    """Metrics that some sample has; where there are none, each with what it needs."""
    metrics = METRICS.all()
    results = [_task(name, metric, samples) for name, metric in metrics.items()]
    used = [one for one in results if one.samples]
    return tuple(used) if used else tuple(results)


def _task(name: str, metric: TaskMetric, samples: Sequence[Sample]) -> TaskResult:
    """Means over the samples that have every stage, so that stages are compared on the same ones."""
    own = [one.tasks[name] for one in samples if name in one.tasks]
    stages = [stage for stage in STAGES if any(stage in values for values in own)]
    whole = [values for values in own if all(stage in values for stage in stages)]
    plain = TaskResult(name, metric.label, metric.unit, metric.higher_is_better)
    if not whole:
        return replace(plain, why_none=f"needs {metric.needs}")
    factor = 100.0 if metric.unit == "points" else 1.0
    means = {stage: factor * fmean(values[stage] for values in whole) for stage in stages}
    sign = factor if metric.higher_is_better else -factor
    cost = _cost([values for values in whole if {"float", "quantized"} <= set(values)], "float", "quantized", sign)
    board = _cost([values for values in whole if {"quantized", "board"} <= set(values)], "quantized", "board", sign)
    return replace(
        plain,
        samples=len(whole),
        means=means,
        quantization_cost=cost[0] if cost else None,
        quantization_low=cost[1] if cost else None,
        quantization_high=cost[2] if cost else None,
        board_cost=board[0] if board else None,
    )


def _cost(
    rows: Sequence[Mapping[str, float]], before: str, after: str, sign: float
) -> tuple[float, float | None, float | None] | None:
    """How much worse `after` is, with the 95 % interval of the paired mean; no interval for fewer than ten."""
    if not rows:
        return None
    lost = [sign * (row[before] - row[after]) for row in rows]
    mean = fmean(lost)
    if len(lost) < 10:
        return mean, None, None
    half = NORMAL_95 * stdev(lost) / math.sqrt(len(lost))
    return mean, mean - half, mean + half


# --------------------------------------------------------------------------- the word


def agreement(samples: SamplesOfRun) -> tuple[int, int]:
    """(samples on which every output agrees within the policy, samples whose outputs were compared)."""
    compared = [one for one in samples.samples if one.verdict in ("exact", "within", "differs")]
    return sum(one.verdict != "differs" for one in compared), len(compared)


def sentence_of(samples: SamplesOfRun) -> str:
    """`the board agrees with the quantized model on 499 of 500 samples`."""
    agreed, compared = agreement(samples)
    failed = [one for one in samples.samples if one.verdict == "failed"]
    other = samples.total - compared - len(failed)
    parts = [f"the board agrees with the reference on {agreed} of {compared} samples"] if compared else []
    parts += [f"{other} not compared"] if other else []
    parts += [f"{len(failed)} failed ({failed[0].stem}: {failed[0].failure})"] if failed else []
    return "; ".join(parts)


def _with_word(run: Run, samples: SamplesOfRun, case: Case) -> Run:
    """A run is as good as its worst sample: what the layers of one sample say does not hold for the others."""
    agreed, compared = agreement(samples)
    words, before = sentence_of(samples), run.verdict
    verdict = before
    if before is None or before.exit_code == GOOD:
        if agreed < compared:
            verdict = Verdict("diverges", f"{words}, on release runs alone", MEASURED_BAD)
        elif any(one.verdict == "failed" for one in samples.samples):
            verdict = Verdict("not_measured", words, COULD_NOT_MEASURE)
        elif case.reference and compared * 100 < _required_percent(case) * samples.total:
            allowed = "--min-coverage PERCENT allows it" if case.min_coverage is None else ""
            words = "; ".join(part for part in (words, allowed) if part)
            verdict = Verdict("not_measured", words, COULD_NOT_MEASURE)
    return replace(run, samples=samples, verdict=verdict)


def _required_percent(case: Case) -> float:
    """Of the samples, that must be compared: all, unless --min-coverage says less."""
    return 100.0 if case.min_coverage is None else case.min_coverage
