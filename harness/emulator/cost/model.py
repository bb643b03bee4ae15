"""Time on an accelerator from the shapes of a network, held to published board latencies (docs/cost-model.md).

An op takes (compute^p + memory^p)^(1/p) and its launch: compute is a sum of amounts times prices, memory is weights and
what does not fit on the chip over the bandwidth, p says how far the two overlap. A segment is the sum of its ops. On
top come the border (dequantizing the outputs, on the CPU) and one call of the runtime. `CONSTANTS` is what
`scripts/fit_cost.py` found for the RDK X5.

Shapes count as the hardware pads them: W to 8, input channels of a convolution to 16, depthwise channels to 64, heads
of an attention to 4. These steps and the on-chip size are assumptions, chosen once; the prices are fitted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

Shape = tuple[int, ...]

ALIGN_W, ALIGN_INPUT_CHANNELS, ALIGN_DEPTHWISE_CHANNELS, ALIGN_HEADS = 8, 16, 64, 4
MOST_HEADS = 16  # of a batch that are set up one by one: no published network has more
ON_CHIP_ELEMENTS = 400_000  # inputs and outputs of one op up to this stay on the chip
INT16_FACTOR = 2.0  # int16 activations pass the int8 array twice


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FREE = _words("Relu Clip LeakyRelu Flatten Reshape Squeeze Unsqueeze BatchNormalization Identity Dropout")
MOVING = _words("Concat Slice Split Pad Resize Expand Gather Tile Upsample DepthToSpace SpaceToDepth")
TABLE_LOOKUP = _words(
    "Sigmoid Tanh Erf HardSigmoid HardSwish Sqrt Pow Sin Cos Exp Log Reciprocal Elu Softplus Gelu Swish"
)
POOLING = _words("MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceMean ReduceSum ReduceMax ReduceL2")
NORMALIZING = frozenset(("LayerNormalization", "GroupNormalization", "InstanceNormalization"))


@dataclass(frozen=True)
class Work:
    """Amounts of one op, or of several added up. All are counts; `_bytes` are bytes."""

    dense_macs: float = 0.0  # convolutions and matrix products with constant weights, padded
    depthwise_macs: float = 0.0  # padded
    matmul_macs: float = 0.0  # both operands are feature maps; heads padded
    attention_elements: float = 0.0  # that a softmax normalizes, heads padded
    attention_heads: float = 0.0  # of one batch: each is set up once
    lookup_elements: float = 0.0  # activation tables
    elementwise_elements: float = 0.0
    moved_elements: float = 0.0  # concat, split, slice, pad, resize
    transposed_elements: float = 0.0
    normalized_elements: float = 0.0  # layer norm and its like
    ops: float = 0.0
    weight_bytes: float = 0.0
    spilled_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Work)))

    @property
    def as_int16(self) -> Work:
        """The same op with int16 activations: twice the passes over the int8 array."""
        return self.passed(INT16_FACTOR)

    def passed(self, times: float) -> Work:
        """The same op that passes the int8 array so many times."""
        return replace(self, **{name: times * getattr(self, name) for name in COMPUTE})


def total(works: Iterable[Work]) -> Work:
    """The amounts of several ops, added up."""
    return sum(works, Work())


@dataclass(frozen=True)
class Constants:
    """Prices. Names of the first group are `Work` fields; `_ns` nanoseconds per unit."""

    dense_macs_ns: float
    depthwise_macs_ns: float
    matmul_macs_ns: float
    attention_elements_ns: float
    attention_heads_ns: float
    lookup_elements_ns: float
    elementwise_elements_ns: float
    moved_elements_ns: float
    transposed_elements_ns: float
    normalized_elements_ns: float
    ops_ns: float
    weight_bytes_ns: float
    spilled_bytes_ns: float
    overlap: float  # p of one op: 1 is one after the other, large is fully side by side
    border_elements_ns: float  # per output element: dequantize and copy on the CPU
    call_ns: float  # one inference: runtime, driver, interrupt
    older_runtime_ns: float  # more per call in the campaign of the classification table (2024 runtime)


COMPUTE = tuple(f.name for f in fields(Work) if not f.name.endswith("_bytes") and f.name != "ops")
MEMORY = tuple(f.name for f in fields(Work) if f.name.endswith("_bytes"))

# Fitted by scripts/fit_cost.py on 66 published RDK X5 latencies; residuals and date in docs/cost-model.md.
CONSTANTS = Constants(
    dense_macs_ns=0.0005982,
    depthwise_macs_ns=0.01031,
    matmul_macs_ns=0.01898,
    attention_elements_ns=1.038,
    attention_heads_ns=101100.0,
    lookup_elements_ns=0.008978,
    elementwise_elements_ns=0.03359,
    moved_elements_ns=0.08153,
    transposed_elements_ns=0.1064,
    normalized_elements_ns=0.1221,
    ops_ns=230.5,
    weight_bytes_ns=0.1437,
    spilled_bytes_ns=0.01299,
    overlap=3.005,
    border_elements_ns=1.97,
    call_ns=182100.0,
    older_runtime_ns=285800.0,
)


@dataclass(frozen=True)
class CostEstimate:
    """One inference with one thread, in microseconds."""

    accelerator_us: float
    border_us: float
    call_us: float

    @property
    def total_us(self) -> float:
        """All of it, in microseconds."""
        return self.accelerator_us + self.border_us + self.call_us


def op_us(work: Work, constants: Constants = CONSTANTS) -> float:
    """Time of one op with its launch, in microseconds."""
    compute = sum(getattr(work, name) * getattr(constants, f"{name}_ns") for name in COMPUTE)
    memory = sum(getattr(work, name) * getattr(constants, f"{name}_ns") for name in MEMORY)
    launch_us = work.ops * constants.ops_ns / 1e3
    top = max(compute, memory)
    if top <= 0.0:
        return launch_us
    p = constants.overlap
    return float(top * ((compute / top) ** p + (memory / top) ** p) ** (1.0 / p) / 1e3) + launch_us


def accelerator_us(works: Iterable[Work], constants: Constants = CONSTANTS) -> float:
    """Time of one segment, op after op, in microseconds."""
    return sum(op_us(work, constants) for work in works)


def estimate(
    segments: Sequence[Iterable[Work]],
    output_elements: int,
    constants: Constants = CONSTANTS,
    older_runtime: bool = False,
) -> CostEstimate:
    """One inference: every segment, the border at the outputs, one call per segment."""
    calls = max(1, len(segments)) * constants.call_ns + (constants.older_runtime_ns if older_runtime else 0.0)
    return CostEstimate(
        accelerator_us=sum(accelerator_us(works, constants) for works in segments),
        border_us=output_elements * constants.border_elements_ns / 1e3,
        call_us=calls / 1e3,
    )


# --------------------------------------------------------------------------- amounts of one op


def work_of(
    kind: str,
    inputs: Sequence[Shape],
    outputs: Sequence[Shape],
    weight: Shape = (),
    groups: int = 1,
    table_channels: int = 1,
) -> Work:
    """Amounts of one op from its shapes. `inputs` are feature maps only, NCHW; `weight` is the constant operand;
    `table_channels` is the step that a chip's tables pad channels to.

    None of an op that makes nothing, and of a convolution whose shapes are not known: an unknown shape is ().
    """
    if kind in FREE or not outputs or not any(map(math.prod, outputs)):
        return Work()
    if kind in ("Conv", "ConvTranspose") and not _has_channels(inputs, outputs, weight):
        return Work()
    made = sum(math.prod(shape) for shape in outputs)
    read = sum(math.prod(shape) for shape in inputs)
    spilled = float(max(0, made + read - ON_CHIP_ELEMENTS))
    work = _specific(kind, inputs, outputs, weight, groups)
    if work.lookup_elements and len(outputs[0]) == 4:
        wide = aligned(outputs[0][1], table_channels) / outputs[0][1]
        work = replace(work, lookup_elements=work.lookup_elements * wide)
    return work + Work(ops=1.0, weight_bytes=float(math.prod(weight)) if weight else 0.0, spilled_bytes=spilled)


def _has_channels(inputs: Sequence[Shape], outputs: Sequence[Shape], weight: Shape) -> bool:
    """Whether feature maps and weight have channels and sizes to count by; without a constant weight it is not read."""
    shapes = (outputs[0], *inputs[:1], *([weight] if weight else []))
    return all(len(shape) > 1 and math.prod(shape) > 0 for shape in shapes)


def _specific(kind: str, inputs: Sequence[Shape], outputs: Sequence[Shape], weight: Shape, groups: int) -> Work:
    made = float(sum(math.prod(shape) for shape in outputs))
    read = float(sum(math.prod(shape) for shape in inputs))
    if kind == "Conv" and weight:
        return _convolution(outputs[0], weight, groups)
    if kind == "ConvTranspose" and weight:
        return Work(dense_macs=read * math.prod(weight[1:]))
    if kind in ("MatMul", "Gemm"):
        return _product(inputs, outputs[0], weight)
    if kind in ("Softmax", "LogSoftmax"):
        return _softmax(outputs[0])
    if kind in POOLING:
        return Work()  # no price could be derived from zero; the op itself is counted
    return Work(**{_elements_of(kind): read if kind in NORMALIZING else made})


def _elements_of(kind: str) -> str:
    if kind == "Transpose":
        return "transposed_elements"
    if kind in MOVING:
        return "moved_elements"
    if kind in TABLE_LOOKUP:
        return "lookup_elements"
    return "normalized_elements" if kind in NORMALIZING else "elementwise_elements"


def aligned(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def _convolution(output: Shape, weight: Shape, groups: int) -> Work:
    """NCHW output, OIHW weight: every group's input channels are padded, and those of a depthwise one together."""
    wide = aligned(output[-1], ALIGN_W) / output[-1]
    per_channel = math.prod(output) * math.prod(weight[2:]) * wide
    if groups > 1 and weight[1] == 1:
        return Work(depthwise_macs=per_channel * aligned(output[1], ALIGN_DEPTHWISE_CHANNELS) / output[1])
    return Work(dense_macs=per_channel * aligned(weight[1], ALIGN_INPUT_CHANNELS))


def _product(inputs: Sequence[Shape], output: Shape, weight: Shape) -> Work:
    made = math.prod(output)
    if weight:
        return Work(dense_macs=float(made * math.prod(weight) / (output[-1] if output else 1)))
    depth = inputs[0][-1] if inputs and inputs[0] else 1
    return Work(matmul_macs=float(_padded_heads(output) * depth))


def _softmax(shape: Shape) -> Work:
    """An attention's softmax stands for setting up its heads too; a vector's is next to nothing."""
    if len(shape) < 3:
        return Work()
    heads = min(shape[-3], MOST_HEADS)
    return Work(attention_elements=float(_padded_heads(shape)), attention_heads=float(heads))


def _padded_heads(shape: Shape) -> int:
    """Elements of batch x heads x rows x columns as they lie: heads in groups of four."""
    if len(shape) != 4:
        return math.prod(shape)
    return math.prod(shape[:-3]) * aligned(shape[-3], ALIGN_HEADS) * math.prod(shape[-2:])
