"""The tables of a run as CSV and as Parquet, a file each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError
from harness.export.base import FolderForm
from harness.export.frames import TABLES, frames_of
from harness.records import Run

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is computed by a spreadsheet


def _csv(run: Run, _folder: Path) -> Mapping[str, bytes]:
    return {f"{name}.csv": _text(frame).encode("utf-8", "backslashreplace") for name, frame in frames_of(run).items()}


def _csv_excel(run: Run, _folder: Path) -> Mapping[str, bytes]:
    """With a byte order mark, without which Excel of a Chinese Windows reads GBK; no cell is a formula."""
    tables = {name: harmless(frame, TABLES[name]) for name, frame in frames_of(run).items()}
    return {f"{name}.csv": _text(frame).encode("utf-8-sig", "backslashreplace") for name, frame in tables.items()}


def _text(frame: pd.DataFrame) -> str:
    """RFC 4180 with plain line ends; floats in the shortest form that reads back equal, NaN empty, infinity `inf`."""
    held = io.StringIO()
    frame.to_csv(held, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    return held.getvalue()


def harmless(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Columns of words by the table itself: what pandas calls their dtype differs between its versions."""
    words = [name for name, kind in kinds.items() if kind == "str"]
    guarded = {name: [f"'{text}" if text.startswith(_FORMULA) else text for text in frame[name]] for name in words}
    return frame.assign(**guarded)


def _parquet(run: Run, _folder: Path) -> Mapping[str, bytes]:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ConfigError("Parquet needs pyarrow, which is not installed", "pip install 'harness[parquet]'") from None
    files = {}
    for name, frame in frames_of(run).items():
        held = io.BytesIO()
        frame.to_parquet(held, engine="pyarrow", compression="zstd", index=False)
        files[f"{name}.parquet"] = held.getvalue()
    return files


CSV = FolderForm("layers, ops, frames and findings as CSV", _csv)
CSV_EXCEL = FolderForm("the same for Excel: with a byte order mark, no cell a formula", _csv_excel)
PARQUET = FolderForm("the same tables as Parquet (needs harness[parquet])", _parquet)
