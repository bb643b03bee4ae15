"""The PC's side of a comparison: run an ONNX and keep every tensor, or open what somebody else kept."""

from __future__ import annotations

import hashlib
import json
import math
import platform as host
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from harness.dumps import manifest
from harness.errors import InputError
from harness.files.digests import md5_of_file
from harness.files.scratch import scratch_folder
from harness.records import Graph, ReferenceRuntime, TensorSpec
from harness.records.callbacks import ProgressCallback
from harness.reference.beside import compute_beside, open_compiled, resolve, runner_facts
from harness.reference.folder import Reference, ReferenceTensor, read_reference, refuse_no_reference
from harness.reference.given_graph import with_graph
from harness.reference.graph import LogicalModel, LogicalTensor, read_logical
from harness.reference.inputs import arrays_of_bytes, check_inputs, dense_bytes, model_inputs, read_inputs
from harness.reference.onnx_file import load_whole
from harness.reference.onnx_runtime import limit, onnxruntime, run_options
from harness.reference.results import RuntimeResult
from harness.reference.target import TargetFolder
from harness.toolchains.vendor_runtime import is_compiled, needs_vendor, shift_pixels

__all__ = [
    "Reference",
    "ReferenceTensor",
    "array_md5",
    "check_inputs",
    "cpu_flags",
    "dense_bytes",
    "model_inputs",
    "open_reference",
    "open_session",
    "read_inputs",
    "run_reference",
]

Array = np.ndarray[Any, Any]
BATCH_BYTES = 256 * 2**20  # tensors kept in memory at a time
UNKNOWN_BYTES = 16 * 2**20  # what a tensor of unknown size counts in a batch
PROTOBUF_LIMIT_BYTES = 2**31 - 2**20
OPTIMIZATIONS = {
    "disabled": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
VNNI_FLAGS = frozenset(("avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni"))
KEPT_FLAGS = re.compile(r"^(avx.*|sse4.*|fma|f16c|amx.*|asimd.*|i8mm|sve.*|bf16|fphp)$")

Feeds = Callable[[Sequence[TensorSpec]], Mapping[str, bytes | Array]]


def run_reference(
    model: Path,
    inputs: Mapping[str, Array],
    out: Path,
    *,
    optimizations: str = "disabled",
    threads: int = 1,
    progress: ProgressCallback | None = None,
    runtime: ReferenceRuntime | None = None,
) -> Reference:
    """Run `model` with onnxruntime, or in `runtime`, and write every logical tensor to the folder `out`.

    `inputs` are by the model's input names, with its dtypes and shapes. Tensors are computed in batches: memory stays
    flat, at the price of one inference per batch. Errors: InputError for inputs that do not fit or a model that does
    not run, or a link in `out`; HostError where `runtime` cannot run.
    """
    logical = read_logical(model)
    specs = model_inputs(model)
    feed = check_inputs(specs, shift_pixels(specs, inputs) if needs_vendor(model) else inputs)
    step = progress or _silent
    target = TargetFolder(out)
    with _runner(model, resolve(model, runtime), logical, feed, (optimizations, threads), step) as runner:
        target.clear()
        records = list(_write_tensors(logical, runner, feed, target, step))
        facts = runner.facts(logical, feed)
    manifest = {
        "format": 1,
        "kind": "onnx",
        "source": model.name,
        "source_md5": md5_of_file(model),
        "source_path": str(model.resolve()),
        "runner": facts,
        "inputs": [{"name": name, "md5": array_md5(value), "bytes": value.nbytes} for name, value in feed.items()],
        "graph": _graph_to_json(logical.graph),
        "tensors": [record for record in records if "file" in record],
        "skipped": [record for record in records if "file" not in record],
    }
    target.write_manifest(json.dumps(manifest, indent=1, ensure_ascii=False))
    return open_reference(out)


def _silent(_what: str, _completed: int, _total: int) -> None:
    return None


@contextmanager
def _runner(
    model: Path,
    runtime: ReferenceRuntime | None,
    logical: LogicalModel,
    feed: Mapping[str, Array],
    settings: tuple[str, int],
    progress: ProgressCallback,
) -> Iterator[_Runner | _Beside]:
    optimizations, threads = settings
    if optimizations not in OPTIMIZATIONS:
        raise InputError(f"unknown optimization level {optimizations!r}", f"known: {', '.join(OPTIMIZATIONS)}")
    if runtime is None:
        yield _Runner(model, optimizations, threads)
        return
    batches = [_wanted(batch, feed) for batch in _batches(logical.tensors)]
    with compute_beside(
        runtime, model, feed, batches, progress, optimizations=optimizations, threads=threads
    ) as result:
        yield _Beside(runtime, result)


class _Beside:
    """Everything was computed by another runtime already."""

    def __init__(self, runtime: ReferenceRuntime, result: RuntimeResult) -> None:
        self.runtime, self.result = runtime, result

    def values(self, names: Sequence[str], _feed: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self.result.values[name] for name in names if name in self.result.values}

    def missing(self, name: str) -> str:
        return self.result.skipped.get(name, "the runtime did not return it")

    def facts(self, _logical: LogicalModel, _feed: Mapping[str, Array]) -> dict[str, object]:
        """Optimized kernels are chosen by the CPU, which is this PC's in another interpreter and in a container."""
        facts = runner_facts(self.runtime, self.result)
        return facts | _cpu_facts() if "optimizations" in facts else facts


class _Runner:
    """Sessions over one model whose outputs are chosen per run."""

    def __init__(self, path: Path, optimizations: str, threads: int) -> None:
        self.path, self.optimizations, self.threads = path, optimizations, threads
        self.model = load_whole(path)
        self.outputs = list(self.model.graph.output)

    def session(self, extra: Iterable[str] = ()) -> Any:
        """A session that gives the model's own outputs and the tensors named in `extra`."""
        own = {value.name for value in self.outputs}
        del self.model.graph.output[:]
        self.model.graph.output.extend(self.outputs)
        self.model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in extra if n not in own)
        return open_session(self.model, self.path, self.optimizations, self.threads)

    def values(self, names: Sequence[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        """Errors: InputError with onnxruntime's first line."""
        if not names:
            return {}
        session = self.session(names)
        try:
            with run_options() as options:
                return dict(zip(names, session.run(list(names), dict(feed), options), strict=True))
        except Exception as error:  # onnxruntime's exceptions share no narrower base
            raise run_error(self.path, error) from None

    def missing(self, name: str) -> str:
        return f"onnxruntime did not return {name}"

    def facts(self, logical: LogicalModel, feed: Mapping[str, Array]) -> dict[str, object]:
        facts = {
            "onnxruntime": onnxruntime.__version__,
            "optimizations": self.optimizations,
            "threads": self.threads,
            "providers": ["CPUExecutionProvider"],
            "machine": host.machine(),
            **_cpu_facts(),
        }
        if self.optimizations != "disabled":
            facts["dumping_changed_outputs"] = self._dumping_changes(logical, feed)
        return facts

    def _dumping_changes(self, logical: LogicalModel, feed: Mapping[str, Array]) -> bool:
        """With optimizations on, a marked tensor ends a fusion: ask whether the outputs noticed."""
        names = [value.name for value in self.outputs]
        plain = self.session().run(names, dict(feed))
        marked = self.session(t.onnx_name for t in logical.tensors if not t.is_input).run(names, dict(feed))
        return any(array_md5(a) != array_md5(b) for a, b in zip(plain, marked, strict=True))


def _cpu_facts() -> dict[str, object]:
    flags = cpu_flags()
    return {
        "cpu_flags": sorted(f for f in flags if KEPT_FLAGS.match(f)),
        "vnni": bool(flags & VNNI_FLAGS) if host.machine() == "x86_64" else None,
    }


def open_session(
    model: onnx.ModelProto, path: Path, optimizations: str = "disabled", threads: int = 1, quiet: bool = False
) -> Any:
    """An onnxruntime CPU session. `quiet`: no lines on stderr of a model that may not load or run. Errors: InputError
    with onnxruntime's first line."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = OPTIMIZATIONS[optimizations]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4 if quiet else 3
    try:
        return onnxruntime.InferenceSession(_loadable(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no narrower base
        raise InputError(f"{path}: onnxruntime cannot load it: {_first_line(error)}") from None


def _loadable(model: onnx.ModelProto) -> bytes | str:
    """Bytes, or beyond protobuf's 2 GiB a file with the weights beside it."""
    if model.ByteSize() < PROTOBUF_LIMIT_BYTES:
        return bytes(model.SerializeToString())
    target = scratch_folder() / "model.onnx"
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save_model(copy, str(target), save_as_external_data=True)
    return str(target)


def run_error(path: Path, error: Exception) -> InputError:
    """What to say of a model that onnxruntime ended with `error`, or that the time limit ended."""
    if (current := limit()) is not None and current.is_over:
        return InputError(f"{path}: takes longer than {current.limit_s:g} s")
    return InputError(f"{path}: onnxruntime failed while running: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def _write_tensors(
    logical: LogicalModel,
    runner: _Runner | _Beside,
    feed: Mapping[str, Array],
    out: TargetFolder,
    progress: ProgressCallback,
) -> Iterator[dict[str, object]]:
    index = 0
    for batch in _batches(logical.tensors):
        values = {**feed, **runner.values(_wanted(batch, feed), feed)}
        for tensor in batch:
            progress("reference", index, len(logical.tensors))
            absent = [name for name in (tensor.onnx_name, tensor.float_name) if name and name not in values]
            if absent:
                yield {"name": tensor.name, "reason": runner.missing(absent[0])}
            else:
                yield _write_tensor(tensor, values, out, index)
            index += 1


def _wanted(batch: Sequence[LogicalTensor], feed: Mapping[str, Array]) -> list[str]:
    """ONNX names of what a batch of logical tensors needs, the inputs left out."""
    return [name for t in batch for name in (t.onnx_name, t.float_name) if name and name not in feed]


def _batches(tensors: Sequence[LogicalTensor]) -> Iterator[list[LogicalTensor]]:
    batch: list[LogicalTensor] = []
    taken = 0
    for tensor in tensors:
        size = _estimated_bytes(tensor)
        if batch and taken + size > BATCH_BYTES:
            yield batch
            batch, taken = [], 0
        batch.append(tensor)
        taken += size
    yield batch


def _estimated_bytes(tensor: LogicalTensor) -> int:
    shape = tensor.spec.shape
    if not tensor.spec.dtype or any(n < 0 for n in shape):
        return UNKNOWN_BYTES
    bits = int(re.sub(r"\D", "", tensor.spec.dtype))
    return math.prod(shape) * max(8, bits) // 8 * (5 if tensor.float_name else 1)


def _write_tensor(
    tensor: LogicalTensor, values: Mapping[str, Array], out: TargetFolder, index: int
) -> dict[str, object]:
    """Write one logical tensor (and its float side) and give its record in the manifest, or why there is none."""
    value = values[tensor.onnx_name]
    if not isinstance(value, np.ndarray) or value.dtype.name not in manifest.NUMPY_DTYPES:
        kind = value.dtype.name if isinstance(value, np.ndarray) else type(value).__name__
        return {"name": tensor.name, "reason": f"is {kind}, which cannot be dumped"}
    record: dict[str, object] = {
        "name": tensor.name,
        "onnx_name": tensor.onnx_name,
        "op": tensor.op,
        "op_kind": tensor.op_kind,
        "order": tensor.order,
        **_save(value, tensor, out, f"t{index:05d}.npy"),
        "is_input": tensor.is_input,
        "is_output": tensor.is_output,
        "aliases": list(tensor.aliases),
    }
    if tensor.float_name:
        side = replace(tensor, spec=replace(tensor.spec, quantization=None), onnx_name=tensor.float_name)
        stored = _save(values[tensor.float_name], side, out, f"t{index:05d}f.npy")
        record["float_side"] = {"onnx_name": tensor.float_name, **stored}
    return record


def _save(value: Array, tensor: LogicalTensor, out: TargetFolder, name: str) -> dict[str, object]:
    out.write_array(name, value)
    layout = "NCHW" if value.ndim == 4 else ""
    spec = replace(tensor.spec, dtype=manifest.NUMPY_DTYPES[value.dtype.name], shape=tuple(value.shape), layout=layout)
    return {**manifest.spec_to_json(spec), "md5": array_md5(value), "file": name}


def array_md5(value: Array) -> str:
    """md5 of the elements in C order."""
    return hashlib.md5(np.ascontiguousarray(value).data, usedforsecurity=False).hexdigest()


def cpu_flags() -> frozenset[str]:
    """What the kernel says this CPU can do; empty where it does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(match.group(1).split()) if match else frozenset()


def open_reference(
    path: Path,
    inputs: Mapping[str, Array] | None = None,
    *,
    feeds: Feeds | None = None,
    scratch: Path | None = None,
    platform: str = "",
    graph: Path | None = None,
    runtime: ReferenceRuntime | None = None,
) -> Reference:
    """A reference folder, a folder of vendor dumps, an .npz, an ONNX that is run, or a compiled model with `feeds`.

    An ONNX takes `inputs` (arrays by name), or `feeds`, which is asked for the bytes of each input (the array where
    its sizes are open). `scratch` keeps what an ONNX computes (else a folder of this process), `platform` names the
    dump dialect of a plain folder, `graph` an ONNX that gives the graph where the reference has none, `runtime` where
    an ONNX is run (else here).
    Errors: InputError, HostError where the runtime cannot run.
    """
    if is_compiled(path) and path.is_file() and feeds is not None:
        arrays = {name: np.asarray(value) for name, value in feeds(()).items()}  # no file tells what it takes
        return open_compiled(path, arrays, scratch or scratch_folder(), runtime)
    refuse_no_reference(path)
    if path.suffix == ".onnx" and path.is_file():
        if inputs is None and feeds is None:
            raise InputError(f"{path}: an ONNX as reference is run here and needs its input", "add --input TENSOR=FILE")
        feed = inputs if inputs is not None else _ask(path, feeds)
        return run_reference(path, feed, scratch or scratch_folder(), runtime=runtime)
    reference = read_reference(path, platform)
    return reference if graph is None else with_graph(reference, graph)


def _ask(model: Path, feeds: Feeds | None) -> dict[str, Array]:
    specs = model_inputs(model)
    given = feeds(specs) if feeds else {}
    return arrays_of_bytes(specs, given)


def _graph_to_json(graph: Graph) -> dict[str, object]:
    ops = [
        {"name": o.name, "kind": o.kind, "inputs": o.inputs, "outputs": o.outputs, "covers": o.covers}
        for o in graph.ops
    ]
    return {"ops": ops, "inputs": graph.inputs, "outputs": graph.outputs}
