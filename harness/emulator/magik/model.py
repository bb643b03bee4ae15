"""The emulator's magik.bin: a compiled model with `magik.json` in it, fed with pixels, dumped as board and PC do it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.model.compiled import CompiledFile, CompiledModel
from harness.emulator.model.execute import Executor
from harness.emulator.model.faults import Fault
from harness.emulator.model.layout import Array, pack
from harness.errors import InputError
from harness.images.pixels import normalised
from harness.platforms.magik.dumps import storages

META = "magik.json"
VERSIONS = {"nna1": "0.9.6", "nna2": "0.0.6"}  # of the model, as the library of its day takes it


def meta(mean: str, var: str, march: str) -> dict[str, bytes]:
    """What a build adds to the compiled file."""
    facts = {"mean": mean, "var": var, "version": VERSIONS[march]}
    return {META: json.dumps(facts, sort_keys=True).encode()}


class MagikModel:
    """An opened magik.bin of the emulator. Errors: InputError for any other file."""

    def __init__(self, path: Path) -> None:
        self.file = CompiledFile(path)
        self.model: CompiledModel = self.file.models[0]
        if not self.model.march.startswith("nna"):
            march = self.model.march
            raise InputError(f"{path}: built for {march}, not for T40 or T41", "harness emulator build --soc t40")
        meta = json.loads(self.file.read(META))
        self.mean, self.var, self.version = str(meta["mean"]), str(meta["var"]), str(meta["version"])

    @property
    def input_nhwc(self) -> tuple[int, int, int, int]:
        """Shape of the first input."""
        n, c, h, w = self.model.inputs[0].spec.shape
        return n, h, w, c

    def feed(self, data: bytes) -> dict[str, Array]:
        """The graph's input from NHWC bytes. Errors: InputError for another size."""
        wanted = int(np.prod(self.input_nhwc))
        if len(data) != wanted:
            raise InputError(f"the model takes {wanted} bytes, the input has {len(data)}")
        pixels: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(self.input_nhwc).transpose(0, 3, 1, 2)
        return {self.model.inputs[0].name: normalised(pixels, self.mean, self.var)}

    def values(self, data: bytes, faults: Sequence[Fault] = (), *, debug: bool = False) -> dict[str, Array]:
        """Every tensor that an op makes, by name, in execution order."""
        names = [tensor.name for tensor in self.model.tensors if not tensor.is_input]
        executor = Executor(self.file, self.model, faults)
        values = executor.run(self.feed(data), names, debug=debug)
        return {name: values[name] for name in names}

    def dump(self, values: Mapping[str, Array]) -> dict[str, bytes]:
        """Tensor name -> bytes as the board and the PC write them: channels last, unpadded."""
        return {name: pack(value, storages(self.model.tensor(name).spec)[0]) for name, value in values.items()}

    def stored_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor as it lies in a dump."""
        return storages(self.model.tensor(name).spec)[0].shape

    def parameters(self) -> dict[str, dict[str, bytes]]:
        """Per tensor of a convolution: weights and biases ("weight", "bt") of the graph, as raw bytes."""
        graph = onnx.load_model_from_string(self.file.read(self.model.graph)).graph
        raw: dict[str, bytes] = {tensor.name: tensor.raw_data for tensor in graph.initializer}
        arrays = {}
        for op in self.model.ops:
            node = next((n for n in graph.node if n.name in (op.name, *op.covers) and n.op_type == op.kind), None)
            if node is None or op.kind not in ("Conv", "ConvTranspose", "Gemm") or not op.outputs:
                continue
            blobs = [_constant(name, graph, raw) for name in node.input[1:3]]
            arrays[op.outputs[0]] = dict(zip(("weight", "bt"), [*blobs, b""], strict=False))
        return arrays


def _constant(name: str, graph: onnx.GraphProto, raw: Mapping[str, bytes]) -> bytes:
    """A constant, or the integers behind the DequantizeLinear that makes it."""
    if name in raw:
        return raw[name]
    maker = next((node for node in graph.node if name in node.output), None)
    return raw.get(maker.input[0], b"") if maker is not None and maker.input else b""
