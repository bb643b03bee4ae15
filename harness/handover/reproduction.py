"""Of a run that diverges: each op that is blamed, alone, with all that it takes to see it wrong once more.

A folder for each: `op.onnx`, what it is fed (`inputs/`), what the board gave (`board/`, a folder of dumps) and what the
PC gives (`pc/`, a folder of a reference with the op as its graph). Tensors of the board are written anew from their
valid values: what lay in the padding is anything that was in the board's memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness import platforms
from harness.consistency.compare import fault_search
from harness.consistency.faults import FaultSearch
from harness.consistency.origins import origins as on_graph
from harness.consistency.origins.alone import OpRunner, request_of
from harness.consistency.origins.isolate import CannotIsolate, Request
from harness.consistency.origins.single_op import SingleOp, single_op
from harness.consistency.policy import load_policy
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair, open_pair
from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import Array, encode, open_tensor, size_bytes
from harness.consistency.settings import CompareSettings
from harness.dumps import manifest
from harness.errors import InputError
from harness.files.safe import write_file
from harness.handover.run_policy import FILE, FoundPolicy, found_policy, write_limits
from harness.platforms.base import Platform
from harness.records import Comparison, Dump, Graph, Op, Origin, Run, TensorSpec
from harness.reference.open import Reference, array_md5, open_reference
from harness.reference.target import TargetFolder
from harness.review.judge import RunReader

MOST_OPS = 8  # that are taken along
REFERENCE = "reference"  # the folder of a run that keeps what an ONNX gave
MODES = ("debug", "release")
SWAPPED = "input_order"  # told by the other inputs of the network


@dataclass(frozen=True)
class OpFolder:
    """One op as the bundle's list holds it. `how`: "op" (a model that runs), "tensors" (what both sides gave)."""

    folder: str
    op: str
    op_kind: str
    tensor: str
    kind: str
    certain: bool
    evidence: str
    how: str = "op"
    inputs: Mapping[str, str] = field(default_factory=dict)  # input of op.onnx -> file in the op's folder
    network_inputs: tuple[str, ...] = ()  # of what it reads: inputs of the whole network
    repeats: tuple[str, ...] = ()  # folders of dumps of the same frame
    previous: str = ""  # the folder with the tensor of the frame before, where that is known
    proof: tuple[str, ...] = ()  # further tensors of the PC's side that tell the kind
    platform: str = ""
    toolchain: str = ""
    policy: str = ""
    runs_onnxruntime: bool = False


@dataclass(frozen=True)
class BothSides:
    """Both sides of a comparison, opened once more, and what came of it. `repeats` are dumps of the same frame."""

    reference: Reference
    dumps: Sequence[Dump]
    settings: CompareSettings
    comparison: Comparison
    policy: FoundPolicy = field(default_factory=lambda: FoundPolicy(""))


def sides_of_run(folder: Path, run: Run, reference: Path | None = None) -> BothSides:
    """Of a run that was judged. Errors: InputError where it compared nothing, or one of its sides is gone."""
    if run.comparison is None:
        raise InputError(f"{folder}: this run compared nothing", "run it with --reference")
    platform: Platform = platforms.load(run.board.platform)
    policy = found_policy(run)
    reader = RunReader(platform, folder, {mode.mode: mode for mode in run.modes})
    mode = next((mode for mode in MODES if reader.worked(mode)), "")
    if not mode:
        raise InputError(f"{folder}: neither {MODES[0]} nor {MODES[1]} gave tensors", "run it again")
    settings = CompareSettings(
        storages=platform.storages,
        policy=load_policy(policy.source),
        platform=platform.name,
        runs_onnxruntime=platform.runs_onnxruntime,
        toolchain=reader.info.versions.get("builder", ""),
        repeats=[reader.dumps(turn) for turn in reader.turns(mode) if turn != mode],
        gaps=reader.gaps(mode),
        hashed=reader.hashed(mode),
        hashes=False,
    )
    return BothSides(_reference(folder, reference), reader.dumps(mode), settings, run.comparison, policy)


def _reference(folder: Path, given: Path | None) -> Reference:
    kept = given or folder / REFERENCE
    if not kept.exists():
        raise InputError(
            f"{folder}: does not hold the reference that it was compared with", "give it: --reference DIR|NPZ"
        )
    if kept.suffix == ".onnx":
        raise InputError(f"{kept}: tensors are wanted, not a model", "give the folder of the reference's tensors")
    return open_reference(kept)


def write_ops(sides: BothSides, target: Path) -> Iterator[OpFolder]:
    """Every op that a comparison blames, a folder each below `target`. Errors: InputError, OSError."""
    origins = sides.comparison.origins[:MOST_OPS]
    if not origins:
        return
    search = fault_search(sides.reference, sides.dumps, sides.settings)
    runner = search.op_runner(sides.comparison.layers)
    if sides.policy.is_file:
        write_limits(load_policy(sides.policy.source), target)
    for place, origin in enumerate(origins, 1):
        yield _write_op(_Sides(sides, search, runner), origin, target, f"ops/{place}")


@dataclass(frozen=True)
class _Sides:
    """What one op is cut out of."""

    given: BothSides
    search: FaultSearch
    runner: OpRunner | None

    @property
    def graph(self) -> Graph:
        return self.search.graph or Graph((), (), ())


def _write_op(sides: _Sides, origin: Origin, target: Path, name: str) -> OpFolder:
    mark, settings = origin.fingerprint, sides.given.settings
    alone, ops, read = _alone(sides, origin)
    made = OpFolder(
        name,
        origin.op,
        origin.op_kind,
        origin.tensor,
        mark.kind if mark else "",
        bool(mark and mark.certain),
        mark.evidence if mark else "",
        "op" if alone is not None else "tensors",
        platform=settings.platform,
        toolchain=settings.toolchain,
        policy=FILE if sides.given.policy.is_file else sides.given.policy.source,
        runs_onnxruntime=settings.runs_onnxruntime,
    )
    folder = target / name
    inputs = _write_inputs(alone, folder) if alone is not None else {}
    wanted = _wanted(origin, read)
    _write_dumps(sides, wanted, folder / "board", sides.given.dumps)
    repeats = []
    for turn, dumps in enumerate(sides.given.settings.repeats, 2):
        if _write_dumps(sides, (origin.tensor,), folder / f"repeat-{turn}", dumps):
            repeats.append(f"repeat-{turn}")
    held = _held_elsewhere(origin, sides.given.reference)
    swapped = origin.fingerprint is not None and origin.fingerprint.kind == SWAPPED
    entries = sides.graph.inputs if swapped else tuple(name for name in read if name in sides.graph.inputs)
    held = (*held, *(name for name in entries if name not in wanted))
    _write_pc(sides.given.reference, (*wanted, *held), Graph(ops, read, (origin.tensor,)), folder / "pc")
    before = sides.given.settings.previous
    if before is not None and origin.tensor in before.tensors:
        _write_pc(before, (origin.tensor,), Graph((), (), ()), folder / "previous")
        made = replace(made, previous="previous")
    return replace(made, inputs=inputs, network_inputs=entries, repeats=tuple(repeats), proof=held)


def _wanted(origin: Origin, read: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*read, origin.tensor)))


def _held_elsewhere(origin: Origin, reference: Reference) -> tuple[str, ...]:
    """The tensor whose values the board's file holds: it proves that kind, and is no part of the op."""
    held = str((origin.fingerprint.figures if origin.fingerprint else {}).get("holds", ""))
    return (held,) if held in reference.tensors else ()


# --------------------------------------------------------------------------- the op


def _alone(sides: _Sides, origin: Origin) -> tuple[SingleOp | None, tuple[Op, ...], tuple[str, ...]]:
    """The op as a model, the ops in it, and the tensors that it reads; of a network input its first reader."""
    graph = sides.graph
    if origin.tensor in graph.inputs:
        return _first_reader(sides, origin.tensor)
    states = {layer.name: on_graph.STATES[layer.verdict] for layer in sides.given.comparison.layers}
    reach = on_graph.reaches(graph, states).get(origin.tensor)
    if reach is None:
        return None, (), ()
    ops = tuple(op for op in graph.ops if op.name in (reach.op.name, *reach.unseen))
    rows = {layer.name: layer for layer in sides.given.comparison.layers}
    request = request_of(reach, rows, sides.runner) if sides.runner is not None else None
    return _cut(sides, request), ops, reach.frontier


def _first_reader(sides: _Sides, tensor: str) -> tuple[SingleOp | None, tuple[Op, ...], tuple[str, ...]]:
    """The op that reads a network input, fed as the PC's side was: what differs is what it was given."""
    graph, runner = sides.graph, sides.runner
    op = next((op for op in graph.ops if tensor in op.inputs and set(op.inputs) <= set(graph.inputs)), None)
    if op is None or runner is None:
        return None, (), graph.inputs
    feeds = {name: np.asarray(runner.fed(name)) for name in op.inputs}
    return _cut(sides, Request(op.outputs[0], feeds)), (op,), op.inputs


def _cut(sides: _Sides, request: Request | None) -> SingleOp | None:
    if request is None or sides.runner is None:
        return None
    try:
        return single_op(sides.runner.isolator, request)
    except CannotIsolate:
        return None


def _write_inputs(alone: SingleOp, folder: Path) -> dict[str, str]:
    write_file(folder / "op.onnx", alone.model.SerializeToString(), folder)
    files = {name: f"inputs/{place}.npy" for place, name in enumerate(alone.feeds)}
    target = TargetFolder(folder)
    for name, file in files.items():
        target.write_array(file, np.ascontiguousarray(alone.feeds[name]))
    return files


# --------------------------------------------------------------------------- tensors of both sides


def _write_dumps(sides: _Sides, names: Sequence[str], folder: Path, dumps: Sequence[Dump]) -> int:
    """The board's tensors of these names, as a folder of dumps; how many there are."""
    by_file = {dump.path: dump for dump in dumps}
    target, records = TargetFolder(folder), []
    for place, name in enumerate(names):
        row = sides.search.rows.matches.get(name)
        own = row.dump if row is not None else None
        dump = by_file.get(own.path) if own is not None else None
        if row is not None and own is not None and dump is None:  # of another turn: under the same name
            dump = next((one for one in dumps if (one.name, one.role) == (own.name, own.role)), None)
        if row is None or row.tensor is None or dump is None:
            continue
        try:
            pair = open_pair(row.tensor, dump, sides.given.settings.storages)
        except TensorError:
            continue
        record = _write_dump(pair, dump, target, f"{place}")
        role = "input" if row.tensor.is_input else "output"
        records.append({"name": name, "role": role, "unit": dump.unit, "op": row.tensor.op, **record})
    if records:
        target.write_manifest(json.dumps({"format": 1, "kind": "dumps", "tensors": records}, indent=1))
    return len(records)


def _write_dump(pair: Pair, dump: Dump, target: TargetFolder, stem: str) -> dict[str, object]:
    """In the board's own storage where that can be written anew, else as an array."""
    raw = _in_its_storage(pair, dump)
    if raw is not None:
        write_file(target.path / f"{stem}.bin", raw, target.root)
        return {"file": f"{stem}.bin", **manifest.spec_to_json(pair.stored)}
    target.write_array(f"{stem}.npy", np.ascontiguousarray(pair.board))
    return {"file": f"{stem}.npy", **manifest.spec_to_json(replace(pair.spec_board, shape=tuple(pair.board.shape)))}


def _in_its_storage(pair: Pair, dump: Dump) -> bytes | None:
    plain = replace(pair.stored, aligned_bytes=None)
    try:
        if dump.path.suffix == ".npy" or dump.frames != 1 or size_bytes(plain) != dump.path.stat().st_size:
            return None
        return encode(open_tensor(dump.path, plain), plain)
    except (TensorError, OSError):
        return None


def _write_pc(reference: Reference, names: Sequence[str], graph: Graph, folder: Path) -> None:
    """What the PC has of these tensors, as a reference folder with `graph`."""
    target, records = TargetFolder(folder), []
    for place, name in enumerate(dict.fromkeys(names)):
        tensor = reference.tensors.get(name)
        if tensor is None or tensor.spec is None:
            continue
        array = np.asarray(open_array(tensor.path, tensor.spec))
        record = _write_array(array, tensor.spec, target, f"t{place:05d}.npy")
        record |= {"name": name, "op": tensor.op, "op_kind": tensor.op_kind, "order": tensor.order}
        record |= {"is_input": name in graph.inputs, "is_output": name in graph.outputs}
        side = tensor.alternate
        if side is not None and side.spec is not None:
            other = np.asarray(open_array(side.path, side.spec))
            record["float_side"] = _write_array(other, side.spec, target, f"t{place:05d}f.npy")
        records.append(record)
    ops = [{k: getattr(op, k) for k in ("name", "kind", "inputs", "outputs", "covers")} for op in graph.ops]
    network = {"ops": ops, "inputs": graph.inputs, "outputs": graph.outputs}
    target.write_manifest(json.dumps({"format": 1, "kind": "onnx", "graph": network, "tensors": records}, indent=1))


def _write_array(array: Array, spec: TensorSpec, target: TargetFolder, file: str) -> dict[str, object]:
    array = np.ascontiguousarray(array)
    target.write_array(file, array)
    return {**manifest.spec_to_json(replace(spec, shape=tuple(array.shape))), "md5": array_md5(array), "file": file}
