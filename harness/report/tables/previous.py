"""What an earlier run says beside this one, and the waivers of the policy, as tables and sentences."""

from __future__ import annotations

from harness.report.reach import Row, rows, section
from harness.report.tables.times import finite
from harness.report.values import plain, shortened, text, time_us, whole

_KINDS = ("worse", "better", "no_longer_compared", "newly_compared")
_NAMED = 3  # layers in a sentence


def previous_table(run: Row) -> Row | None:
    """{"run", "started_utc", "verdict", "changed", "layers", "latency", "sentences"}; None where none was given."""
    told = section(run, "previous")
    if not told:
        return None
    layers, latency = section(told, "layers"), section(told, "latency")
    found: Row = {
        "run": text(told.get("run")),
        "started_utc": text(told.get("started_utc")),
        "verdict": {key: text(section(told, "verdict").get(key)) for key in ("before", "now", "change")},
        "changed": [_texts(row, "what", "before", "now") for row in rows(told, "changed")],
        "layers": {"both": whole(layers.get("both"))}
        | {kind: [_texts(row, "name", "before", "now") for row in rows(layers, kind)] for kind in _KINDS},
        "latency": {key: finite(latency.get(key)) for key in ("before_us", "now_us", "percent")}
        | {"why_not": text(latency.get("why_not")), "estimated": latency.get("estimated") is True}
        | {"parts": [_part(row) for row in rows(latency, "parts")]},
    }
    return found | {"sentences": _sentences(found)}


def _texts(row: Row, *keys: str) -> Row:
    return {key: text(row.get(key)) for key in keys}


def _part(row: Row) -> Row:
    return {"part": text(row.get("part"))} | {key: finite(row.get(key)) for key in ("before_us", "now_us")}


def _sentences(found: Row) -> list[str]:
    verdict, latency, layers = found["verdict"], found["latency"], found["layers"]
    words = [verdict[key].replace("_", " ") for key in ("before", "now")]
    told = f"the verdict is the same, {words[1]}" if words[0] == words[1] else f"{words[0]} before, {words[1]} now"
    said = [f"{told} ({verdict['change']})" if verdict["change"] in ("better", "worse") else told]
    said += [_layers(layers[kind], kind) for kind in _KINDS if layers[kind]]
    if latency["why_not"]:
        said.append(f"latency not held against it: {latency['why_not']}")
    elif latency["percent"] is not None:
        mark = " (estimated)" if latency["estimated"] else ""
        change = f"{latency['percent']:+.1f} %"
        said.append(f"latency {time_us(latency['before_us'])} before, {time_us(latency['now_us'])} now: {change}{mark}")
    if found["changed"]:
        said.append(f"not the same in both: {', '.join(shortened(row['what'], 60) for row in found['changed'][:6])}")
    return said


def _layers(changed: list[Row], kind: str) -> str:
    """`2 layers worse: conv2_out (exact to differs), ...`"""
    named = [f"{shortened(row['name'], 60)} ({_told(row)})" for row in changed[:_NAMED]]
    more = ", ..." if len(changed) > _NAMED else ""
    count = f"{plain(len(changed))} layer{'' if len(changed) == 1 else 's'}"
    return f"{count} {kind.replace('_', ' ')}: {', '.join(named)}{more}"


def _told(row: Row) -> str:
    return f"{row['before']} to {row['now']}".replace("_", " ")


def policy_waivers(run: Row) -> list[Row]:
    """Every waiver of the policy that judged: {"op", "tensor", "reason", "until", "ended", "layers", "bounds"}."""
    return [_waiver(row) for row in rows(section(run, "policy"), "waivers")]


_BOUNDS = ("max_step", "mismatch_share", "relative_l2")


def _waiver(row: Row) -> Row:
    bounds = ", ".join(f"{key.replace('_', ' ')} {plain(row[key])}" for key in _BOUNDS if row.get(key) is not None)
    return _texts(row, "op", "tensor", "reason", "until") | {
        "ended": row.get("ended") is True,
        "layers": whole(row.get("layers")),
        "bounds": bounds,
    }


def noise_sentence(three_way: list[Row]) -> str:
    """What the float model says of the board's noise, in a line: the worst layers by name, or that none stands out."""
    if not three_way:
        return ""
    compared = [row for row in three_way if row.get("word") != "not_compared"]
    worst = [row for row in compared if row.get("word") in ("look", "differs")]
    if not compared:
        return "no layer has a tensor of its name in the float model"
    seen = f"{plain(len(compared))} of {plain(len(three_way))} layers have a float tensor"
    if not worst:
        return f"{seen}, none with a noise ratio worth a look"
    named = ", ".join(f"{shortened(row.get('name'), 60)} {plain(row.get('ratio'))}" for row in worst[:_NAMED])
    return f"{seen}; noise beyond quantization's own: {named}{', ...' if len(worst) > _NAMED else ''}"
