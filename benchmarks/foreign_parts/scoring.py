"""What `harness compare` said of a case, held against what a right answer says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.foreign_parts.cases import BoardCase, Ground

LIMIT_S = 240


@dataclass
class Judged:
    """One answer: `word` of the verdict, its `exit_code`, the ops blamed, and what is right of it."""

    case: str
    word: str
    exit_code: int
    origins: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    detected: bool = False
    origin: bool = False
    kind: bool = False
    wrong_certain: bool = False
    evidence: str = ""


def compare(case: BoardCase, dumps: Path) -> Mapping[str, Any]:
    """The answer of the command, as a user runs it; {"message": ...} where it gives none or takes too long."""
    ground = case.ground
    command = [sys.executable, "-m", "harness", "compare", str(ground.pc[case.pc_form]), str(dumps)]
    command += ["--graph", str(ground.network.path), "--json"]
    command += ["--policy", case.setup.policy] if case.setup.policy else []
    if any(patch["how"] == "frame_before" for patch in case.patches):
        command += ["--previous", str(ground.before)]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"message": f"no answer after {LIMIT_S} s"}
    try:
        answer: dict[str, Any] = json.loads(process.stdout)
    except ValueError:
        return {"message": f"exit code {process.returncode}: {process.stderr[-300:]}"}
    return answer


def judge(case: BoardCase, answer: Mapping[str, Any]) -> Judged:
    """The answer's score; an answer that is an error message detects nothing."""
    verdict = answer.get("verdict") or {"word": f"error: {answer.get('message', '')}", "exit_code": 2}
    origins = answer.get("origins", [])
    prints = [o["fingerprint"] for o in origins if o["fingerprint"]]
    judged = Judged(case.name, f"{verdict['word']}: {verdict.get('detail', '')}", verdict["exit_code"])
    judged.origins = [o["op"] or o["tensor"] for o in origins]
    judged.kinds = [f["kind"] for f in prints]
    judged.evidence = "; ".join(f["evidence"] for f in prints)[:400]
    judged.detected = verdict["exit_code"] == 1
    if case.mistake is not None:
        right = case.mistake.kinds
        judged.origin = bool(origins) and all(is_right_origin(case, origin) for origin in origins)
        judged.kind = any(f["kind"] in right for f in prints)
        judged.wrong_certain = any(f["certain"] and f["kind"] not in right for f in prints)
    return judged


def is_right_origin(case: BoardCase, origin: Mapping[str, Any]) -> bool:
    """The guilty op, or an interval that holds it; a wrong input is itself, or the ops that read it."""
    ground, guilty = case.ground, case.guilty
    assert case.mistake is not None
    if case.mistake.where == "input":
        inputs = set(case.feeds) | {ground.logical(name) for name in case.feeds}
        return origin["tensor"] in inputs or origin["op"] in _readers(ground, inputs)
    op = ground.op_of(guilty)
    return origin["op"] == op or origin["tensor"] in (guilty, ground.logical(guilty)) or op in origin["unseen"]


def _readers(ground: Ground, inputs: set[str]) -> set[str]:
    graph = ground.reference.graph
    return {op.name for op in graph.ops if inputs & set(op.inputs)} if graph is not None else set()
