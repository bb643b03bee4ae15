"""The samples of a session: all of them first, then the one that its modes run with, and the layers of a few others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.records import ModelInfo
from harness.review.samples.summary import debugged_of, focus_of
from harness.session.rehash import Copies
from harness.session.samples.running import Parts, SamplesPass

MOST_DEBUGGED = 3  # besides the one in focus
Inputs = tuple[tuple[str, Path], ...]


class SampledSession:
    """Runs in a session whose case has samples."""

    def __init__(self, parts: Parts, copies: Copies, model: str, info: ModelInfo, place: str) -> None:
        self._parts, self._copies = parts, copies
        self._pass = SamplesPass(parts, model, info, place)

    def run(self) -> Inputs:
        """Every sample in release mode; gives the inputs of the one that everything else is run with.

        Where samples differ, the board's files are hashed once more, and all are run again if those were damaged.
        Errors: those of a mode.
        """
        with self._parts.progress.at("running samples"):
            self._pass.run()
            bad = sum(one.verdict in ("differs", "failed") for one in self._pass.finished.values())
            if bad and self._copies.replaced(f"{bad} samples differ or failed"):
                self._pass.forget()
                self._pass.run()
        if self._pass.case.samples and not self._pass.case.samples.sequence:
            return self._focused()
        self._parts.progress.record.note(*self._parts.expected.stage_words())
        return ()

    def _focused(self) -> Inputs:
        stems = self._pass.set.stems
        focus = focus_of(self._pass.finished, stems)
        expected = self._parts.expected
        folder = Path(expected.case.reference)
        if expected.case.reference and folder.is_dir():
            own = next((one for one in (folder / focus, folder / f"{focus}.npz") if one.exists()), folder)
            expected.case = replace(expected.case, reference=str(own))
        return self._pass.set.inputs(stems.index(focus), self._parts.progress.folder / "focus")

    def debug_others(self) -> None:
        """Layers of the first and of the worst samples. Errors: those of a mode."""
        case, platform = self._parts.expected.case, self._parts.expected.platform
        stems = debugged_of(self._pass.finished, self._pass.set.stems, MOST_DEBUGGED)
        if case.reference and stems and "debug" in (case.modes or platform.modes):
            with self._parts.progress.at("running samples in debug mode"):
                self._pass.debug(stems)
