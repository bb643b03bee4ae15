"""What `harness diff` answers: a value for each run stands in the order of `runs`."""

from __future__ import annotations

from collections.abc import Mapping

from harness.answers.shapes import OneOf

FIGURE = float | None

_WORDS_OF_RUN = (
    *("label", "id", "started_utc", "state", "case", "model", "model_md5", "board", "soc", "verdict", "detail"),
    "verdict_change",
)
_CELL = {
    **dict.fromkeys(("state", "change", "hash"), str),
    "variant": int | None,
    **dict.fromkeys(("verdict?", "role?", "md5?"), str),
    "relative_l2?": FIGURE,
}
_LAYER = {"name": str, "op_kind": str, "is_output": bool, "variants": int, "cells": [_CELL]}
_LAYER_COUNTS = (
    *("worse", "better", "no_longer_compared", "newly_compared", "other_role", "new", "gone", "hash_same"),
    *("hash_changed", "hash_unknown", "judged"),
)
_CHANGE = {
    **dict.fromkeys(("word", "basis", "why_not"), str),
    "estimated": bool | None,
    **dict.fromkeys(("percent", "low_percent", "high_percent"), FIGURE),
}
_TIMES = {**dict.fromkeys(("mean_us", "usual_us", "low_us", "high_us"), FIGURE), "estimated": bool | None}
DIFFERENCE: dict[str, object] = {
    "format": int,
    "harness_version": str,
    "runs": [{**dict.fromkeys(_WORDS_OF_RUN, str), "emulated": bool, "damage": [str]}],
    "conditions": [{"group": str, "what": str, "values": [str | None], "changed": bool}],
    "same_conditions": int,
    "layers": {
        "judged": bool,
        "runs_with_layers": [bool],
        "total": int,
        "same": int,
        "rows": [_LAYER],
        "outputs": [_LAYER],
        "counts": [dict.fromkeys(_LAYER_COUNTS, int)],
    },
    "latency": [{**_TIMES, "count": int | None, "basis": str, "change": OneOf((_CHANGE, None))}],
    "parts": [{"part": str, "values_us": [FIGURE]}],
    "ops": {
        "runs_with_ops": [bool],
        "total": int,
        "rows": [
            {
                **dict.fromkeys(("name", "kind", "category"), str),
                "largest_us": float,
                "cells": [{**_TIMES, "unit": str, "moved": bool, "change": _CHANGE}],
            }
        ],
        "counts": [Mapping[str, int]],
    },
    "sentences": [str],
    "different": bool,
    "uncompared": [str],
}
