"""Realistic run.json dictionaries, made from the records, so that a change of the records is felt here.

Every builder returns a fresh plain-JSON dictionary; `ALL` names them. Seeded, no clock, no machine facts.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

from harness.consistency.checks.repeatability import debug_vs_release, determinism, without_reference
from harness.records import (
    Checks,
    Comparison,
    Finding,
    Fingerprint,
    OpTime,
    Origin,
    Verdict,
)
from harness.records.codec import to_json
from harness.runs.previous import against
from tests.records.kit import typed
from tests.support.fixtures_layers import (
    BLOCK,
    KINDS,
    ORIGIN,
    Run,
    column_fingerprint,
    comparison_of,
    diverging_layers,
    error_map,
    exact_layers,
    exact_metrics,
    extras,
    graph_of,
    layer,
    md5,
    op_name,
    wrong_metrics,
)
from tests.support.fixtures_parts import findings, mode, model_info, plan, profile, telemetry


def base_run() -> Run:
    """Everything but modes' outcome, comparison, profile and verdict."""
    return {
        "format": 1,
        "harness_version": "0.1.0",
        "id": "yolo_n/emu-x5/20261120T091400Z",
        "state": "complete",
        "stopped_at": "",
        "started_utc": "2026-11-20T09:14:00Z",
        "finished_utc": "2026-11-20T09:14:21Z",
        "duration_s": 21.4,
        "case": {
            "name": "yolo_n",
            "model": {"name": "yolo n.bin", "bytes": 6_291_456, "md5": md5("model")},
            "inputs": [
                {
                    "tensor": "images",
                    "generated": False,
                    "name": "photo.nv12",
                    "file": "inputs/0_photo.nv12",
                    "bytes": 614_400,
                    "md5": md5("input"),
                }
            ],
            "reference": {
                "kind": "onnx",
                "name": "yolo_n_quantized.onnx",
                "md5": md5("reference"),
                "provenance": {"runner": {"onnxruntime": "1.31.1", "optimizations": "disabled", "threads": 1}},
            },
            "policy": "default",
            "options": {},
        },
        "board": {
            "name": "emu-x5",
            "platform": "hbdnn",
            "soc": "x5",
            "transport": "local",
            "address": "",
            "emulated": True,
            "facts": {"arch": "x86_64", "kernel": "6.1.0", "libc": "glibc 2.36"},
        },
        "host": {
            "os": "Debian 12",
            "python": "3.11.2",
            "cpu": "AMD EPYC",
            "cpu_flags": ["avx2", "avx512_vnni"],
            "harness": "0.1.0",
        },
        "versions": {"runtime": "1.24.5", "hbrt": "3.15.55", "builder": "1.24.3", "platform": "3.2.1"},
        "pushed": [
            {"name": "yolo n.bin", "bytes": 6_291_456, "md5": md5("model"), "sent_bytes": 6_291_456},
            {"name": "photo.nv12", "bytes": 614_400, "md5": md5("input"), "sent_bytes": 0},
        ],
        "timings_s": {"connecting": 0.41, "pushing the model": 0.9, "running debug": 11.2, "running profile": 6.7},
        "modes": [mode("release"), mode("debug", files=64), mode("profile", files=2)],
        "model_info": to_json(model_info()),
        "profile": to_json(profile()),
        "comparison": None,
        "plan": None,
        "memory": {},
        "telemetry": telemetry(),
        "findings": [],
        "verdict": {"word": "not_compared", "detail": "no reference was given", "exit_code": 0},
        "problems": [],
    }


def with_comparison(run: Run, comparison: Comparison, graph: bool = True) -> Run:
    run["comparison"] = to_json(comparison)
    run["verdict"] = to_json(comparison.verdict)
    if graph:
        run["graph"] = graph_of(list(comparison.layers))
    return run


def consistent_run(count: int = 64) -> Run:
    rows = exact_layers(count)
    verdict = Verdict("consistent", f"{count} of {count} layers are equal, byte for byte", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def partly_compared_run() -> Run:
    rows = exact_layers(64)
    rows[9] = layer(9, "not_compared", reason="no_dump")
    verdict = Verdict("consistent", "63 of 64 layers are equal, byte for byte", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def diverging_run(count: int = 64, origin: int = ORIGIN) -> Run:
    rows = diverging_layers(count, origin)
    wrong = rows[origin]
    verdict = Verdict("diverges", f"{wrong.op} ({wrong.op_kind}) is the first op that is wrong", 1)
    comparison = comparison_of(
        verdict,
        rows,
        origins=(Origin(wrong.op, wrong.op_kind, wrong.name, fingerprint=column_fingerprint()),),
        first_difference=rows[7].name,
        pictures={wrong.name: {"map": error_map()}},
        extras=extras(rows),
        notes=("three layers were not compared",),
    )
    run = with_comparison(base_run(), comparison)
    run["findings"] = to_json(findings())
    run["plan"] = to_json(plan(rows))
    return run


def waived_run() -> Run:
    """Good by a waiver only, next to waivers that no longer help; nothing differs without one."""
    rows = exact_layers(12)
    metrics = wrong_metrics(38.0, max_step=2)
    until = "waived until 2027-01-01: ties of the old kernel"
    rows[3] = layer(3, "within", metrics=metrics, reason=until, note="max step 2 > 1 (integers)")
    ended = "its waiver ended on 2026-01-01: known since spring"
    rows[5] = layer(5, "differs", role="origin", metrics=metrics, reason="max step 2 > 1 (integers)", note=ended)
    worse = "worse than its waiver allows (max_step 2 > 1): known"
    rows[7] = layer(7, "differs", role="propagated", metrics=metrics, reason="max step 2 > 1 (integers)", note=worse)
    origin = Origin(rows[5].op, rows[5].op_kind, rows[5].name)
    verdict = Verdict("diverges", f"{rows[5].op} ({rows[5].op_kind})", 1)
    return with_comparison(base_run(), comparison_of(verdict, rows, origins=(origin,)))


def memory_run() -> Run:
    """A board whose tool tells memory, fed with seeded noise, and whose dumps stayed where they were."""
    run = not_compared_run()
    figures = {"total_bytes": 67_108_864, "reserved_bytes": 8_388_608, "peak_bytes": 31_457_281}
    run["memory"] = {"nmem": figures, "release": {"peak_bytes": 31_457_280}}
    run["case"]["inputs"][0] |= {"generated": True, "name": "noise_images.bin"}
    run["notes"] = ["input images: seeded noise was generated, 614,400 bytes"]
    return run


def interval_run() -> Run:
    """Two origins: an interval with unseen ops, and a suspect of a run without a graph."""
    rows = diverging_layers()
    rows[ORIGIN + 14] = layer(ORIGIN + 14, "differs", role="suspect", metrics=wrong_metrics(28.0))
    origins = (
        Origin(rows[26].op, "Conv", rows[26].name, first=rows[24].name, unseen=(rows[25].op,), certain=False),
        Origin(rows[40].op, rows[40].op_kind, rows[40].name, certain=False, how="sequence"),
    )
    verdict = Verdict("diverges", "between two tensors; one op in between was not compared", 1)
    return with_comparison(base_run(), comparison_of(verdict, rows, origins=origins), graph=False)


def accumulated_run() -> Run:
    rows = exact_layers(64)
    for index in range(20, 64):
        metrics = wrong_metrics(60 - index / 2, mismatched=index, max_step=1 + index // 12)
        alone = dataclasses.replace(exact_metrics(), mismatched=1, max_step=1.0)
        rows[index] = layer(index, "differs", role="cleared", metrics=metrics, single=alone, is_output=index == 63)
    verdict = Verdict("consistent_accumulated", "every op is within its limits when fed with the board's inputs", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def not_comparable_run() -> Run:
    rows = [layer(index, "not_compared", reason="no_dump") for index in range(12)]
    verdict = Verdict("not_comparable", "no tensor of the reference has a partner on the board", 3)
    run = with_comparison(base_run(), comparison_of(verdict, rows))
    run["problems"] = ["the debug run left 12 files; none of their names is in the reference"]
    return run


def not_compared_run() -> Run:
    """The user gave no reference."""
    run = base_run()
    run["case"]["reference"] = None
    return run


def unstable_run() -> Run:
    """Three repeats and no reference: one layer changes, one cannot be judged; release and debug differ too."""
    run = not_compared_run()
    names = [f"layer{index}" for index in range(6)]
    repeats = [{name: md5(name, turn if index >= 4 else 0) for index, name in enumerate(names)} for turn in range(3)]
    for turn, repeat in enumerate(repeats):
        repeat["layer2"] = f"file:{md5('padded', turn)}"
    answer = dataclasses.replace(determinism(repeats), order="network")
    outputs = {mode: {"scores": md5("scores", mode)} for mode in ("release", "debug")}
    checks = Checks(debug_vs_release=debug_vs_release(outputs), determinism={"debug": answer})
    run["checks"] = to_json(checks)
    run["verdict"] = to_json(without_reference(checks))
    return run


def nightly_run() -> Run:
    """A diverging run beside a consistent one of the night before, under a policy with waivers."""
    run = diverging_run()
    before = consistent_run()
    before["profile"]["latency"]["mean_us"] *= 0.9
    run["previous"] = to_json(against(typed(before), typed(run)))
    waiver = {"op": "conv1", "tensor": "", "reason": "ticket 12", "until": "2026-01-01", "max_step": 1.0}
    waiver |= {"mismatch_share": None, "relative_l2": None}
    waivers = [waiver | {"ended": True, "layers": 0}, waiver | {"op": "", "tensor": "t*", "ended": False, "layers": 3}]
    run["policy"] = {"name": "nightly", "source": "policy.yaml", "waivers": waivers}
    return run


def failed_run() -> Run:
    run = base_run()
    failure = {
        "kind": "memory",
        "message": "the board had no memory for the model",
        "hint": "stop other users of the ION heap, then run again",
        "evidence": "E hbmem_alloc failed: size 104857600 <-12>\nE load model failed",
    }
    run.update(
        state="failed",
        stopped_at="debug",
        profile=None,
        comparison=None,
        telemetry={"samples": []},
        modes=[mode("release"), mode("debug", exit_code=-9, files=0, failure=failure)],
        verdict={"word": "not_compared", "detail": "the board had no memory for the model", "exit_code": 3},
        problems=["debug: hbmem_alloc failed"],
    )
    return run


def interrupted_run() -> Run:
    """As a killed process leaves it: no end, no verdict, a mode without an exit code."""
    run = base_run()
    run.update(
        state="interrupted",
        stopped_at="profile",
        finished_utc="",
        duration_s=None,
        modes=[mode("release"), mode("profile", exit_code=0, files=0) | {"exit_code": None, "duration_s": None}],
        verdict=None,
        telemetry=None,
    )
    for late in ("model_info", "profile", "comparison", "findings", "problems", "pushed"):
        del run[late]
    return run


def no_profile_run() -> Run:
    run = diverging_run()
    run["profile"] = None
    run["modes"] = run["modes"][:2]
    run["telemetry"] = {"samples": []}
    return run


def unordered_profile_run() -> Run:
    """A profiler that sorts by name, on real hardware, with ops that overlap."""
    run = consistent_run()
    run["board"].update(name="t41-02", platform="magik", soc="t41", emulated=False, transport="ssh", address="10.0.0.7")
    run["profile"].update(order_known=False, segments=[], estimated=False, unattributed_us=-212.5)
    for op in run["profile"]["ops"]:
        op["estimated"] = False
    return run


def large_run(count: int = 500) -> Run:
    """More layers than columns of the strip and than rows of a page."""
    run = diverging_run(count, origin=count // 2)
    ops = [
        OpTime(
            op_name(index), KINDS[BLOCK[index % 6].split("/")[1]], "BPU", "compute", 3.0 + index % 17, estimated=True
        )
        for index in range(count)
    ]
    run["profile"]["ops"] = to_json(ops)
    run["modes"][1] = mode("debug", files=count)
    return run


HOSTILE_NAMES = (
    "<script>window.hurt=1</script>",
    "\"><img src=x onerror='window.hurt=1'>",
    "</style><b>'quotes\" & amp;",
    "rtl \u202eevil\u202c name",
    "line one\nline two\r\ttabbed\x00\x1b[31m",
    "lone \ud800 surrogate",
    "{{ 7 * 7 }}{% raw %}",
    "\u5377\u79ef\u5c42/\u8f93\u51fa_0",
    "javascript:window.hurt=1",
    "n" * 5000,
    "",
)


def hostile_run() -> Run:
    """Every text that a board, a model or a user can choose is chosen badly."""
    rows = diverging_layers()
    for index, name in enumerate(HOSTILE_NAMES):
        rows[index] = dataclasses.replace(rows[index], name=name, op=name, op_kind=name, note=name, board_file=name)
    bad = HOSTILE_NAMES[0]
    odd = dataclasses.replace(
        wrong_metrics(3.0), relative_l2=math.nan, sqnr_db=-math.inf, one_minus_cosine=math.nan, nan_board=4
    )
    rows[0] = dataclasses.replace(rows[0], verdict="differs", role="origin", metrics=odd)
    print_ = Fingerprint(bad, True, HOSTILE_NAMES[1], HOSTILE_NAMES[2])
    verdict = Verdict("diverges", HOSTILE_NAMES[4], 1)
    origin = Origin(rows[0].op, bad, rows[0].name, unseen=HOSTILE_NAMES, fingerprint=print_)
    run = with_comparison(base_run(), comparison_of(verdict, rows, origins=(origin,), notes=HOSTILE_NAMES))
    run["findings"] = to_json([Finding(name, name, name, name, name, name) for name in HOSTILE_NAMES])
    run["case"]["model"]["name"] = HOSTILE_NAMES[1]
    run["board"]["facts"] = {name: name for name in HOSTILE_NAMES}
    run["versions"] = {name: name for name in HOSTILE_NAMES}
    run["problems"] = list(HOSTILE_NAMES)
    run["modes"][0]["command"] = list(HOSTILE_NAMES)
    run["modes"][0]["files"][0]["name"] = bad
    run["profile"]["ops"][0]["name"] = bad
    run["profile"]["segments"][0]["name"] = bad
    run["plan"] = to_json(plan(rows))
    for row, name in zip(run["plan"]["rows"], HOSTILE_NAMES, strict=False):
        row |= {"name": name, "kind": name, "planned_unit": name, "dtype": name, "board_verdict": name}
    run["plan"]["messages"][0] |= {"text": bad, "meaning": bad, "subject": bad}
    run["memory"] = {name: {name: 1} for name in HOSTILE_NAMES}
    run["timings_s"] = dict.fromkeys(HOSTILE_NAMES, 1.0)
    run["notes"] = list(HOSTILE_NAMES)
    run["previous"] = nightly_run()["previous"] | {"run": bad, "changed": [{"what": bad, "before": bad, "now": bad}]}
    run["previous"]["layers"]["worse"] = [{"name": name, "before": bad, "now": bad} for name in HOSTILE_NAMES]
    run["policy"] = {"waivers": [dict.fromkeys(("op", "tensor", "reason", "until"), bad)]}
    return run


def damaged_text(run: Run) -> str:
    """run.json cut in the middle."""
    whole = json.dumps(run)
    return whole[: len(whole) // 2]


ALL: dict[str, Callable[[], Run]] = {
    "consistent": consistent_run,
    "partly compared": partly_compared_run,
    "diverging": diverging_run,
    "interval": interval_run,
    "accumulated": accumulated_run,
    "not comparable": not_comparable_run,
    "not compared": not_compared_run,
    "unstable": unstable_run,
    "nightly": nightly_run,
    "failed": failed_run,
    "interrupted": interrupted_run,
    "no profile": no_profile_run,
    "unordered profile": unordered_profile_run,
    "waived": waived_run,
    "memory": memory_run,
    "large": large_run,
    "hostile": hostile_run,
}
