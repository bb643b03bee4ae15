"""A run as tables: everything the page, report.json, the Markdown and the terminal summary show. Pure.

The result is plain JSON with the keys named in docs/report.md; numbers are raw, with their unit in the key.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.profiling.telemetry import senses_of_record
from harness.records import (
    BoardOfRun,
    Checks,
    Comparison,
    FedInput,
    ModeOfRun,
    NetworkOps,
    Quantization,
    Run,
    TensorSpec,
)
from harness.records.codec import to_json
from harness.report.graph.network import graph_of, network_table
from harness.report.private import LEFT_OUT, without_private
from harness.report.tables.again import again
from harness.report.tables.checks import checks, output_rows, repeat_rows
from harness.report.tables.headline import headline
from harness.report.tables.jitter import jitter_table
from harness.report.tables.layers import (
    counts,
    coverage,
    hashed_sentence,
    layer_rows,
    origin_rows,
    standing_by_op,
    waiver_rows,
)
from harness.report.tables.link import input_rows, load_numbers, memory_rows, notes, timing_rows, traffic
from harness.report.tables.plan import plan_table
from harness.report.tables.previous import policy_waivers, previous_table
from harness.report.tables.samples import samples_table
from harness.report.tables.segmentation import segmentation_table
from harness.report.tables.soak import soak_table
from harness.report.tables.steps import step_rows
from harness.report.tables.subgraphs import with_subgraphs
from harness.report.tables.sweep import sweep_table
from harness.report.tables.times import exceeds, time_table
from harness.report.values import Row, as_json, text

FORMAT = 2
_RUN_KEYS = ("id", "state", "stopped_at", "started_utc", "finished_utc", "duration_s", "harness_version")


def tables(run: Run) -> Row:
    """All tables of one run. What is damaged in its record stands among the problems."""
    comparison = run.comparison
    extras = comparison.extras if comparison else Checks()
    layers = layer_rows(comparison)
    origins = origin_rows(comparison, layers, NetworkOps(graph_of(run).ops))
    covered, standing_counts = coverage(comparison, layers), counts(layers)
    modes = [mode_row(mode) for mode in run.modes]
    outputs = output_rows(extras, layers)
    waivers, standings = waiver_rows(layers), standing_by_op(layers)
    time = time_table(run.profile, with_subgraphs(run.profile, layers, standings))
    rows = {
        "format": FORMAT,
        "run": {key: to_json(getattr(run, key)) for key in _RUN_KEYS},
        "headline": headline(run, covered, standing_counts, origins, waivers, outputs),
        "coverage": covered,
        "counts": standing_counts,
        "hashed": hashed_sentence(layers),
        "facts": facts(run, time),
        "numbers": [*numbers(time), *load_numbers(run)],
        "findings": finding_rows(run, modes),
        "layers": layers,
        "origins": origins,
        "comparison": comparison_facts(comparison, outputs),
        "repeats": repeat_rows(extras if comparison else run.checks),
        "own_checks": [] if comparison else checks(run.checks, [])["sentences"],
        "waivers": waivers,
        "policy_waivers": policy_waivers(run),
        "previous": previous_table(run),
        "gate": run.gate,
        **_series(run),
        "segmentation": segmentation_table(run),
        "plan": plan_table(run, standings, layers),
        "network": network_table(run, layers, time),
        "time": time,
        "memory": memory_rows(run),
        **_over_time(run),
        "modes": modes,
        "pushed": to_json(run.pushed),
        "inputs": input_rows(run),
        "traffic": traffic(run),
        "timings": timing_rows(run),
        "model": model_tensors(run),
        "environment": environment(run),
        "notes": notes(run),
        "problems": problems(run),
    }
    return without_private(rows | {"steps": step_rows(run), "again": again(run)}, run)


def facts(run: Run, time: Row | None) -> list[Row]:
    """What was measured where, in short: label, value, and a flag for what must not be overlooked."""
    board, case = run.board, run.case
    rows = [
        *_load(case.beside, board.emulated),
        *_flags(board, time, case.inputs, _is_series_estimated(run)),
        _fact("board", board.name),
        _fact("soc", _joined(board.soc, board.platform)),
        *(_aside(name, value) for name, value in run.versions.items()),
        *([_fact("model", case.model.name, case.model.md5)] if case.model else []),
        *(_input_fact(fed) for fed in case.inputs),
        *_reference_facts(run),
        _fact("date", run.started_utc),
        _aside("host", _joined(run.host.os, run.host.cpu)),
        _fact("harness", run.harness_version),
    ]
    return [fact for fact in rows if fact["value"]]


def _fact(label: str, value: str, md5: str = "", flag: str = "") -> Row:
    return {"label": label, "value": value, "md5": md5, "flag": flag, "aside": False}


def _aside(label: str, value: str) -> Row:
    """A fact that is folded away at first."""
    return _fact(label, value) | {"aside": True}


def _input_fact(fed: FedInput) -> Row:
    shown = f"seeded noise ({fed.name})" if fed.generated else fed.name
    label = "input" if fed.name.startswith(f"{fed.tensor}.") else f"input {fed.tensor}".strip()
    return _fact(label, shown, fed.md5)


def _reference_facts(run: Run) -> list[Row]:
    reference = run.case.reference
    if reference is None:
        return []
    compared = run.comparison.reference.provenance.get("source_md5") if run.comparison else ""
    return [_fact("reference", reference.name, reference.md5 or reference.source_md5 or text(compared))]


def _joined(*parts: str) -> str:
    return " \u00b7 ".join(part for part in parts if part)


def _is_series_estimated(run: Run) -> bool:
    """Whether a sweep or a soak holds times that no clock measured."""
    swept = run.sweep.points if run.sweep else ()
    return any(point.estimated for point in swept) or bool(run.soak and run.soak.estimated)


def _load(command: str, emulated: bool) -> list[Row]:
    """That the application's own load ran meanwhile."""
    but = " (estimated times of an emulated board do not show it)" if emulated else ""
    return [_fact("BESIDE", f"measured under a load{but}: {command}", flag="beside")] if command else []


def _flags(board: BoardOfRun, time: Row | None, inputs: Sequence[FedInput], is_series_estimated: bool) -> list[Row]:
    flags = []
    if board.emulated:
        flags.append(_fact("EMULATED", "no board was measured", flag="emulated"))
    if time and time["estimated"]:
        word = "SIMULATED" if time["simulator"] else "ESTIMATED"
        flags.append(_fact(word, _estimate(time), flag="estimated"))
    if is_series_estimated:
        flags.append(_fact("ESTIMATED", "latencies and rates are estimates, not measured", flag="estimated"))
    noise = [fed.tensor for fed in inputs if fed.generated]
    if noise:
        flags.append(_fact("NOISE", f"no input given: seeded noise for {', '.join(noise)}", flag="noise"))
    return flags


def _estimate(time: Row) -> str:
    by = f", by {time['simulator']}" if time["simulator"] else ""
    if not time["estimated_ops"]:
        return f"times are {'simulated' if by else 'estimates'}, not measured{by}"
    return f"times of {time['estimated_ops']} of {len(time['ops'])} ops, and totals that include them{by}"


def numbers(time: Row | None) -> list[Row]:
    """Key numbers: label, value, unit ("us", "fps", "count", "text"), share of end to end, estimated."""
    if time is None:
        return []
    rows = _latency_numbers(time["latency"], time["estimated"]) if time["latency"] else []
    rows += [_number("band", time["band"], "text")] if time["band"] else []
    rows += _distribution_numbers(time["distribution"], time["estimated"]) if time["distribution"] else []
    return rows + [_part_number(part, exceeds(time)) for part in _grouped(time["split"])] + _loop_numbers(time)


def _number(label: str, value: object, unit: str, share: float | None = None, estimated: bool = False) -> Row:
    return {"label": label, "value": value, "unit": unit, "share": share, "estimated": estimated}


def _latency_numbers(latency: Row, estimated: bool) -> list[Row]:
    named = (("end to end, mean", "mean_us"), ("fastest", "min_us"), ("slowest", "max_us"))
    return [_number(label, latency[key], "us", None, estimated) for label, key in named if latency[key] is not None]


def _distribution_numbers(known: Row, estimated: bool) -> list[Row]:
    """The median with what bounds it, percentiles that enough frames give, and the first frame."""
    interval = "bounds of the median" if known["basis"] == "bounds" else "95 % interval of the median"
    named = [("median", known["median_us"])] if known["basis"] != "bounds" else []
    named += [(f"{interval}, low", known["low_us"]), (f"{interval}, high", known["high_us"])]
    named += [(f"p{p}", value) for p, value in known["percentiles_us"].items()]
    named += [("first frame", known["first_us"])] if known["first_us"] is not None else []
    return [_number(label, value, "us", None, estimated) for label, value in named]


def _loop_numbers(time: Row) -> list[Row]:
    latency = time["latency"]
    if latency is None:
        return []
    rate = (
        [] if latency["fps"] is None else [_number("frames per second", latency["fps"], "fps", None, time["estimated"])]
    )
    named = ("frames", "threads")
    rows = rate + [_number(key, latency[key], "count") for key in named if latency[key] is not None]
    return rows + ([_number("core", text(latency["core"]), "text")] if text(latency["core"]) else [])


_PART_LABELS = {
    "quantize": "quantize/dequantize",
    "layout": "layout conversion",
    "other": "other ops",
    "outliers": "slow frames",
    "unattributed": "unattributed",
}


def part_label(part: str) -> str:
    """A part of the time in the page's words; its own name where there are none."""
    return _PART_LABELS.get(part, part)


def _grouped(split: list[Row]) -> list[Row]:
    """Parts that say something: units always, the rest where they are some time."""
    return [part for part in split if part["is_unit"] or (part["time_us"] or 0) > 0]


def _part_number(part: Row, overlapping: bool) -> Row:
    share = None if overlapping else part["share"]
    return _number(part_label(part["part"]), part["time_us"], "us", share, part["estimated"])


_SEVERITIES = ("error", "warning", "note")


def finding_rows(run: Run, modes: list[Row]) -> list[Row]:
    """What to do, errors first. `failed` names the mode whose failure a finding is about: the page says it once."""
    broken = {mode["mode"]: mode["failure"]["message"] for mode in modes if mode["failure"]}
    rows: list[Row] = to_json(run.findings)
    for row in rows:
        message = broken.get(row["subject"])
        row["failed"] = row["subject"] if message and message in row["evidence"] else ""
    return sorted(rows, key=lambda row: _SEVERITIES.index(row["severity"]) if row["severity"] in _SEVERITIES else 3)


_SENSED = (
    "temperatures_c",
    "clocks_mhz",
    "load_percent",
    "voltages_mv",
    "bandwidth_mib_s",
    "memory_mib",
    "power_mw",
)


def _series(run: Run) -> Row:
    """What was measured many times in one session."""
    return {
        "sweep": sweep_table(run),
        "soak": soak_table(run),
        "samples": samples_table(run),
        "jitter": jitter_table(run),
    }


def _over_time(run: Run) -> Row:
    return {"telemetry": telemetry_rows(run), "timeline": to_json(run.timeline)}


def telemetry_rows(run: Run) -> list[Row]:
    """What the board sensed of itself: seconds, phase, and a map of figures per kind."""
    senses = senses_of_record(run.telemetry)
    return [
        {"t_s": as_json(s.t_s), "phase": s.phase, **{kind: to_json(getattr(s, kind)) for kind in _SENSED}}
        for s in senses
    ]


def model_tensors(run: Run) -> Row:
    """Inputs and outputs as the board's own tool tells them."""
    info = run.model_info
    return {
        "inputs": [_spec(spec) for spec in info.inputs] if info else [],
        "outputs": [_spec(spec) for spec in info.outputs] if info else [],
    }


def _spec(spec: TensorSpec) -> Row:
    quantization = spec.quantization or Quantization((), ())
    return {
        "name": spec.name,
        "dtype": spec.dtype,
        "shape": list(spec.shape),
        "layout": spec.layout,
        "aligned_shape": list(spec.aligned_shape),
        "scales": to_json(quantization.scales),
        "zero_points": list(quantization.zero_points),
        "axis": quantization.axis,
    }


def comparison_facts(comparison: Comparison | None, outputs: list[Row]) -> Row | None:
    """How it was compared, and what was checked besides layers."""
    if comparison is None:
        return None
    return {
        "policy": comparison.policy,
        "graph_source": comparison.graph_source,
        "first_difference": comparison.first_difference,
        "reference": to_json(comparison.reference),
        "notes": [note for note in (comparison.reading.sentence, *comparison.notes) if note],
        "checks": checks(comparison.extras, outputs),
    }


def mode_row(mode: ModeOfRun) -> Row:
    """One command that ran on the board, as it can be typed again."""
    return {
        "mode": mode.mode,
        "command": shlex.join(mode.command),
        "environment": dict(mode.environment),
        "exit_code": mode.exit_code,
        "duration_s": as_json(mode.duration_s),
        "folder": mode.folder,
        "files": to_json(mode.files),
        "files_bytes": sum(file.size_bytes for file in mode.files),
        "failure": to_json(mode.failure),
        "notes": list(mode.notes),
    }


def environment(run: Run) -> list[Row]:
    """Flat name-value pairs of board, host, versions, case and reference, grouped."""
    groups: dict[str, Row] = {
        "Board": to_json(run.board),
        "Host": to_json(run.host),
        "Versions": to_json(run.versions),
        "Case": {key: value for key, value in to_json(run.case).items() if key != "inputs"},
        "Run": {key: to_json(getattr(run, key)) for key in _RUN_KEYS},
    }
    by_group = {group: list(_flat(value)) for group, value in groups.items() if value}
    return [
        {"group": group, "entries": [row for row in rows if row["name"] not in LEFT_OUT.get(group, ())]}
        for group, rows in by_group.items()
    ]


def _flat(value: Row, prefix: str = "") -> list[Row]:
    rows: list[Row] = []
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, dict):
            rows += _flat(entry, f"{name}.")
        elif isinstance(entry, list) and any(isinstance(item, dict) for item in entry):
            for position, item in enumerate(entry):
                rows += _flat(item if isinstance(item, dict) else {"": item}, f"{name}[{position}].")
        elif entry not in (None, "", []):
            rows.append({"name": name, "value": _shown(entry)})
    return rows


def _shown(entry: object) -> str:
    if isinstance(entry, list):
        return ", ".join(_shown(item) for item in entry)
    return ("yes" if entry else "no") if isinstance(entry, bool) else text(entry)


def problems(run: Run) -> list[str]:
    """Everything that could not be read or done, from the run and from its parts."""
    sentences = [
        *(f"run.json: {damage}" for damage in run.damage),
        *run.problems,
        *(run.model_info.problems if run.model_info else ()),
        *(run.profile.latency.problems if run.profile else ()),
        *(run.plan.problems if run.plan else ()),
    ]
    return list(dict.fromkeys(sentences))
