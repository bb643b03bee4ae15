"""The networks of benchmarks/foreign.py: trained ones that packages carry, and the project's own, float and int8."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
from numpy.typing import NDArray

from benchmarks.foreign_parts.environment import Environment
from benchmarks.networks import models as network_models

Array = NDArray[Any]
PICTURE = Path(__file__).parents[2] / "examples" / "china.jpg"
HALVES = (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)  # mean and deviation that pictures are normalised with
IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
UNIT = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
FRAMES = 3  # inputs of a network: one to compare, another as the frame before, and calibration
OLD_IR = 9  # the newest that ONNX Runtime 1.17 reads
PER_CHANNEL_OPSET = 13  # the first in which scales may be per channel
QUANTIZED = ("mobilenet", "transformer", "pyramid", "ocr_cls", "ocr_det")


@dataclass(frozen=True)
class Source:
    """A network in a package: its file, the shape it is fixed to, how its picture is normalised (no picture: None)."""

    pattern: str
    shapes: Mapping[str, tuple[int, ...]]
    normalised: tuple[Sequence[float], Sequence[float]] | None = None


TRAINED = {
    "ocr_cls": Source("rapidocr_onnxruntime/models/*cls_infer.onnx", {"x": (1, 3, 48, 192)}, HALVES),
    "ocr_det": Source("rapidocr_onnxruntime/models/*det_infer.onnx", {"x": (1, 3, 160, 160)}, IMAGENET),
    "ocr_rec": Source("rapidocr_onnxruntime/models/*rec_infer.onnx", {"x": (1, 3, 48, 96)}, HALVES),
    "detector": Source("nudenet/320n.onnx", {"images": (1, 3, 128, 128)}, UNIT),
    "vad": Source("silero_vad/data/silero_vad_openvino_16k.onnx", {"input": (1, 576), "state": (2, 1, 128)}),
    "wake_embedding": Source("openwakeword/resources/models/embedding_model.onnx", {"input_1": (1, 76, 32, 1)}),
    "wake_word": Source("openwakeword/resources/models/hey_jarvis_v0.1.onnx", {"x.1": (1, 16, 96)}),
}
OWN: dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenet": lambda: network_models.mobilenet(side=64),
    "transformer": lambda: network_models.transformer(tokens=48, width=64, layers=2),
    "pyramid": lambda: network_models.mixed(side=96),
}


@dataclass(frozen=True)
class ForeignNetwork:
    """An ONNX of fixed shapes with `frames` inputs; `normalised` as in Source; `trained` where people trained it."""

    name: str
    path: Path
    frames: tuple[Mapping[str, Array], ...]
    normalised: tuple[Sequence[float], Sequence[float]] | None
    trained: bool
    quantized: bool

    def model(self) -> onnx.ModelProto:
        return onnx.load(str(self.path))


def networks(made: Environment, folder: Path) -> list[ForeignNetwork]:
    """Every network that is there, written to `folder`."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantizer recommends a pre-processing of its own
    folder.mkdir(parents=True, exist_ok=True)
    floats = [n for name, source in TRAINED.items() if (n := _trained(name, source, made, folder)) is not None]
    floats += [own(name, build(), folder) for name, build in OWN.items()]
    return floats + [_quantized(n, folder) for n in floats if n.name in QUANTIZED]


def _trained(name: str, source: Source, made: Environment, folder: Path) -> ForeignNetwork | None:
    packaged = made.find(source.pattern)
    if packaged is None:
        return None
    model = onnx.load(str(packaged))
    model.ir_version = min(model.ir_version, OLD_IR)
    for value in model.graph.input:
        if value.name in source.shapes:
            dims = value.type.tensor_type.shape
            dims.ClearField("dim")
            dims.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=n) for n in source.shapes[value.name])
    path = folder / f"{name}.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    frames = tuple(_frame(source.shapes, source.normalised, i) for i in range(FRAMES))
    return ForeignNetwork(name, path, frames, source.normalised, trained=True, quantized=False)


def own(name: str, model: onnx.ModelProto, folder: Path) -> ForeignNetwork:
    """A network of the project's own, written to `folder`."""
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in model.graph.input}
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    normalised = IMAGENET if all(len(shape) == 4 for shape in shapes.values()) else None
    frames = tuple(_frame(shapes, normalised, i) for i in range(FRAMES))
    return ForeignNetwork(name, path, frames, normalised, trained=False, quantized=False)


def _frame(
    shapes: Mapping[str, tuple[int, ...]], normalised: tuple[Sequence[float], Sequence[float]] | None, seed: int
) -> dict[str, Array]:
    if normalised is not None:
        return {name: picture(shape, normalised, seed) for name, shape in shapes.items()}
    rng = np.random.default_rng(seed)
    smooth = {name: rng.standard_normal(shape).cumsum(-1) for name, shape in shapes.items()}
    return {name: (value / np.abs(value).max()).astype(np.float32) for name, value in smooth.items()}


def picture(shape: tuple[int, ...], normalised: tuple[Sequence[float], Sequence[float]], seed: int) -> Array:
    """Part `seed` of the example photo as (1, 3, H, W) f32, RGB, less the mean and through the deviation."""
    from PIL import Image

    height, width = shape[2:]
    with Image.open(PICTURE) as opened:
        across, down = opened.size
        left, top = across * seed // (2 * FRAMES), down * seed // (2 * FRAMES)
        part = opened.convert("RGB").crop((left, top, left + across // 2, top + down // 2)).resize((width, height))
    mean, deviation = (np.array(x, np.float64).reshape(3, 1, 1) for x in normalised)
    planes = np.asarray(part, np.float64).transpose(2, 0, 1)
    fed: Array = ((planes - mean) / deviation)[None].astype(np.float32)
    return fed


class _Feeds:
    """Calibration data in the form that onnxruntime asks for."""

    def __init__(self, frames: Sequence[Mapping[str, Array]]) -> None:
        self.frames: Iterator[Mapping[str, Array]] = iter(frames)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self.frames, None)


def _quantized(network: ForeignNetwork, folder: Path) -> ForeignNetwork:
    """The network as onnxruntime quantizes it: QDQ, weights int8 per channel, int8 or (transformer) uint8 tensors."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready, path = folder / f"{network.name}_ready.onnx", folder / f"{network.name}_int8.onnx"
    model = network.model()
    if model.opset_import[0].version < PER_CHANNEL_OPSET:
        model = onnx.version_converter.convert_version(model, PER_CHANNEL_OPSET)
    onnx.save(model, ready)
    quant_pre_process(ready, ready, skip_symbolic_shape=True)
    quantize_static(
        ready,
        path,
        _Feeds(network.frames),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8 if network.name == "transformer" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,  # processors without VNNI saturate sums of two full products: another fault than those here
    )
    _for_old_runtimes(path)
    return ForeignNetwork(
        f"{network.name}_int8", path, network.frames, network.normalised, network.trained, quantized=True
    )


def _for_old_runtimes(path: Path) -> None:
    """The quantizer declares operator sets that no op uses, some too new for an old runtime."""
    model = onnx.load(str(path))
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save(model, path)
