"""Padded dumps that the board hashes itself: those whose valid bytes are the reference's need not cross the link.

What the PC expects is never sent to the board. A dump that is not as expected in any way is pulled.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.agent import Agent, FileFacts
from harness.agent.valid import PYTHON, SCRIPT, Padded, hash_valid
from harness.assets import asset
from harness.consistency.compare import read_mapping
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.predicted import ExpectedDump, inputs_of, predict_dumps
from harness.consistency.reading.tensor_files import size_bytes
from harness.dumps.folders import each_once
from harness.errors import AgentError, BoardError, InputError
from harness.files.safe import write_file
from harness.names import stored_name
from harness.records import ModelInfo, TensorSpec
from harness.review.case_reference import CaseReference
from harness.transports.base import CommandTimeout


@dataclass(frozen=True)
class VerifiedDump:
    """A dump whose valid bytes are the reference's, as the board's md5 of them says. `file` holds zeros for padding."""

    file: str
    valid_md5: str


@dataclass(frozen=True)
class PredictedFiles:
    """What names and sizes tell of a mode's files: what padded ones must hold, and the tensor of each, by file."""

    padded: dict[str, ExpectedDump]
    tensors: dict[str, str]


@dataclass(frozen=True)
class BoardHashes:
    """How to ask the board. `python` is where it has one, "" where it has none; `put` brings a file into its cache."""

    agent: Agent
    expected: CaseReference
    info: ModelInfo
    python: str
    path: tuple[str, ...]
    put: Callable[[Path, str], str]
    note: Callable[[str], None]

    def verify_on_board(
        self, mode: str, folder: str, kept: Mapping[str, FileFacts], obtained: Mapping[str, str], target: Path
    ) -> dict[str, VerifiedDump]:
        """Write the padded dumps of a mode that need not be pulled; `known` are files that are here already."""
        sizes = {facts.size_bytes for name, facts in kept.items() if name not in obtained}
        if not sizes & (self.expected.padded_sizes | self._output_sizes()):
            return {}
        predicted = self._known(mode, kept)
        wanted = {name: it for name, it in predicted.padded.items() if name not in obtained}
        if not wanted:
            return {}
        if not self.python:
            self.note(f"{mode}: {len(wanted)} padded dumps cannot be hashed on the board (no {PYTHON}): downloaded")
            return {}
        md5s = self._ask(mode, folder, wanted)
        equal = {name: md5 for name, md5 in md5s.items() if md5 == _md5(wanted[name])}
        if self.expected.case.pull != "none":
            equal = self._without_inputs(equal, predicted, {name for name in kept if name not in obtained})
        return {name: _write(wanted[name], name, md5, target) for name, md5 in equal.items()}

    def _output_sizes(self) -> set[int]:
        """Of the model's outputs as the board itself describes them."""
        platform = self.expected.platform
        ways = [way for spec in self.info.outputs for unit in platform.units for way in platform.storages(spec, unit)]
        return {_size(spec) for spec in (*self.info.outputs, *ways)}

    def _ask(self, mode: str, folder: str, wanted: Mapping[str, ExpectedDump]) -> dict[str, str]:
        files = [Padded(name, it.size_bytes, it.body_bytes, it.rows) for name, it in wanted.items()]
        try:
            script = self.put(asset(SCRIPT), Path(SCRIPT).name)
            return hash_valid(self.agent.link, folder, script, files, self.path)
        except (AgentError, BoardError, CommandTimeout) as error:
            self.note(f"{mode}: padded dumps could not be hashed on the board: {error.message}")
            return {}

    def _without_inputs(self, equal: Mapping[str, str], predicted: PredictedFiles, unknown: set[str]) -> dict[str, str]:
        """A layer that differs is pulled with what its op read, padding and all."""
        differing = {predicted.tensors[name] for name in unknown if name in predicted.tensors and name not in equal}
        assert self.expected.reference is not None
        read = inputs_of(self.expected.reference, sorted(differing))
        return {name: md5 for name, md5 in equal.items() if predicted.tensors[name] not in read}

    def _known(self, mode: str, kept: Mapping[str, FileFacts]) -> PredictedFiles:
        """Read names as they are read when the mode is compared, from empty files of the same names and sizes."""
        reference, platform = self.expected.reference, self.expected.platform
        predicted = PredictedFiles({}, {})
        if reference is None:
            return predicted
        with _stand_ins(kept) as (folder, names):
            outputs = platform.read_outputs(folder, "", self.info)
            layers = platform.read_dumps(folder, "", self.info) if mode.startswith("debug") else ()
            compared = each_once(layers, outputs)
            paths = {dump.path for dump in compared}
            others = tuple(dump for dump in layers if dump.path not in paths)
            for dumps in (others, compared):
                with contextlib.suppress(InputError):  # a mapping that does not fit is said when it is compared
                    mapping = read_mapping(Path(self.expected.case.mapping) if self.expected.case.mapping else None)
                    padded, tensors = predict_dumps(reference, dumps, platform.storages, mapping)
                    predicted.padded.update({names[path]: it for path, it in padded.items()})
                    predicted.tensors.update({names[path]: tensor for path, tensor in tensors.items()})
        return predicted


@contextlib.contextmanager
def _stand_ins(files: Mapping[str, FileFacts]) -> Iterator[tuple[Path, dict[Path, str]]]:
    """A folder of empty files as large as those on the board, and the board's name of each."""
    with tempfile.TemporaryDirectory(prefix="harness-names-") as name:
        folder, names = Path(name), {}
        for file, facts in files.items():
            path = folder / stored_name(file)
            with contextlib.suppress(OSError):  # a size that no disk has, a file in the place of a folder
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                names[path] = file
                os.truncate(path, facts.size_bytes)
        yield folder, names


def _size(spec: TensorSpec) -> int:
    try:
        return size_bytes(spec)
    except TensorError:  # sizes that are dynamic, or were misread
        return -1


def _md5(expected: ExpectedDump) -> str:
    try:
        return expected.md5()
    except TensorError:
        return ""


def _write(expected: ExpectedDump, name: str, md5: str, target: Path) -> VerifiedDump:
    write_file(target / stored_name(name), expected.content(), target.parent)
    return VerifiedDump(stored_name(name), md5)
