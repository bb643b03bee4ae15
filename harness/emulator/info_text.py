"""The text of `hrt_model_exec model_info` for libdnn 1.23 and 1.24."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.emulator.compiled import BoardInput, BoardTensor, CompiledModel
from harness.emulator.console import DASHES, general
from harness.emulator.layout import aligned_shape, byte_strides, file_bytes
from harness.platforms.horizon_dumps import align_up
from harness.records import Quantization, TensorSpec


def model_info(models: Sequence[CompiledModel], wanted: str) -> Iterator[str]:
    """Lines for every model of the file, or the wanted one."""
    for model in models:
        if wanted in ("", model.name):
            yield DASHES
            yield f"[model name]: {model.name}"
            yield ""
            for i, item in enumerate(model.inputs):
                yield from _input(i, item)
            for i, name in enumerate(model.outputs):
                yield from _output(i, model.tensor(name))
    yield DASHES


def _list(values: Sequence[int]) -> str:
    return "(" + "".join(f"{value}," for value in values) + ")"


def _input(index: int, item: BoardInput) -> Iterator[str]:
    image = item.kind == "NV12"
    shape = item.spec.shape
    aligned = (*shape[:3], align_up(shape[3], 16)) if image else shape
    yield f"input[{index}]: "
    yield f"name: {item.name}"
    yield f"input source: HB_DNN_INPUT_FROM_{item.source}"
    yield f"valid shape: {_list(shape)}"
    yield f"aligned shape: {_list(aligned)}"
    yield f"aligned byte size: {item.aligned_bytes}"
    yield f"tensor type: HB_DNN_{'IMG_TYPE_NV12' if image else 'TENSOR_TYPE_' + item.spec.dtype.upper()}"
    yield f"tensor layout: HB_DNN_LAYOUT_{_layout(item.spec)}"
    yield "quanti type: NONE"
    yield f"stride: {_list([0] * len(shape) if image else byte_strides(item.spec))}"
    yield ""


def _layout(spec: TensorSpec) -> str:
    return spec.layout if spec.layout in ("NHWC", "NCHW") else "NONE"


def _output(index: int, tensor: BoardTensor) -> Iterator[str]:
    spec = tensor.handed_out
    yield f"output[{index}]: "
    yield f"name: {tensor.name}"
    yield f"valid shape: {_list(spec.shape)}"
    yield f"aligned shape: {_list(aligned_shape(spec))}"
    yield f"aligned byte size: {file_bytes(spec)}"
    yield f"tensor type: HB_DNN_TENSOR_TYPE_{spec.dtype.upper()}"
    yield f"tensor layout: HB_DNN_LAYOUT_{_layout(spec)}"
    yield from _quantization(spec)
    yield ""


def _quantization(spec: TensorSpec) -> Iterator[str]:
    scaling: Quantization | None = spec.quantization
    yield f"quanti type: {'SCALE' if scaling else 'NONE'}"
    yield f"stride: {_list(byte_strides(spec))}"
    if scaling:
        yield "scale data: " + "".join(f"{general(scale)}," for scale in scaling.scales)
        if len(scaling.scales) > 1:
            yield f"quantizeAxis: {scaling.axis}"
