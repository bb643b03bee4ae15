"""What a batch left, judged on this PC while the board computes the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.files.safe import make_folder, write_file
from harness.names import safe_name
from harness.records import ModelInfo, Sample
from harness.reference.folder import Reference
from harness.reference.outputs import OutputsOf
from harness.review.case_reference import CaseReference
from harness.review.samples.one import JudgedSample
from harness.session.samples.batches import PreparedSample, SampleEnding

MOST_KEPT = 200  # samples whose outputs stay in the run folder
FOLDER = "samples"


@dataclass(frozen=True)
class SampleReferences:
    """What this PC says of one sample, before the board does."""

    known: CaseReference  # which files need not come
    reference: Reference | None
    floats: Reference | None


class Stages:
    """The PC's models, opened once. Errors: InputError."""

    def __init__(self, expected: CaseReference, info: ModelInfo) -> None:
        case = expected.case
        self._expected, self._info = expected, info
        self._reference = OutputsOf(Path(case.reference), case.reference_runtime) if case.reference else None
        self._floats = OutputsOf(Path(case.floats), None) if case.floats else None

    def refuse_missing(self, stems: Sequence[str]) -> None:
        """Errors: InputError for samples that a folder of references does not have."""
        for outputs in (self._reference, self._floats):
            if outputs is not None:
                outputs.refuse_missing(stems)

    def references(self, sample: PreparedSample, scratch: Path) -> SampleReferences:
        """Run both models on one sample. Errors: InputError."""
        case, info = self._expected.case, self._info
        known = CaseReference(case, self._expected.platform, lambda *_: None)
        feeds = known.feeds(info, sample.fed, case.reference)
        reference = self._reference.of(sample.stem, feeds, scratch / "quantized") if self._reference else None
        given = known.feeds(info, sample.fed, case.floats)
        floats = self._floats.of(sample.stem, given, scratch / "float") if self._floats else None
        known.hold(reference or Reference({}), sample.fed)
        return SampleReferences(known, reference, floats)


def keep_outputs(run_folder: Path, judged: Sample, local: Path, number: int, count: int) -> str:
    """Copy the outputs of a sample that differs into the run folder; its place there, "" where it is not kept.

    `number` is the sample's, from 0: two stems may be one safe name. `count` samples are kept so far.
    """
    if judged.verdict not in ("differs", "failed") or count >= MOST_KEPT or not local.is_dir():
        return ""
    place = f"{FOLDER}/s{number:06}-{safe_name(judged.stem)}"
    for path in sorted(local.rglob("*")):
        if path.is_file() and not path.is_symlink():
            target = run_folder / place / path.relative_to(local)
            make_folder(target.parent, run_folder)
            write_file(target, path.read_bytes(), run_folder)
    return place


def failed(sample: PreparedSample, words: str, ran: SampleEnding) -> JudgedSample:
    """A sample that the board's tool failed at."""
    return JudgedSample(Sample(sample.stem, "failed", failure=words, tool_s=ran.seconds))
