"""A run as tables: everything the page, report.json, the Markdown and the terminal summary show. Pure.

The result is plain JSON with the keys named in docs/report.md; numbers are raw, with their unit in the key.
"""

from __future__ import annotations

import shlex

from harness.profiling.telemetry import senses_of_record
from harness.report.private import LEFT_OUT, without_private
from harness.report.reach import Row, items, rows, section
from harness.report.tables.checks import checks, output_rows, repeat_rows
from harness.report.tables.headline import headline
from harness.report.tables.layers import (
    counts,
    coverage,
    hashed_sentence,
    layer_rows,
    origin_rows,
    standing_by_op,
    waiver_rows,
)
from harness.report.tables.link import input_rows, memory_rows, notes, timing_rows, traffic
from harness.report.tables.plan import plan_table
from harness.report.tables.previous import policy_waivers, previous_table
from harness.report.tables.subgraphs import with_subgraphs
from harness.report.tables.times import exceeds, time_table
from harness.report.values import text, whole

FORMAT = 1
_RUN_KEYS = ("id", "state", "stopped_at", "started_utc", "finished_utc", "duration_s", "harness_version")


def tables(run: Row) -> Row:
    """All tables of one run.json. Errors: InputError where a part has the wrong shape."""
    comparison = section(run, "comparison")
    layers = layer_rows(comparison)
    origins = origin_rows(comparison, layers, graph_of(run))
    covered, standing_counts = coverage(comparison), counts(layers)
    modes = [mode_row(mode) for mode in rows(run, "modes")]
    outputs = output_rows(section(comparison, "extras"), layers)
    waivers, standings = waiver_rows(layers), standing_by_op(layers)
    profile = section(run, "profile")
    time = time_table(profile, with_subgraphs(profile, layers, standings))
    found = {
        "format": FORMAT,
        "run": {key: run.get(key) for key in _RUN_KEYS},
        "headline": headline(run, covered, standing_counts, origins, waivers, outputs),
        "coverage": covered,
        "counts": standing_counts,
        "hashed": hashed_sentence(layers),
        "facts": facts(run, time),
        "numbers": numbers(time),
        "findings": finding_rows(run, modes),
        "layers": layers,
        "origins": origins,
        "comparison": comparison_facts(comparison, outputs),
        "repeats": repeat_rows(section(comparison, "extras") or section(run, "checks")),
        "own_checks": [] if comparison else checks(section(run, "checks"), [])["sentences"],
        "waivers": waivers,
        "policy_waivers": policy_waivers(run),
        "previous": previous_table(run),
        "plan": plan_table(run, standings, layers),
        "time": time,
        "memory": memory_rows(run),
        "telemetry": telemetry_rows(run),
        "modes": modes,
        "pushed": rows(run, "pushed"),
        "inputs": input_rows(run),
        "traffic": traffic(run),
        "timings": timing_rows(run),
        "model": {key: spec_rows(section(run, "model_info"), key) for key in ("inputs", "outputs")},
        "environment": environment(run),
        "notes": notes(run),
        "problems": problems(run),
    }
    return without_private(found, run)


def graph_of(run: Row) -> Row:
    """The logical graph, where the run carries it."""
    return section(run, "graph") or section(section(run, "comparison"), "extras", "graph")


def facts(run: Row, time: Row | None) -> list[Row]:
    """What was measured where, in short: label, value, and a flag for what must not be overlooked."""
    board, case = section(run, "board"), section(run, "case")
    model = section(case, "model")
    found = [
        *_flags(board, time, rows(case, "inputs")),
        _fact("board", board.get("name")),
        _fact("soc", _joined(board.get("soc"), board.get("platform"))),
        *(_fact(name, value) for name, value in section(run, "versions").items()),
        _fact("model", model.get("name"), model.get("md5")),
        *(_input_fact(row) for row in rows(case, "inputs")),
        _reference_fact(section(case, "reference"), section(run, "comparison", "reference")),
        _fact("date", run.get("started_utc")),
        _fact("host", _joined(section(run, "host").get("os"), section(run, "host").get("cpu"))),
        _fact("harness", run.get("harness_version")),
    ]
    return [fact for fact in found if fact["value"]]


def _fact(label: str, value: object, md5: object = "", flag: str = "") -> Row:
    return {"label": label, "value": text(value), "md5": text(md5), "flag": flag}


def _input_fact(row: Row) -> Row:
    named = text(row.get("name"))
    shown = f"seeded noise ({named})" if row.get("generated") is True else named
    tensor = text(row.get("tensor"))
    label = "input" if named.startswith(f"{tensor}.") else f"input {tensor}".strip()
    return _fact(label, shown, row.get("md5"))


def _reference_fact(reference: Row, compared: Row) -> Row:
    md5 = reference.get("md5") or reference.get("source_md5") or section(compared, "provenance").get("source_md5")
    return _fact("reference", reference.get("name"), md5)


def _joined(*parts: object) -> str:
    return " \u00b7 ".join(text(part) for part in parts if part)


def _flags(board: Row, time: Row | None, inputs: list[Row]) -> list[Row]:
    found = []
    if board.get("emulated"):
        found.append(_fact("EMULATED", "no board was measured", flag="emulated"))
    if time and time["estimated"]:
        found.append(_fact("ESTIMATED", _estimate(time), flag="estimated"))
    noise = [text(row.get("tensor")) for row in inputs if row.get("generated") is True]
    if noise:
        found.append(_fact("NOISE", f"no input was given: seeded noise was fed to {', '.join(noise)}", flag="noise"))
    return found


def _estimate(time: Row) -> str:
    if not time["estimated_ops"]:
        return "times are estimates, no clock measured them"
    return f"times of {time['estimated_ops']} of {len(time['ops'])} ops, and what contains them"


def numbers(time: Row | None) -> list[Row]:
    """Key numbers: label, value, unit ("us", "fps", "count", "text"), share of end to end, estimated."""
    if time is None:
        return []
    found = _latency_numbers(time["latency"], time["estimated"]) if time["latency"] else []
    return found + [_part_number(part, exceeds(time)) for part in _grouped(time["split"])] + _loop_numbers(time)


def _number(label: str, value: object, unit: str, share: float | None = None, estimated: bool = False) -> Row:
    return {"label": label, "value": value, "unit": unit, "share": share, "estimated": estimated}


def _latency_numbers(latency: Row, estimated: bool) -> list[Row]:
    named = (("end to end, mean", "mean_us"), ("fastest", "min_us"), ("slowest", "max_us"))
    return [_number(label, latency[key], "us", None, estimated) for label, key in named if latency[key] is not None]


def _loop_numbers(time: Row) -> list[Row]:
    latency = time["latency"]
    if latency is None:
        return []
    rate = (
        [] if latency["fps"] is None else [_number("frames per second", latency["fps"], "fps", None, time["estimated"])]
    )
    named = ("frames", "threads")
    found = rate + [_number(key, latency[key], "count") for key in named if latency[key] is not None]
    return found + ([_number("core", text(latency["core"]), "text")] if text(latency["core"]) else [])


_PART_LABELS = {
    "quantize": "quantize/dequantize",
    "layout": "layout conversion",
    "other": "other ops",
    "unattributed": "unattributed",
}


def part_label(part: str) -> str:
    return _PART_LABELS.get(part, part)


def _grouped(split: list[Row]) -> list[Row]:
    """Parts that say something: units always, the rest where they are some time."""
    return [part for part in split if part["is_unit"] or (part["time_us"] or 0) > 0]


def _part_number(part: Row, overlapping: bool) -> Row:
    share = None if overlapping else part["share"]
    return _number(part_label(part["part"]), part["time_us"], "us", share, part["estimated"])


_FINDING_KEYS = ("rule", "severity", "title", "evidence", "advice", "subject")
_SEVERITIES = ("error", "warning", "note")


def finding_rows(run: Row, modes: list[Row]) -> list[Row]:
    """What to do, errors first. `failed` names the mode whose failure a finding is about: the page says it once."""
    broken = {mode["mode"]: mode["failure"]["message"] for mode in modes if mode["failure"]}
    found = [{key: text(row.get(key)) for key in _FINDING_KEYS} for row in rows(run, "findings")]
    for row in found:
        message = broken.get(row["subject"])
        row["failed"] = row["subject"] if message and message in row["evidence"] else ""
    return sorted(found, key=lambda row: _SEVERITIES.index(row["severity"]) if row["severity"] in _SEVERITIES else 3)


_SENSED = ("temperatures_c", "clocks_mhz", "load_percent", "voltages_mv")
_SENSED_TOO = ("max_clocks_mhz", "governors")  # read along, not drawn


def telemetry_rows(run: Row) -> list[Row]:
    """What the board sensed of itself: seconds, phase, and a map of figures per kind."""
    samples = rows(section(run, "telemetry"), "samples")
    told = [_sample(sample) for sample in samples]
    senses = senses_of_record({"samples": told})
    return [{"t_s": s.t_s, "phase": text(s.phase), **{k: section(vars(s), k) for k in _SENSED}} for s in senses]


def _sample(sample: Row) -> Row:
    """A sample whose maps are maps: their reader is lenient with everything else."""
    maps = {key: section(sample, key) for key in (*_SENSED, *_SENSED_TOO) if key in sample}
    return (
        {key: value for key, value in sample.items() if value is not None}
        | maps
        | {"problems": items(sample, "problems")}
    )


def spec_rows(info: Row, key: str) -> list[Row]:
    """Inputs or outputs as the board's own tool tells them."""
    return [_spec(spec) for spec in rows(info, key)]


def _spec(spec: Row) -> Row:
    quantization = section(spec, "quantization")
    return {
        "name": text(spec.get("name")),
        "dtype": text(spec.get("dtype")),
        "shape": items(spec, "shape"),
        "layout": text(spec.get("layout")),
        "aligned_shape": items(spec, "aligned_shape"),
        "scales": items(quantization, "scales"),
        "zero_points": items(quantization, "zero_points"),
        "axis": whole(quantization.get("axis")),
    }


def comparison_facts(comparison: Row, outputs: list[Row]) -> Row | None:
    """How it was compared, and what was checked besides layers."""
    if not comparison:
        return None
    return {
        "policy": text(comparison.get("policy")),
        "graph_source": text(comparison.get("graph_source")),
        "first_difference": text(comparison.get("first_difference")),
        "reference": section(comparison, "reference"),
        "notes": [text(note) for note in items(comparison, "notes")],
        "checks": checks(section(comparison, "extras"), outputs),
    }


def mode_row(mode: Row) -> Row:
    """One command that ran on the board, as it can be typed again."""
    files, failure = rows(mode, "files"), section(mode, "failure")
    settings = section(mode, "environment")
    return {
        "mode": text(mode.get("mode")),
        "command": shlex.join(text(word) for word in items(mode, "command")),
        "environment": {text(key): text(value) for key, value in settings.items()},
        "exit_code": whole(mode.get("exit_code")),
        "duration_s": mode.get("duration_s"),
        "folder": text(mode.get("folder")),
        "files": files,
        "files_bytes": sum(whole(file.get("bytes")) or 0 for file in files),
        "failure": {key: text(failure.get(key)) for key in ("kind", "message", "hint", "evidence")}
        if failure
        else None,
        "notes": [text(note) for note in items(mode, "notes")],
    }


def environment(run: Row) -> list[Row]:
    """Flat name-value pairs of board, host, versions, case and reference, grouped."""
    groups = {
        "Board": section(run, "board"),
        "Host": section(run, "host"),
        "Versions": section(run, "versions"),
        "Case": {key: value for key, value in section(run, "case").items() if key != "inputs"},
        "Run": {key: run.get(key) for key in _RUN_KEYS},
    }
    told = {group: list(_flat(value)) for group, value in groups.items() if value}
    return [
        {"group": group, "entries": [row for row in found if row["name"] not in LEFT_OUT.get(group, ())]}
        for group, found in told.items()
    ]


def _flat(value: Row, prefix: str = "") -> list[Row]:
    found: list[Row] = []
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, dict):
            found += _flat(entry, f"{name}.")
        elif isinstance(entry, list) and any(isinstance(item, dict) for item in entry):
            for position, item in enumerate(entry):
                found += _flat(item if isinstance(item, dict) else {"": item}, f"{name}[{position}].")
        elif entry not in (None, "", []):
            found.append({"name": name, "value": _shown(entry)})
    return found


def _shown(entry: object) -> str:
    if isinstance(entry, list):
        return ", ".join(_shown(item) for item in entry)
    return ("yes" if entry else "no") if isinstance(entry, bool) else text(entry)


def problems(run: Row) -> list[str]:
    """Everything that could not be read or done, from the run and from its parts."""
    info = section(run, "model_info")
    latency = section(run, "profile", "latency")
    places = ((run, "problems"), (info, "problems"), (latency, "problems"))
    told = [entry for holder, key in (*places, (section(run, "plan"), "problems")) for entry in items(holder, key)]
    return list(dict.fromkeys(_problem(entry) for entry in told))


def _problem(entry: object) -> str:
    if isinstance(entry, dict):
        return "; ".join(f"{key}: {text(value)}" for key, value in entry.items() if value)
    return text(entry)
