"""Many samples as tables: what they say in sentences, each sample, each layer and each metric of the task."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import Run, SamplesOfRun, TaskResult
from harness.records.codec import to_json
from harness.report.tables.times import finite
from harness.report.values import Row, plain

MOST_ROWS = 400  # of the page's table: the worst first; all are in report.json
STAGE_WORDS = {"float": "float", "quantized": "quantized", "board": "board"}
ORDER = {"failed": 0, "differs": 1, "not_compared": 2, "within": 3, "exact": 4}


def samples_table(run: Run) -> Row | None:
    """{"sentences", "samples", "worst_first", "outputs", "layers", "tasks", ...}; None for a run of one sample."""
    samples = run.samples
    if samples is None:
        return None
    rows = [to_json(one) | {"place": place} for place, one in enumerate(samples.samples)]
    row: Row = to_json(samples)
    return row | {
        "sentences": sentences(samples),
        "samples": rows,
        "worst_first": sorted(rows, key=_badness)[:MOST_ROWS],
        "more": max(0, len(rows) - MOST_ROWS),
        "tasks": [_task(task) for task in samples.tasks],
        "overhead": samples.session_s / samples.tool_s if samples.tool_s else None,
    }


def _badness(row: Row) -> tuple[int, float, int]:
    size = row["relative_l2"]
    return ORDER.get(row["verdict"], 0), -(size if isinstance(size, int | float) else 0.0), row["place"]


def sentences(samples: SamplesOfRun) -> list[str]:
    """Agreement; per output where there are several; the task by stage; the worst samples."""
    lines = [_agreement(samples)]
    bad = [f"{one.name} differs on {one.differs}" for one in samples.outputs if one.differs]
    if len(samples.outputs) > 1 and bad:
        lines.append(f"per output: {', '.join(bad[:6])}")
    known = [task for task in samples.tasks if task.samples]
    lines += [task_sentence(task, samples.total) for task in known]
    if samples.tasks and not known:
        lines.append("no metric of the task fits outputs and truth: " + "; ".join(_needs(samples.tasks)))
    worst = next((one for one in samples.samples if one.stem == samples.worst), None)
    if worst is not None and worst.verdict in ("within", "differs"):
        size = finite(worst.relative_l2)
        at = f", relative L2 {size:.2e}" if size is not None else ""
        lines.append(f"worst sample {worst.stem}: {worst.output or 'outputs'} {worst.verdict}{at}")
    lossy = next((one for one in samples.samples if one.stem == samples.worst_of_quantization), None)
    if lossy is not None and finite(lossy.quantization_relative_l2):
        lines.append(f"quantization is worst on {lossy.stem}: relative L2 {lossy.quantization_relative_l2:.2e}")
    return lines


def _agreement(samples: SamplesOfRun) -> str:
    compared = [one for one in samples.samples if one.verdict in ("exact", "within", "differs")]
    agreed = sum(one.verdict != "differs" for one in compared)
    exact = sum(one.verdict == "exact" for one in compared)
    failed = [one for one in samples.samples if one.verdict == "failed"]
    others = samples.total - len(compared) - len(failed)
    parts = []
    if compared:
        parts.append(
            f"the board agrees with the quantized model on {agreed} of {len(compared)}"
            + (f" ({exact} exactly)" if exact < agreed else " (all exactly)" if agreed == len(compared) else "")
        )
    parts += [f"{others} not compared"] if others else []
    parts += [f"{len(failed)} failed, first {failed[0].stem}: {failed[0].failure}"] if failed else []
    return "; ".join(parts) or "no sample was run"


def task_sentence(task: TaskResult, total: int) -> str:
    """`top-1: float 71.2, quantized 70.0, board 70.0; quantization cost 1.2 points (0.1 to 2.3)`."""
    unit = " %" if task.unit == "points" else ""
    means = ", ".join(f"{STAGE_WORDS.get(stage, stage)} {value:.4g}{unit}" for stage, value in task.means.items())
    parts = [f"{task.label}: {means}"]
    if task.quantization_cost is not None:
        interval = ""
        if task.quantization_low is not None and task.quantization_high is not None:
            interval = f" (95 %: {task.quantization_low:.2g} to {task.quantization_high:.2g})"
        parts.append(f"quantization cost {_amount(task.quantization_cost, task)}{interval}")
    if task.board_cost:
        parts.append(f"the board {_amount(task.board_cost, task)} more")
    parts += [f"on {task.samples} of {total} samples"] if task.samples < total else []
    return "; ".join(parts)


def _amount(value: float, task: TaskResult) -> str:
    return f"{value:.3g}{' points' if task.unit == 'points' else ''}"


def _needs(tasks: Sequence[TaskResult]) -> list[str]:
    return [f"{task.label} {task.why_none}" for task in tasks]


def _task(task: TaskResult) -> Row:
    row: Row = to_json(task)
    return row | {"stages": [[stage, plain(value)] for stage, value in task.means.items()]}
