"""What a run needs on its board: the model, the platform's own files, and the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.agent.valid import SCRIPT
from harness.assets import asset
from harness.records import BoardIdentity, Job, ModelInfo, Workload
from harness.review.case_reference import CaseReference, Fed
from harness.session import record as run_record
from harness.session import unchanged
from harness.session.inputs import plan_inputs, wants_raw
from harness.session.job import job_of, on_board
from harness.session.progress import RunProgress
from harness.session.rehash import Copies

PC_ROLES = ("reference", "float model", "stage", "graph")  # what this PC computes or reads


class Pusher:
    """Brings the files of one run to the board. Errors of every method: those of `sending.put`."""

    def __init__(
        self,
        board: BoardIdentity,
        work: str,
        expected: CaseReference,
        progress: RunProgress,
        copies: Copies,
        python: str,
    ) -> None:
        self._board, self._work, self._expected = board, work, expected
        self._progress, self._copies, self._python = progress, copies, python
        self._case = progress.resume.case
        self._has_reference = bool(self._case.reference or self._case.floats)  # a PC's model, which takes values
        self._support: list[tuple[str, str]] = []  # the platform's own files: name on this PC, place on the board
        self._always: tuple[Path, ...] = ()  # files of this PC that every mode needs there, besides the inputs

    def push_model(self) -> str:
        """The model and the platform's own files; gives the model's path on the board."""
        with self._progress.at("pushing the model"):
            platform = self._expected.platform
            own = platform.files(self._board, self.job("info", "", ()))
            emulated = self._board.emulated is not None
            support = (*own, *platform.beside(self._case.model, self._board.soc, is_emulated=emulated))
            script = [asset(SCRIPT)] if self._python else []
            self._always = (self._case.model, *support, *script)
            given = [path for _, path in self._case.inputs if path.is_file()]  # one that is not is reported later
            self._copies.reserve((*self._always, *given))
            model = self.put(self._case.model)
            self._support = [(path.name, self.put(path)) for path in support]
        return model

    def push_inputs(self, info: ModelInfo, given: Sequence[tuple[str, Path]] = ()) -> tuple[str, ...]:
        """The model's inputs (`given`, else the case's); gives their paths on the board. Opens the reference on the
        way."""
        facts = self._expected.platform.read_input_facts(info)
        raw = wants_raw(self._case.modes or self._expected.platform.modes, facts, values=self._has_reference)
        kept = self._progress.resume.files
        with unchanged.held(kept, ("input",), self._progress.record.run):
            plan = plan_inputs(given or self._case.inputs, facts, self._progress.folder / "inputs", raw=raw)
        self._progress.record.add_inputs(run_record.input_record(item) for item in plan)
        self._progress.record.note(*(item.note for item in plan if item.note))
        fed = [Fed(item.tensor, item.path) for item in plan]
        with unchanged.held(kept, PC_ROLES, self._progress.record.run, folders=False):
            self._expected.open(info, fed, self._progress.folder / "reference")
            self._expected.open_stages(info, fed, self._progress.folder)
        self._progress.record.note(*self._expected.stage_words())
        self._progress.record.add_reference(self._expected.record())
        packed = self._expected.platform.pack_inputs(
            info, [(item.tensor, item.path) for item in plan], self._progress.folder / "inputs"
        )
        self._copies.reserve((*self._always, *packed))
        names = [item.tensor for item in plan] if len(packed) == len(plan) else [path.name for path in packed]
        return tuple(self.put(path, name) for path, name in zip(packed, names, strict=True))

    def put(self, path: Path, name: str = "") -> str:
        """Push by content hash; returns the path on the board and records what really crossed the link."""
        put = self._copies.put(path)
        self._progress.record.add_pushed(name or path.name, put)
        return put.path

    def job(self, mode: str, model: str, inputs: tuple[str, ...], workload: Workload | None = None) -> Job:
        """A mode as a job, with the paths of what lies on the board; `workload`: another one than the case's."""
        described = job_of(self._work, workload or self._case.workload, mode, model)
        return on_board(described, inputs, self._support, self._progress.record.run.case.inputs)
