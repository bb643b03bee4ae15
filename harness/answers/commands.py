"""The answer of every command's `--json`, by name; docs/json.md says which command prints which."""

from __future__ import annotations

from collections.abc import Mapping

from harness.agent.words import LeaseFacts
from harness.answers.diff import DIFFERENCE
from harness.answers.precision import PRECISION
from harness.answers.report import COUNTS, COVERAGE, FINDING, HEADLINE, NUMBER, RUN
from harness.answers.shapes import Extended, MapOf, OneOf
from harness.boards.health import BoardUse, Health
from harness.consistency.policy import ErrorLimits, PolicyRule, Subject
from harness.dumps.hashes import HashComparison
from harness.farm.status import FarmStatus
from harness.farm.worker import WorkerFacts
from harness.handover.bundle import BundleList
from harness.handover.pack import PackedOutput
from harness.lint.findings import LintFinding
from harness.records import Comparison, Run
from harness.records.checks import Vote
from harness.records.comparison import Origin, Verdict
from harness.records.json_values import Json
from harness.records.nights import Night, UnfitBoard
from harness.records.nights.history import AcceptedLevel, EpochOfPair, HistoryEntry, LayerTurn, PairSummary
from harness.records.running import Rule
from harness.regressions.finding import CanFind
from harness.regressions.replay import ReplayedNight
from harness.toolchains.records import Artifact

TEXTS = Mapping[str, str]
ANYTHING = Mapping[str, Json]

STORED_RUN = {
    "folder": str,
    "id": str,
    "case": str,
    "board": str,
    "verdict": str,
    "state": str,
    "started_utc": str,
    "age_days": float | None,
    "size_bytes": int,
    "dumps_bytes": int,
    "needed": str,
}
WAIVER = {
    "reason": str,
    "until": str,
    "op": str,
    "tensor": str,
    "max_step": float | None,
    "mismatch_share": float | None,
    "relative_l2": float | None,
}
BUILT_MODEL = {
    "name": str,
    "march": str,
    "calibration": str,
    "inputs": [{"name": str, "type": str, "shape": [int], "bytes": int}],
    "outputs": [str],
    "refused": [str],
    "nodes": [{"name": str, "type": str, "on": str, "subgraph": str, "reason": str}],
}
LISTED_BOARD = {
    "name": str,
    "platform": str,
    "soc": str,
    "transport": str,
    "address": str,
    "port": int | None,
    "managed": str,
    "emulated": bool,
    "tags": [str],
    "health": Health,
    "use": BoardUse | None,
    "lease?": OneOf((LeaseFacts, {"error": str})),
}
CHECKED_BOARD = OneOf(
    (
        {
            "board": str,
            "state": str,
            "arch": str,
            "kernel": str,
            "free_MB": int | str,
            "tools": str,
            "remark": str,
            "soc": str,
            "soc_name": str,
            "image": str,
            "npu_cores": int | str,
        },
        {"board": str, "state": str, "remark": str},
    )
)
BOARDS: dict[str, object] = {
    "boards-list": {"hosts": str, "boards": [LISTED_BOARD]},
    "boards-check": {"boards": [CHECKED_BOARD]},
    "boards-trust": {"board": str, "kind": str, "sha256": str, "file": str},
    "boards-add": {
        "board": str,
        "platform": str,
        "soc": str,
        "evidence": [str],
        "emulated": bool,
        "facts": ANYTHING,
        "versions": TEXTS,
        "tools": [str],
        "libraries": [str],
        "work": str,
        "trial": {"bytes": int, "push_s": float, "run_s": float},
        "missing": [ANYTHING],
        "ready": bool,
        "file": str,
        "written": bool,
        "block": str,
        "notes": [str],
    },
    "boards-prepare": OneOf(
        (
            {"site": str, "python": str, "wheels": [str], "versions": TEXTS, "providers": [str]},
            {"simulator": str, "folder": str},
        )
    ),
    "boards-lease": Extended(LeaseFacts, {"board": str}),
    "boards-release": {"board": str, "was_held": bool},
    "boards-clean": {"board": str, "runs": int, "going_on": [str], "free_bytes": int | None},
    "boards-password": OneOf(({"board": str, "deleted": bool}, {"board": str, "kept_in": str})),
    "boards-maintenance": {"board": str, "health": Health},
}
RUNS: dict[str, object] = {
    "run": Extended(Run, {"run": str, "report": str, "difference?": DIFFERENCE}),
    "run-boards": {
        "case": str,
        "boards": [{"board": str, "run": str, "folder": str, "verdict": str, "exit_code": int, "error": str}],
        "vote": Vote,
        "conclusion": str,
        "file": str,
    },
    "run-options": {"platform": str, "options": TEXTS},
    "nightly": Extended(Night, {"night": str, "page": str, "counts": Mapping[str, int]}),
    "nightly-plan": {
        "suite": str,
        "pairs": [{"case": str, "board": str, "modes": [str], "pinned": bool}],
        "left_out": [UnfitBoard],
    },
    "farm-scheduler": {"scheduler": str},
    "farm-worker": {"worker": WorkerFacts, "scheduler": str},
    "farm-status": FarmStatus,
    "runs-list": {"folder": str, "runs": [STORED_RUN], "may_go_bytes": int},
    "runs-prune": {"folder": str, "deleted": bool, "runs": [STORED_RUN], "may_go_bytes": int, "freed_bytes": int},
}
COMPARISONS: dict[str, object] = {
    "compare": Comparison,
    "compare-list": HashComparison,
    "reference": {
        "folder": str,
        "ops": int,
        "tensors": [{"name": str, "op": str, "dtype": str, "shape": [int], "md5": str}],
        "skipped": [{"name": str, "reason": str}],
        "provenance": ANYTHING,
    },
    "policy-show": {
        "policy": str,
        "source": str,
        "precision": str,
        "rules": [PolicyRule],
        "three_way": {"note": float, "look": float, "bad": float},
        "coverage": {"min_layers": float, "optional": [str]},
        "waivers": [WAIVER],
    },
    "policy-limits": {"subject": Subject, "limits": ErrorLimits},
    "policy-check": {"policy": str, "rules": int, "waivers": [WAIVER], "expired": [WAIVER]},
    "diff": DIFFERENCE,
}
FORMS: dict[str, object] = {
    "report": {
        "page": str,
        "data": str,
        "run": RUN,
        "headline": HEADLINE,
        "coverage": OneOf((COVERAGE, None)),
        "counts": COUNTS,
        "numbers": [NUMBER],
        "findings": [FINDING],
        "problems": [str],
    },
    "export": {"run": str, "form": str, "files": [str]},
    "bundle": Extended(BundleList, {"archive": str, "bytes": int}),
    "unbundle": Extended(
        BundleList,
        {"folder": str, "on_board": [{"run": str, "verdict": Verdict | None, "origins": [Origin]}]},
    ),
    "unbundle-list": {"archive": str, "files": [{"name": str, "bytes": int}]},
    "pack": {"archive": str, "bytes": int, "outputs": [PackedOutput]},
}
FILES: dict[str, object] = {
    "inspect": {"files": [OneOf((Extended(Artifact, {"file": str}), {"file": str, "error": str}))]},
    "convert": {
        "source": str,
        "source_md5": str,
        "pixels_md5": str,
        "output": str,
        "output_md5": str,
        "output_bytes": int,
        "form": str,
        "shape": [int],
        "notes": [str],
    },
    "emulator-build": {"output": str, "files": [str], "models": [BUILT_MODEL]},
    "emulator-dump": {"folder": str, "files": [str]},
    "emulator-serve": {"address": str, "port": int, "user": str, "identity": str, "known_hosts": str},
    "emulator-faults": {"faults": [{"kind": str, "where": str, "doc": str, "args": TEXTS}]},
    "explain": Rule,
    "explain-all": {"rules": [Rule]},
    "lint": {"file": str, "findings": [LintFinding]},
    "lint-rules": {"rules": [{"rule": str, "severity": str, "title": str, "source": str}]},
}
SERIES = {
    "case": str,
    "board": str,
    "epochs": [EpochOfPair],
    "accepted": [AcceptedLevel],
    "can_find": CanFind | None,
    "results": [HistoryEntry],
}
HISTORY = {
    "history": {"pairs": [PairSummary], "series?": [SERIES]},
    "history-rebuild": {"folder": str, "history": str, "nights": int, "results": int, "unreadable": int},
    "history-replay": {"file": str, "nights": [ReplayedNight]},
    "history-accept": {"accepted": AcceptedLevel, "file": str},
    "history-revoke": {"revoked": AcceptedLevel, "file": str},
    "bisect": {"case": str, "layer": str, "turns": MapOf([LayerTurn]), "not_comparable": TEXTS},
}
ERROR = {"error": str, "hint": str, "exit_code": int, "run?": str}

ANSWERS: dict[str, object] = {**RUNS, **COMPARISONS, **FORMS, **BOARDS, **HISTORY, **FILES, **PRECISION, "error": ERROR}

# What each command prints; each of them also "error".
PRINTED: dict[str, tuple[str, ...]] = {
    "run": ("run", "run-boards", "run-options"),
    "sweep": ("run",),
    "soak": ("run",),
    "jitter": ("run",),
    "nightly": ("nightly", "nightly-plan"),
    "farm submit": ("nightly",),
    "farm scheduler": ("farm-scheduler",),
    "farm worker": ("farm-worker",),
    "farm status": ("farm-status",),
    "history show": ("history",),
    "history rebuild": ("history-rebuild",),
    "history replay": ("history-replay",),
    "history accept": ("history-accept",),
    "history revoke": ("history-revoke",),
    "bisect": ("bisect",),
    "compare": ("compare", "compare-list"),
    "reference": ("reference",),
    "report": ("report",),
    "diff": ("diff",),
    "sensitivity": ("sensitivity", "sensitivity-table"),
    "tune": ("tune",),
    "explore": ("explore",),
    "calibration": ("calibration",),
    "export": ("export",),
    "bundle": ("bundle",),
    "unbundle": ("unbundle", "unbundle-list"),
    "pack": ("pack",),
    "runs list": ("runs-list",),
    "runs prune": ("runs-prune",),
    "inspect": ("inspect",),
    "convert": ("convert",),
    "boards add": ("boards-add",),
    "boards list": ("boards-list",),
    "boards maintenance": ("boards-maintenance",),
    "boards check": ("boards-check",),
    "boards trust": ("boards-trust",),
    "boards prepare": ("boards-prepare",),
    "boards lease": ("boards-lease",),
    "boards release": ("boards-release",),
    "boards clean": ("boards-clean",),
    "boards password": ("boards-password",),
    "emulator build": ("emulator-build",),
    "emulator dump": ("emulator-dump",),
    "emulator serve": ("emulator-serve",),
    "emulator faults": ("emulator-faults",),
    "policy show": ("policy-show", "policy-limits"),
    "policy check": ("policy-check",),
    "explain": ("explain", "explain-all"),
    "lint": ("lint", "lint-rules"),
}
