"""What an earlier run says beside this one, and the waivers of the policy, as tables and sentences."""

from __future__ import annotations

from harness.records import Earlier, LatencyChange, LayerChanges, Run, TimePart, WaiverOfRun
from harness.records.codec import to_json
from harness.report.tables.times import finite
from harness.report.values import Row, plain, shortened, time_us
from harness.runs.previous import change_in_words

_KINDS = ("worse", "better", "no_longer_compared", "newly_compared")
_NAMED = 3  # layers in a sentence


def previous_table(run: Run) -> Row | None:
    """{"run", "started_utc", "passed_over", "verdict", "changed", "layers", "latency", "sentences"}, or None."""
    earlier = run.previous
    if earlier is None or earlier.why_none:
        return None
    row: Row = {
        "run": earlier.run,
        "started_utc": earlier.started_utc,
        "passed_over": earlier.passed_over,
        "verdict": to_json(earlier.verdict),
        "changed": to_json(earlier.changed),
        "layers": _layer_changes(earlier.layers),
        "latency": _latency(earlier.latency),
    }
    return row | {"sentences": _sentences(row, earlier, run.gate)}


def _layer_changes(layers: LayerChanges) -> Row:
    return {"both": layers.both} | {kind: to_json(getattr(layers, kind)) for kind in _KINDS}


def _latency(latency: LatencyChange) -> Row:
    return {
        "before_us": finite(latency.before_us),
        "now_us": finite(latency.now_us),
        "percent": finite(latency.percent),
        "low_percent": finite(latency.low_percent),
        "high_percent": finite(latency.high_percent),
        "basis": latency.basis,
        "mean_before_us": finite(latency.mean_before_us),
        "mean_now_us": finite(latency.mean_now_us),
        "why_not": latency.why_not,
        "estimated": latency.estimated,
        "parts": [_part(part) for part in latency.parts],
    }


def _part(part: TimePart) -> Row:
    return {"part": part.part, "before_us": finite(part.before_us), "now_us": finite(part.now_us)}


def _sentences(compared: Row, earlier: Earlier, gate: str) -> list[str]:
    verdict, latency, layers = compared["verdict"], compared["latency"], compared["layers"]
    words = [verdict[key].replace("_", " ") for key in ("before", "now")]
    sentence = f"the verdict is the same, {words[1]}" if words[0] == words[1] else f"{words[0]} before, {words[1]} now"
    sentences = [f"{sentence} ({verdict['change']})" if verdict["change"] in ("better", "worse") else sentence]
    sentences += [_layers(layers[kind], kind) for kind in _KINDS if layers[kind]]
    if latency["why_not"]:
        sentences.append(f"latency not compared: {latency['why_not']}")
    elif latency["percent"] is not None:
        mark = " (estimated)" if latency["estimated"] else ""
        times = [time_us(latency[key]) for key in ("before_us", "now_us")]
        sentences.append(f"latency {times[0]} before, {times[1]} now: {change_in_words(earlier.latency)}{mark}")
    if gate == "undecided":
        limit, more = earlier.max_slower_percent or 0.0, _MORE.get(latency["basis"], "")
        sentences.append(f"whether that is more than the {limit:g} % allowed is undecided (gate: undecided): {more}")
    if earlier.passed_over:
        sentences.append(f"{shortened(earlier.passed_over, 200)} (--previous RUN takes one of them)")
    if compared["changed"]:
        sentences.append(f"changed: {', '.join(shortened(row['what'], 60) for row in compared['changed'][:6])}")
    return sentences


_MORE = {
    "frames": "more --frames, or --rounds 5, narrow the interval",
    "rounds": "more --rounds narrow the interval",
    "bounds": "the tool prints least, mean and most only; --rounds 5 gives an interval",
}


def _layers(changed: list[Row], kind: str) -> str:
    """`2 layers worse: conv2_out (exact to differs), ...`"""
    named = [f"{shortened(row['name'], 60)} ({_change_sentence(row)})" for row in changed[:_NAMED]]
    more = ", ..." if len(changed) > _NAMED else ""
    count = f"{plain(len(changed))} layer{'' if len(changed) == 1 else 's'}"
    return f"{count} {kind.replace('_', ' ')}: {', '.join(named)}{more}"


def _change_sentence(row: Row) -> str:
    return f"{row['before']} to {row['now']}".replace("_", " ")


def policy_waivers(run: Run) -> list[Row]:
    """Every waiver of the policy that judged: {"op", "tensor", "reason", "until", "ended", "layers", "bounds"}."""
    return [_waiver(waiver) for waiver in run.policy.waivers] if run.policy else []


_BOUNDS = ("max_step", "mismatch_share", "relative_l2")


def _waiver(waiver: WaiverOfRun) -> Row:
    bounds = {key: getattr(waiver, key) for key in _BOUNDS}
    return {
        "op": waiver.op,
        "tensor": waiver.tensor,
        "reason": waiver.reason,
        "until": waiver.until,
        "ended": waiver.ended,
        "layers": waiver.layers,
        "bounds": ", ".join(f"{key.replace('_', ' ')} {plain(b)}" for key, b in bounds.items() if b is not None),
    }


def noise_sentence(three_way: list[Row]) -> str:
    """What the float model says of the board's noise, in a line: the worst layers by name, or that none stands out."""
    if not three_way:
        return ""
    compared = [row for row in three_way if row.get("word") != "not_compared"]
    worst = [row for row in compared if row.get("word") in ("look", "differs")]
    if not compared:
        return "no layer is in the float model"
    seen = f"{plain(len(compared))} of {plain(len(three_way))} layers have a float tensor"
    if not worst:
        return f"{seen}, no noise ratio above the limits"
    named = ", ".join(f"{shortened(row.get('name'), 60)} {plain(row.get('ratio'))}" for row in worst[:_NAMED])
    return f"{seen}; noise above quantization's: {named}{', ...' if len(worst) > _NAMED else ''}"
