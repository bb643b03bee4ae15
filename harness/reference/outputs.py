"""A model's outputs for one sample after the other: the session is opened once, nothing of a sample stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from harness.dumps import manifest
from harness.errors import InputError
from harness.files.safe import make_folder, new_file
from harness.records import ReferenceRuntime, TensorSpec
from harness.reference.folder import Reference, ReferenceTensor, refuse_no_reference
from harness.reference.graph import LogicalTensor, read_logical
from harness.reference.inputs import arrays_of_bytes, check_inputs, model_inputs
from harness.reference.onnx_file import load_whole
from harness.reference.onnx_runtime import run_options
from harness.reference.open import array_md5, open_reference, open_session, run_error
from harness.toolchains.vendor_runtime import is_compiled, needs_vendor

Array = np.ndarray[Any, Any]
NAMED = 500  # samples without a reference, in one message
Feeds = Callable[[Sequence[TensorSpec]], Mapping[str, bytes | Array]]


class OutputsOf:
    """Outputs of an ONNX or a compiled model that is run here, or of a folder that holds a reference for each sample.

    Errors of opening: InputError for what is no reference.
    """

    def __init__(self, path: Path, runtime: ReferenceRuntime | None = None) -> None:
        if not is_compiled(path):
            refuse_no_reference(path)
        self.path, self._runtime = path, runtime
        self._is_model = path.is_file() and (path.suffix == ".onnx" or is_compiled(path))
        self._is_run_here = self._is_model and runtime is None and not needs_vendor(path)
        if self._is_run_here:
            self._open()
        elif path.is_file() and not self._is_model:
            raise InputError(f"{path}: one .npz for many samples", "give an ONNX, or a folder with STEM.npz for each")

    def _open(self) -> None:
        self._specs = model_inputs(self.path)
        self._outputs = [tensor for tensor in read_logical(self.path).tensors if tensor.is_output]
        model = load_whole(self.path)
        own = {value.name for value in model.graph.output}
        wanted = [name for t in self._outputs for name in (t.onnx_name, t.float_name) if name]
        self._names = list(dict.fromkeys(wanted))
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._names if name not in own)
        self._session = open_session(model, self.path)

    def of(self, stem: str, feeds: Feeds, folder: Path) -> Reference:
        """The outputs of one sample, written to `folder`. Errors: InputError for inputs that do not fit, a model that
        does not run, a sample that the folder of references does not have."""
        if self._is_run_here:
            return self._run(feeds(self._specs), folder)
        if self._is_model:
            whole = open_reference(self.path, feeds=feeds, scratch=folder, runtime=self._runtime)
            return replace(whole, tensors={n: t for n, t in whole.tensors.items() if t.is_output})
        return open_reference(self._of_stem(stem))

    def refuse_missing(self, stems: Sequence[str]) -> None:
        """Errors: InputError that names samples without a reference, where they come from a folder."""
        if self._is_model:
            return
        names = {path.name for path in self.path.iterdir()}
        missing = [stem for stem in stems if stem not in names and f"{stem}.npz" not in names]
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            what = f"no reference for {len(missing)} of {len(stems)} samples: {', '.join(missing[:NAMED])}{more}"
            raise InputError(f"{self.path}: {what}", "it takes STEM/ or STEM.npz for each sample")

    def _of_stem(self, stem: str) -> Path:
        for path in (self.path / stem, self.path / f"{stem}.npz"):
            if path.exists():
                return path
        raise InputError(
            f"{self.path}: no reference for sample {stem!r}", f"it takes {stem}/ or {stem}.npz for each sample"
        )

    def _run(self, given: Mapping[str, bytes | Array], folder: Path) -> Reference:
        feed = check_inputs(self._specs, arrays_of_bytes(self._specs, given))
        try:
            with run_options() as options:
                values = dict(zip(self._names, self._session.run(self._names, dict(feed), options), strict=True))
        except Exception as error:  # onnxruntime's exceptions share no narrower base
            raise run_error(self.path, error) from None
        make_folder(folder)
        tensors = [_written(tensor, values, folder, place) for place, tensor in enumerate(self._outputs)]
        return Reference({t.name: t for t in tensors}, kind="onnx", source=self.path.name)


def _written(logical: LogicalTensor, values: Mapping[str, Array], folder: Path, place: int) -> ReferenceTensor:
    tensor = _side(logical, values[logical.onnx_name], folder / f"o{place}.npy", logical.spec)
    if not logical.float_name:
        return tensor
    plain = replace(logical.spec, quantization=None)
    return replace(tensor, alternate=_side(logical, values[logical.float_name], folder / f"o{place}f.npy", plain))


def _side(logical: LogicalTensor, value: Array, path: Path, spec: TensorSpec) -> ReferenceTensor:
    with new_file(path, path.parent) as file:
        np.save(file, value)
    dtype = manifest.NUMPY_DTYPES.get(value.dtype.name, spec.dtype)
    layout = "NCHW" if value.ndim == 4 else ""
    return ReferenceTensor(
        name=logical.name,
        path=path,
        spec=replace(spec, dtype=dtype, shape=tuple(value.shape), layout=layout),
        md5=array_md5(value),
        op=logical.op,
        op_kind=logical.op_kind,
        order=logical.order,
        is_output=True,
        onnx_name=logical.onnx_name,
        aliases=logical.aliases,
    )
