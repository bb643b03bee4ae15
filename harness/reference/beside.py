"""A reference that another interpreter or a container computes: every layer of an ONNX, the outputs of the rest."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.dumps import manifest
from harness.errors import HostError
from harness.files.digests import md5_of_file
from harness.records import ReferenceRuntime, TensorSpec
from harness.records.callbacks import ProgressCallback
from harness.reference.folder import Reference, read_reference
from harness.reference.results import RuntimeResult, read_results
from harness.reference.runtime import GUIDE, Task, place_of, run_beside
from harness.reference.target import TargetFolder
from harness.toolchains.vendor_runtime import needs_vendor, packages, runtimes_for

Array = np.ndarray[Any, Any]
COMPILED = "compiled"  # the kind of a reference that a compiled model gave


def resolve(model: Path, runtime: ReferenceRuntime | None) -> ReferenceRuntime | None:
    """The runtime that was asked for; for a model that needs a vendor's, this interpreter; else None."""
    if runtime is not None:
        return runtime
    return ReferenceRuntime(python=sys.executable) if needs_vendor(model) else None


def check_runtime(model: Path, runtime: ReferenceRuntime | None) -> None:
    """Say what is missing before anything else is begun. Errors: InputError, HostError.

    An image and a vendor's package are not started for it: a runtime that cannot be imported is found when it is used.
    """
    if runtime is not None:
        place_of(runtime, Path("/"))
    elif needs_vendor(model) and not any(map(find_spec, packages())):
        names = " or ".join(runtimes_for(model))
        raise HostError(
            f"{model}: has vendor ops, which need {names}, not installed in this Python",
            f"give a runtime: --reference-python PATH or --reference-image NAME; {GUIDE}",
        )


@contextmanager
def compute_beside(
    runtime: ReferenceRuntime,
    model: Path,
    feed: Mapping[str, Array],
    batches: Sequence[Sequence[str]],
    progress: ProgressCallback,
    *,
    optimizations: str = "disabled",
    threads: int = 1,
) -> Iterator[RuntimeResult]:
    """Run `model` in `runtime`; the arrays of the result live as long as the context.

    `batches` are ONNX tensors beside the model's outputs. Errors: InputError, HostError.
    """
    names = runtime.names or runtimes_for(model)
    task = Task(model, feed, names, batches, optimizations, threads)
    with run_beside(runtime, task, progress) as (folder, label):
        yield read_results(folder, label, task)


def runner_facts(runtime: ReferenceRuntime, result: RuntimeResult) -> dict[str, object]:
    """For the manifest: which runtime it was. The path of an interpreter is this PC's own affair and stays out."""
    facts = {"runtime": result.facts["name"], **{k: v for k, v in result.facts.items() if k != "name"}}
    if runtime.image:
        facts["image"] = runtime.image
    if result.facts["name"] == "onnxruntime":
        facts["onnxruntime"] = result.facts["versions"].get("onnxruntime", "")
    if result.dumping_changed_outputs is not None:
        facts["dumping_changed_outputs"] = result.dumping_changed_outputs
    return facts


def write_outputs(
    model: Path, inputs: Mapping[str, Array], out: Path, runtime: ReferenceRuntime, progress: ProgressCallback
) -> None:
    """A reference folder with the outputs of a compiled model (.bc, .hbm), whose layers no runtime gives.

    Errors: InputError for a model or inputs that the runtime refuses, HostError where it cannot run.
    """
    with compute_beside(runtime, model, inputs, (), progress) as result:
        target = TargetFolder(out)
        target.clear()
        records = [_write(target, index, name, value) for index, (name, value) in enumerate(result.values.items())]
        manifest = {
            "format": 1,
            "kind": "folder",
            "source": model.name,
            "source_md5": md5_of_file(model),
            "runner": runner_facts(runtime, result),
            "inputs": [{"name": name, "md5": _md5(value), "bytes": value.nbytes} for name, value in inputs.items()],
            "tensors": records,
            "skipped": [{"name": name, "reason": reason} for name, reason in result.skipped.items()],
        }
    target.write_manifest(json.dumps(manifest, indent=1, ensure_ascii=False))


def open_compiled(model: Path, inputs: Mapping[str, Array], out: Path, runtime: ReferenceRuntime | None) -> Reference:
    """The outputs of a compiled model as a reference, kept in `out`. Errors: as `write_outputs`."""
    write_outputs(model, inputs, out, resolve(model, runtime) or ReferenceRuntime(), lambda *_: None)
    return replace(read_reference(out), kind=COMPILED)


def _write(target: TargetFolder, index: int, name: str, value: Array) -> dict[str, object]:
    file = f"t{index:05d}.npy"
    target.write_array(file, value)
    layout = "NCHW" if value.ndim == 4 else ""
    spec = TensorSpec(name, manifest.NUMPY_DTYPES[value.dtype.name], tuple(value.shape), layout=layout)
    return {
        "name": name,
        "onnx_name": name,
        "order": index,
        **manifest.spec_to_json(spec),
        "md5": _md5(value),
        "file": file,
        "is_output": True,
    }


def _md5(value: Array) -> str:
    return hashlib.md5(np.ascontiguousarray(value).data, usedforsecurity=False).hexdigest()
