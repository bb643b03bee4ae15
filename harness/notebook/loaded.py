"""A run folder with its tables as DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.export.frames import frames_of, hashed_frame, layer_frame
from harness.records import Comparison, Run, Verdict
from harness.runs.folder import find_run
from harness.runs.folder import load_run as read_run

if TYPE_CHECKING:
    import pandas as pd

    from harness.dumps.hashes import HashComparison


@dataclass(frozen=True)
class LoadedRun:
    """One run. `record` holds everything of its run.json; the tables are those of the report.

    `layers` has a row a layer, `ops` a row a timed op, `frames` a row a frame where the board's tool tells them,
    `findings` a row a finding. Times are in microseconds (`_us`), SQNR in dB; columns: docs/notebook.md.
    """

    folder: Path
    record: Run

    @property
    def verdict(self) -> Verdict:
        """Word, detail and exit code; "not_measured" for a run that ended before there was one."""
        return self.record.verdict or Verdict("not_measured", "the run ended before its verdict", 3)

    @property
    def layers(self) -> pd.DataFrame:
        """The comparison, in execution order; no row where nothing was compared."""
        return self._frames["layers"]

    @property
    def ops(self) -> pd.DataFrame:
        """Times of ops, the longest first."""
        return self._frames["ops"]

    @property
    def frames(self) -> pd.DataFrame:
        """Latency of every frame."""
        return self._frames["frames"]

    @property
    def findings(self) -> pd.DataFrame:
        """What to do, with the evidence."""
        return self._frames["findings"]

    @cached_property
    def _frames(self) -> Mapping[str, pd.DataFrame]:
        return frames_of(self.record)

    def report(self) -> Path:
        """Write the HTML report into the run folder; returns its path."""
        from harness.report import write_report

        return write_report(self.folder)

    def _repr_html_(self) -> str:
        from harness.notebook.shown import headline_html

        return headline_html(self.record)


@dataclass(frozen=True)
class LoadedComparison:
    """Two folders of tensors, compared. `record` holds origins, coverage and notes too; of a list of md5s neither."""

    record: Comparison | HashComparison

    @property
    def verdict(self) -> Verdict:
        """Word, detail and exit code."""
        return self.record.verdict

    @cached_property
    def layers(self) -> pd.DataFrame:
        """A row a layer, in execution order; columns as of `LoadedRun.layers`.

        Of a list of md5s: `name`, `verdict`, `md5_file_board`, `md5_file_reference`.
        """
        if not isinstance(self.record, Comparison):
            return hashed_frame(self.record.layers)
        from harness.report.tables.layers import layer_rows

        return layer_frame(layer_rows(self.record))


def load_run(path: str | Path) -> LoadedRun:
    """A run folder, its run.json, or a case's folder (its newest run).

    Errors: InputError for a path without a run, or a run.json that cannot be read.
    """
    file = find_run(Path(path))
    return LoadedRun(file.parent, read_run(file))
