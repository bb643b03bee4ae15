"""An op of a bundle, compared once more: with nothing but its folder. Does it name what the run named?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness import platforms
from harness.consistency.compare import compare
from harness.consistency.reading.tensor_files import Array
from harness.consistency.settings import CompareSettings
from harness.dumps.folders import read_dumps
from harness.errors import HarnessError, InputError
from harness.files.npy import npy_of_bytes
from harness.files.scratch import scratch_folder
from harness.handover.reproduction import OpFolder
from harness.handover.run_policy import policy_in
from harness.records import Graph, Origin
from harness.reference.onnx_runtime import time_limit
from harness.reference.open import Reference, open_reference, run_reference

LIMIT_S = 120.0  # of one op


@dataclass(frozen=True)
class Replayed:
    """What the comparison of an op's folder gave. `same`: the op and the kind that the run named."""

    op: str = ""
    op_kind: str = ""
    kind: str = ""
    certain: bool = False
    evidence: str = ""
    same: bool = False
    by: str = "op.onnx"  # or "tensors": what both sides gave, nothing was computed
    note: str = ""


def replay(root: Path, one: OpFolder) -> Replayed:
    """Compare one op's folder below `root`. Errors: InputError where its files are not what they should be."""
    folder = root / one.folder
    reference, by, note = _reference(folder, one)
    platform = platforms.load(one.platform)
    settings = CompareSettings(
        storages=platform.storages,
        policy=policy_in(root, one.policy),
        platform=platform.name,
        runs_onnxruntime=one.runs_onnxruntime,
        toolchain=one.toolchain,
        graph=_network(reference, one),
        previous=open_reference(folder / one.previous) if one.previous else None,
        repeats=[read_dumps(folder / name) for name in one.repeats],
        hashes=False,
    )
    with time_limit(LIMIT_S):
        comparison = compare(reference, read_dumps(folder / "board"), settings)
    origin = _of(comparison.origins, one)
    if origin is None:
        return Replayed(by=by, note=note or comparison.verdict.detail)
    mark = origin.fingerprint
    kind = mark.kind if mark else ""
    return Replayed(
        origin.op,
        origin.op_kind,
        kind,
        bool(mark and mark.certain),
        mark.evidence if mark else "",
        (origin.op, kind) == (one.op, one.kind),
        by,
        note,
    )


def _of(origins: tuple[Origin, ...], one: OpFolder) -> Origin | None:
    named = [origin for origin in origins if origin.tensor == one.tensor]
    return next(iter((*named, *origins)), None)


def _network(reference: Reference, one: OpFolder) -> Graph | None:
    """The op's graph; what another op gave it in the network is no input of the network."""
    graph = reference.graph
    return None if graph is None else replace(graph, inputs=one.network_inputs)


def inputs_of(folder: Path, files: Mapping[str, str]) -> dict[str, Array]:
    """The arrays that op.onnx is fed, by its inputs. Errors: InputError for a file that is no array."""
    feeds = {}
    for name, file in files.items():
        path = folder / file
        try:
            feeds[name] = npy_of_bytes(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable array ({error})", "get the archive again") from None
    return feeds


def _reference(folder: Path, one: OpFolder) -> tuple[Reference, str, str]:
    """The PC's side: computed from op.onnx, with what else proves the kind; else as it was recorded."""
    kept = open_reference(folder / "pc")
    if one.how != "op":
        return replace(kept, model=None), "tensors", ""
    try:
        with time_limit(LIMIT_S):
            made = run_reference(folder / "op.onnx", inputs_of(folder, one.inputs), scratch_folder() / "pc")
    except HarnessError as error:
        return kept, "tensors", f"op.onnx does not run here: {error.message.removeprefix(f'{folder}/')}"
    held = {name: kept.tensors[name] for name in one.proof if name in kept.tensors and name not in made.tensors}
    return replace(made, tensors={**made.tensors, **held}), "op.onnx", _other_values(kept, made, one)


def _other_values(kept: Reference, made: Reference, one: OpFolder) -> str:
    """A note where this PC gives other values than the one that recorded them."""
    sides = [reference.tensors.get(one.tensor) for reference in (kept, made)]
    if sides[0] is None or sides[1] is None or sides[0].md5 == sides[1].md5:
        return ""
    with suppress(OSError, ValueError):
        share = float(np.mean(np.asarray(sides[0].load()) != np.asarray(sides[1].load())))
        return f"this PC gives other values than the run's: {100 * share:.3g} % of {one.tensor}" if share else ""
    return ""
