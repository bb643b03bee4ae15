"""What a batch left, judged on this PC while the board computes the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import HostError, InputError
from harness.files.npz import packed
from harness.files.safe import make_folder, write_file
from harness.names import safe_name
from harness.records import ModelInfo, Sample
from harness.reference.folder import Reference
from harness.reference.onnx_runtime import time_limit
from harness.reference.outputs import OutputsOf
from harness.review.case_reference import STAGE_LIMIT_S, CaseReference, stage_runtime
from harness.review.chosen_stages import FLOAT, REFERENCE
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
    """The PC's models, opened once: reference and float model. One that only lay beside the model, and a float model
    that cannot be fed or takes longer than STAGE_LIMIT_S, is left out with the reason.

    Errors: InputError, HostError.
    """

    def __init__(self, expected: CaseReference, info: ModelInfo) -> None:
        self._expected, self._info = expected, info
        case = expected.case
        self._models: dict[str, OutputsOf] = {}
        self._spare = {FLOAT, *case.automatic}
        for name, path in ((REFERENCE, case.reference), (FLOAT, case.floats)):
            if path and name not in expected.left_out:
                with self._may_fail(name, path, name in self._spare):
                    own = case.reference_runtime if name == REFERENCE else stage_runtime(Path(path), case)
                    self._models[name] = OutputsOf(Path(path), own)

    def refuse_missing(self, stems: Sequence[str]) -> None:
        """Errors: InputError for samples that a folder of references does not have."""
        for name, outputs in list(self._models.items()):
            with self._may_fail(name, str(outputs.path), name in self._expected.case.automatic):
                outputs.refuse_missing(stems)

    def references(self, sample: PreparedSample, scratch: Path) -> SampleReferences:
        """Run both models on one sample. Errors: InputError."""
        known = CaseReference(self._expected.case, self._expected.platform, lambda *_: None)
        reference, floats = (self._of(name, sample, scratch / name) for name in (REFERENCE, FLOAT))
        known.hold(reference or Reference({}), sample.fed)
        return SampleReferences(known, reference, floats)

    def _of(self, name: str, sample: PreparedSample, scratch: Path) -> Reference | None:
        model = self._models.get(name)
        if model is None:
            return None
        feeds = self._expected.feeds(self._info, sample.fed, str(model.path))
        is_spare = name in self._spare
        with self._may_fail(name, str(model.path), is_spare), time_limit(STAGE_LIMIT_S) if is_spare else nullcontext():
            return model.of(sample.stem, feeds, scratch)
        return None

    @contextmanager
    def _may_fail(self, name: str, path: str, is_spare: bool) -> Iterator[None]:
        """Go on without a stage that is spare, with the reason."""
        try:
            yield
        except (InputError, HostError) as error:
            if not is_spare:
                raise
            self._models.pop(name, None)
            self._expected.left_out[name] = f"{Path(path).name}: {error.message.removeprefix(f'{path}: ')}"


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


def keep_values(run_folder: Path, judged: JudgedSample, number: int) -> None:
    """Write the real values of the board's outputs into the run folder, under the reference's names."""
    if board := judged.values.get("board"):
        arrays = {name: np.asarray(value, np.float32) for name, value in board.items()}
        target = values_file(run_folder, judged.sample.stem, number)
        make_folder(target.parent, run_folder)
        write_file(target, packed(arrays), run_folder)


def values_file(run_folder: Path, stem: str, number: int) -> Path:
    """Where the outputs of the sample `number`, from 0, are kept."""
    return run_folder / FOLDER / f"v{number:06}-{safe_name(stem)}.npz"


def failed(sample: PreparedSample, words: str, ran: SampleEnding) -> JudgedSample:
    """A sample that the board's tool failed at."""
    return JudgedSample(Sample(sample.stem, "failed", failure=words, tool_s=ran.seconds))
