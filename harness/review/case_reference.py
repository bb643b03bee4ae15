"""The PC's side of one case: its reference, opened once, and which board files it makes known before they are pulled.

A dump whose md5 and size are those of the reference in one of the platform's unpadded storages is known byte for byte:
this PC writes it itself, and it need not cross the link. So is one of an input that was fed. Padding is undefined on
these boards: of a padded dump only the valid bytes can be known (session/board_hashes.py).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt

from harness.agent import FileFacts
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.predicted import stored_values, tells
from harness.consistency.reading.tensor_files import encode, size_bytes
from harness.diagnosis.plan import find_beside
from harness.errors import HostError, InputError
from harness.files.arrays import is_npy
from harness.files.npy import open_npy
from harness.files.safe import write_file
from harness.names import safe_name, stored_name
from harness.platforms.base import Platform
from harness.records import BuiltPixels, Case, Graph, ModelInfo, ReferenceOfCase, ReferenceRuntime, TensorSpec
from harness.records.callbacks import ProgressCallback
from harness.records.run import LEFT_OUT, TAKEN
from harness.reference.graph import read_graph
from harness.reference.inputs import arrays_of_bytes
from harness.reference.onnx_runtime import time_limit
from harness.reference.open import Reference, ReferenceTensor, open_reference
from harness.review import identity
from harness.review.chosen_stages import FLOAT, REFERENCE
from harness.review.kept_references import ReferenceFolders
from harness.toolchains.stages import built_pixels, pixels_of
from harness.toolchains.vendor_runtime import is_compiled, needs_vendor

Array = npt.NDArray[Any]
STAGE_LIMIT_S = 60.0  # of one stage; more than that a run does not wait for what it was not asked


@dataclass(frozen=True)
class Fed:
    """One input as the board got it: tensor name and the file in the run folder."""

    tensor: str
    path: Path


class CaseReference:
    """What the PC says of one case. `reference` is None until `open` was called, or where the case has none."""

    def __init__(
        self, case: Case, platform: Platform, tell: ProgressCallback, kept: ReferenceFolders | None = None
    ) -> None:
        self.case, self.platform, self._tell, self._kept = case, platform, tell, kept
        # Does a run folder speak against the board? None: nobody looks now, so its copies are verified in any case.
        self.doubted: Callable[[Path], bool] | None = lambda _folder: False
        self.doubt_reason = "the result diverges"  # why they are verified
        self.reference: Reference | None = None
        self.stages: dict[str, Reference] = {}  # of the same build, before the reference, by name
        self.left_out = dict(case.left_out)  # stage -> why
        self._by_size: dict[int, list[tuple[ReferenceTensor, TensorSpec]]] = {}
        self._by_md5: dict[tuple[int, str], tuple[ReferenceTensor, TensorSpec]] = {}
        self._fed: dict[tuple[int, str], tuple[Path, int]] = {}  # where these bytes begin in a file that was fed
        self.padded_sizes: set[int] = set()  # of dumps whose padding keeps them from being known byte for byte

    def open(self, info: ModelInfo, inputs: Sequence[Fed], scratch: Path) -> None:
        """Read or compute the reference, fed with the board's own input bytes. Errors: InputError.

        One that was only found beside the model is left out where it cannot be had: the board is measured all the same.
        """
        if not self.case.reference or self.reference is not None or REFERENCE in self.left_out:
            return
        self._tell("computing the reference", 0, -1)
        path, graph = Path(self.case.reference), Path(self.case.graph) if self.case.graph else None
        if why := self._without_values() or self._of_another_input(path, inputs):
            self.left_out[REFERENCE] = why
            return
        try:
            reference = self._computed(path, info, inputs, scratch, graph, self.case.reference_runtime)
        except (InputError, HostError) as error:
            if REFERENCE not in self.case.automatic:
                raise
            self.left_out[REFERENCE] = f"{path.name}: {error.message}"
            return
        self.hold(reference, inputs)

    def _computed(
        self,
        path: Path,
        info: ModelInfo,
        inputs: Sequence[Fed],
        scratch: Path,
        graph: Path | None,
        runtime: ReferenceRuntime | None,
    ) -> Reference:
        """A reference that is read, or computed once for all runs that feed it with the same. Errors: those of
        `open_reference`."""
        feeds = self.feeds(info, inputs, str(path))

        def opened() -> Reference:
            return open_reference(path, feeds=feeds, scratch=scratch, graph=graph, runtime=runtime)

        if self._kept is None or not path.is_file():
            return opened()
        fed = tuple((one.tensor, _md5(one.path.read_bytes())) for one in inputs)
        build = self.case.build or find_beside(self.case.model, self.case.model_name)
        decided = identity.take((("reference", path), *(("build", file) for file in build)))
        key = (self.platform.name, repr((decided, info.inputs, graph, runtime)), fed)
        return self._kept.open(key, scratch, opened)

    def _without_values(self) -> str:
        """Why what only lay beside the model has nothing to be held against: nobody asked for a mode that leaves
        values, and a run that was not asked to compare is not one that could not."""
        leaves = {"debug", self.platform.sampled_mode}
        if REFERENCE not in self.case.automatic or not self.case.modes or leaves & set(self.case.modes):
            return ""
        return f"this board's {' and '.join(self.case.modes)} mode leaves no values; --mode debug does"

    def _of_another_input(self, path: Path, inputs: Sequence[Fed]) -> str:
        """Why tensors that only lay beside the model are not those of this input; "" where they are."""
        if REFERENCE not in self.case.automatic or not path.is_dir():
            return ""
        made_with = self.platform.reference_inputs(path)
        fed = {hashlib.md5(one.path.read_bytes(), usedforsecurity=False).hexdigest() for one in inputs}
        if made_with and fed <= set(made_with.values()):
            return ""
        named = f"{', '.join(made_with)} in it" if made_with else "an input that is not in it"
        return f"{path.name}: made with {named}, and this run was fed another; --input takes that file"

    def hold(self, reference: Reference, inputs: Sequence[Fed]) -> None:
        """Take a reference that was opened elsewhere, and know its files and those of the inputs."""
        self.reference = reference
        self._fed = dict(piece for fed in inputs for piece in _pieces(fed.path))
        for tensor, spec in self._storages(self.reference):
            if _padded(spec) or spec.aligned_bytes:
                self.padded_sizes.add(size_bytes(spec))
            if not _padded(spec):
                self._by_size.setdefault(size_bytes(spec), []).append((tensor, spec))

    def open_stages(self, info: ModelInfo, inputs: Sequence[Fed], folder: Path) -> None:
        """Read or compute the other stages, fed with the same bytes, each in a folder of its name below `folder`.

        One that cannot be fed, does not run or takes longer than STAGE_LIMIT_S is left out, with the reason.
        """
        for name, path in self.wanted_stages():
            if self.reference is None or name in self.stages or name in self.left_out or self._is_own(path):
                continue
            self._tell(f"computing stage {name}", 0, -1)
            runtime = stage_runtime(path, self.case)
            try:
                scratch = folder / ("float" if name == FLOAT else f"stage_{safe_name(name)}")
                with time_limit(STAGE_LIMIT_S):
                    self.stages[name] = self._computed(path, info, inputs, scratch, None, runtime)
            except (InputError, HostError) as error:
                self.left_out[name] = f"{path.name}: {error.message.removeprefix(f'{path}: ')}"

    def wanted_stages(self) -> list[tuple[str, Path]]:
        """Name and path of every stage in order, float first; the reference is one of them where it was named."""
        return [*([(FLOAT, Path(self.case.floats))] if self.case.floats else []), *self.case.stages]

    def all_stages(self) -> dict[str, Path | Reference]:
        """The stages that could be had, in order; the reference under the name that it was given."""
        wanted = [
            (name, self.reference if self._is_own(path) else self.stages.get(name))
            for name, path in self.wanted_stages()
        ]
        return {name: one for name, one in wanted if one is not None}

    def _is_own(self, path: Path) -> bool:
        return path.absolute() == Path(self.case.reference).absolute()

    @property
    def floats(self) -> Reference | None:
        """The float model's tensors, where the case has one."""
        return self.stages.get(FLOAT)

    def stage_words(self) -> list[str]:
        """What was taken from the files beside the model, then a sentence for each stage that this run does without."""
        paths = {REFERENCE: Path(self.case.reference), **dict(self.wanted_stages())}
        names = [f"{name} {paths[name].name}" for name in self.case.automatic if name in paths]
        by = next(iter(self.case.automatic.values()), "")
        taken = [f"{TAKEN}{by}: {', '.join(names)} (--no-stages leaves them out)"] if names else []
        return [*taken, *(f"{LEFT_OUT}{name}: {why}" for name, why in self.left_out.items())]

    def network(self) -> Graph | None:
        """The reference's graph, or that of the ONNX of --graph. Errors: InputError where that cannot be read."""
        if self.reference is not None:
            return self.reference.graph
        return read_graph(Path(self.case.graph)) if self.case.graph else None

    def record(self) -> ReferenceOfCase | None:
        """For run.json: which reference it was."""
        if self.reference is None:
            return None
        inputs = self.platform.reference_inputs(Path(self.case.reference))
        return ReferenceOfCase(Path(self.case.reference).name, self.reference.kind, inputs)

    def fill(self, remote: Mapping[str, FileFacts], target: Path) -> dict[str, str]:
        """Write the files that are known already; gives the stored file name by name, like a pull does.

        `target` is a mode's folder in the run folder. Errors: InputError for a link in there, OSError.
        """
        written = {}
        for name, facts in remote.items():
            content = self._known(facts)
            if content is not None:
                write_file(target / stored_name(name), content, target.parent)
                written[name] = stored_name(name)
        return written

    def of_its_sizes(self, remote: Mapping[str, FileFacts]) -> dict[str, FileFacts]:
        """Files that may hold a tensor of the reference, by their size.

        To be asked before `fill`, which forgets what it has met.
        """
        sizes = self.padded_sizes | set(self._by_size)
        return {name: facts for name, facts in remote.items() if facts.size_bytes in sizes} if sizes else {}

    # ---- what is known

    def _known(self, facts: FileFacts) -> bytes | None:
        for tensor, spec in self._by_size.pop(facts.size_bytes, []):  # each size is encoded once, when it is met
            self._by_md5.setdefault((facts.size_bytes, _md5(_encoded(tensor, spec))), (tensor, spec))
        fed = self._by_md5.get((facts.size_bytes, facts.md5))
        if fed is not None:
            return _encoded(*fed)
        path, start = self._fed.get((facts.size_bytes, facts.md5), (None, 0))
        return path.read_bytes()[start : start + facts.size_bytes] if path else None

    def _storages(self, reference: Reference) -> Iterator[tuple[ReferenceTensor, TensorSpec]]:
        """Every way in which a tensor of the reference, or its float side, may lie on the board."""
        for tensor in reference.tensors.values():
            for side in (tensor, tensor.alternate):
                if side is not None and side.spec is not None:
                    ways = [way for unit in self.platform.units for way in self.platform.storages(side.spec, unit)]
                    yield from ((side, way) for way in dict.fromkeys(ways) if tells(side.spec, way))

    # ---- feeding an ONNX

    def feeds(
        self, info: ModelInfo, inputs: Sequence[Fed], of: str
    ) -> Callable[[Sequence[TensorSpec]], dict[str, bytes | Array]]:
        """What gives an ONNX (`of`, for messages) the bytes of its inputs; a compiled model takes the board's own, as
        arrays. Errors: InputError, when it is called."""

        def feeds(wanted: Sequence[TensorSpec]) -> dict[str, bytes | Array]:
            open_sizes = _open_sizes(wanted, inputs)
            given = {fed.tensor: fed.path.read_bytes() for fed in inputs if fed not in open_sizes.values()}
            closed = [spec for spec in wanted if spec.name not in open_sizes]
            frame, given = _first_frame(info, wanted, given)
            try:
                made = self.platform.reference_feeds(frame, closed, given, pixels_of(Path(of), self._pixels))
                return {**made, **{name: open_npy(fed.path) for name, fed in open_sizes.items()}}
            except InputError as error:
                if len(wanted) != len(inputs):
                    raise InputError(f"{of}: {error.message}", _both_sides(wanted, info)) from error
                if not _foreign(wanted, info):
                    raise
                raise InputError(
                    f"{of}: may be the wrong ONNX: {error.message}",
                    f"{_both_sides(wanted, info)}; give the ONNX that this model was built from",
                ) from error

        return (lambda _: _own_arrays(info, inputs)) if is_compiled(Path(of)) else feeds

    @cached_property
    def _pixels(self) -> dict[str, BuiltPixels]:
        return built_pixels(self.case.build or find_beside(self.case.model, self.case.model_name))


def stage_runtime(path: Path, case: Case) -> ReferenceRuntime | None:
    """What runs a stage that needs a vendor's runtime, within a stage's time; None where this process runs it."""
    if not needs_vendor(path):
        return None
    return replace(case.reference_runtime or ReferenceRuntime(python=sys.executable), timeout_s=STAGE_LIMIT_S)


def _open_sizes(wanted: Sequence[TensorSpec], inputs: Sequence[Fed]) -> dict[str, Fed]:
    """By the name of an input with open sizes the .npy that fills them with its own."""
    if len(wanted) != len(inputs):
        return {}
    partners = {spec.name: _partner(spec, place, inputs) for place, spec in enumerate(wanted) if -1 in spec.shape}
    return {name: fed for name, fed in partners.items() if is_npy(fed.path)}


def _first_frame(
    info: ModelInfo, wanted: Sequence[TensorSpec], given: dict[str, bytes]
) -> tuple[ModelInfo, dict[str, bytes]]:
    """Where every input of the board holds several frames and the ONNX takes one: the first of each; else as they are.

    The comparison finds the reference's frame in what the board left, and says so.
    """
    counts = {spec.shape[0] if len(spec.shape) > 1 else 0 for spec in info.inputs}
    count = counts.pop() if len(counts) == 1 else 0
    takes_one = all(len(spec.shape) > 1 and spec.shape[0] == 1 for spec in wanted)
    if count < 2 or not takes_one or any(len(data) % count for data in given.values()):
        return info, given
    specs = tuple(replace(spec, shape=(1, *spec.shape[1:]), aligned_shape=()) for spec in info.inputs)
    return replace(info, inputs=specs), {name: data[: len(data) // count] for name, data in given.items()}


def _own_arrays(info: ModelInfo, inputs: Sequence[Fed]) -> dict[str, bytes | Array]:
    """What the board got, in the types and shapes of its model."""
    specs = [spec for spec in info.inputs if spec.shape and all(size > 0 for size in spec.shape)]
    known = {spec.name for spec in specs}
    if lost := [fed.tensor for fed in inputs if fed.tensor not in known and not is_npy(fed.path)]:
        raise InputError(f"input {lost[0]!r}: its shape on the board is not known, so a compiled model cannot be fed")
    given = {fed.tensor: open_npy(fed.path) if is_npy(fed.path) else fed.path.read_bytes() for fed in inputs}
    return dict(arrays_of_bytes([spec for spec in specs if spec.name in given], given))


def _partner(spec: TensorSpec, position: int, inputs: Sequence[Fed]) -> Fed:
    """The board input of the same name, else the one in the same place."""
    return next((fed for fed in inputs if fed.tensor == spec.name), inputs[position])


def _foreign(wanted: Sequence[TensorSpec], info: ModelInfo) -> bool:
    """Whether the inputs of an ONNX and of the board's model have no name, or no size, in common."""
    names = {spec.name for spec in wanted} & {spec.name for spec in info.inputs}
    sizes = {_sides(spec) for spec in wanted} & {_sides(spec) for spec in info.inputs}
    return bool(info.inputs) and not (names and sizes)


def _sides(spec: TensorSpec) -> tuple[int, ...]:
    """The sizes of a tensor in whatever order of axes, without the ones that a layout may add."""
    return tuple(sorted(size for size in spec.shape if size != 1))


def _both_sides(wanted: Sequence[TensorSpec], info: ModelInfo) -> str:
    return f"its inputs: {_inputs_in_words(wanted)}; the board model's: {_inputs_in_words(info.inputs)}"


def _inputs_in_words(specs: Sequence[TensorSpec]) -> str:
    """`'images' u8 1x3x224x224`, of each input."""
    return ", ".join(f"{s.name!r} {s.dtype} {'x'.join(map(str, s.shape))}" for s in specs) or "none reported"


def _pieces(path: Path) -> Iterator[tuple[tuple[int, str], tuple[Path, int]]]:
    """Size and md5 of a fed file as tools dump it: whole, or an NV12 picture as its two planes."""
    data = path.read_bytes()
    luma = len(data) // 3 * 2
    for start, end in ((0, len(data)), (0, luma), (luma, len(data))):
        yield (end - start, _md5(data[start:end])), (path, start)


def _padded(spec: TensorSpec) -> bool:
    return bool(spec.stride_bytes) or (spec.aligned_shape or spec.shape) != spec.shape


def _encoded(tensor: ReferenceTensor, spec: TensorSpec) -> bytes:
    """The bytes of a reference tensor in a storage; nothing where the storage does not fit it after all."""
    try:
        return encode(stored_values(tensor, spec), spec)
    except TensorError:
        return b""


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
