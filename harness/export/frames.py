"""A run's tables as DataFrames: one row a layer, an op, a frame, a finding. Units are in the names of the columns.

The same rows as on the page, with numbers as numbers: what JSON writes as a word ("nan", "inf") is a float here, and
what has no value is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.records import Run
from harness.report.private import without_private
from harness.report.values import Row, number, text

if TYPE_CHECKING:
    import pandas as pd

    from harness.dumps.hashes import HashedLayer

_MD5 = ("file_board", "file_reference", "valid_board", "valid_reference")
LAYERS: Mapping[str, str] = {
    "position": "Int64", "index": "Int64", "name": "str", "op": "str", "op_kind": "str", "unit": "str", "dtype": "str",
    "shape": "str", "size_bytes": "Int64", "is_output": "bool", "standing": "str", "verdict": "str", "reason": "str",
    "note": "str", "match": "str", "elements": "Int64", "mismatched": "Int64", "mismatch_share": "float64",
    "max_step": "float64", "mean_step": "float64", "relative_l2": "float64", "sqnr_db": "float64",
    "max_abs": "float64", "max_abs_over_range": "float64", "one_minus_cosine": "float64", "max_ulp": "Int64",
    "nan_board": "Int64", "nan_reference": "Int64", "inf_board": "Int64", "inf_reference": "Int64",
    "saturated_share_board": "float64", "saturated_share_reference": "float64", "zero_share_board": "float64",
    "zero_share_reference": "float64", "finite_only": "bool", "board_file": "str", "hashed": "str",
    **{f"md5_{key}": "str" for key in _MD5},
}  # fmt: skip
OPS: Mapping[str, str] = {
    "position": "Int64", "name": "str", "kind": "str", "unit": "str", "category": "str", "mean_us": "float64",
    "min_us": "float64", "max_us": "float64", "count": "Int64", "share": "float64", "estimated": "bool",
    "standing": "str",
}  # fmt: skip
FRAMES: Mapping[str, str] = {"frame": "Int64", "latency_us": "float64"}
FINDINGS: Mapping[str, str] = {
    "rule": "str", "severity": "str", "title": "str", "evidence": "str", "advice": "str", "subject": "str",
}  # fmt: skip
TABLES = {"layers": LAYERS, "ops": OPS, "frames": FRAMES, "findings": FINDINGS}


def frames_of(run: Run) -> dict[str, pd.DataFrame]:
    """All tables by name: "layers", "ops", "frames", "findings"; those of parts that the run lacks have no row."""
    from harness.report.tables.run import tables

    data = tables(run)
    samples = run.profile.latency.samples_us if run.profile else ()
    return {
        "layers": _frame([_flat(row) for row in data["layers"]], LAYERS),
        "ops": _frame(data["time"]["ops"] if data["time"] else [], OPS),
        "frames": _frame([{"frame": place, "latency_us": value} for place, value in enumerate(samples)], FRAMES),
        "findings": _frame(data["findings"], FINDINGS),
    }


def layer_frame(rows: Sequence[Row], run: Run | None = None) -> pd.DataFrame:
    """The layers of a comparison. `run`: whose private words are replaced."""
    cleaned = without_private({"rows": list(rows)}, run)["rows"] if run else rows
    return _frame([_flat(row) for row in cleaned], LAYERS)


def hashed_frame(layers: Sequence[HashedLayer]) -> pd.DataFrame:
    """The layers of a comparison with a list of md5s."""
    names = ("name", "verdict", "md5_file_board", "md5_file_reference")
    rows = [dict(zip(names, (one.name, one.verdict, one.md5_board, one.md5_reference), strict=True)) for one in layers]
    return _frame(rows, dict.fromkeys(names, "str"))


def _flat(row: Row) -> Row:
    shape = "x".join(str(size) for size in row["shape"])
    return row | {"shape": shape, **{f"md5_{key}": row["md5"][key] for key in _MD5}}


def _frame(rows: Sequence[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    held = {name: _series(pd, [row.get(name) for row in rows], kind) for name, kind in columns.items()}
    return pd.DataFrame(held, columns=list(columns))


def _series(pandas: Any, values: Sequence[Any], kind: str) -> Any:
    if kind == "str":
        return pandas.Series([_utf8(text(value)) for value in values], dtype="str")
    if kind == "bool":
        return pandas.Series([bool(value) for value in values], dtype="bool")
    figures = [number(value) for value in values]
    if kind == "float64":
        return pandas.Series(figures, dtype="float64")
    return pandas.Series([_whole(value) for value in values], dtype="Int64")


def _utf8(value: str) -> str:
    """Half a surrogate pair in a name as an escape: Arrow, and so pandas, cannot hold it."""
    return value.encode("utf-8", "backslashreplace").decode()


def _whole(value: object) -> int | None:
    """A count; one that no 64 bits hold (of a damaged record) has no value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None
