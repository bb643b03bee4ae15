"""Which op runs where: the BPU, the CPU, or (passive ops) on the BPU only between BPU ops.

The lists follow the vendors' public operator lists (RDK X3 `supported_op_list.md` for bernoulli2 and bayes, the RDK X5
operator list for bayes-e, the J6 operator constraint list for nash) and what real toolchain logs show of tail ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from harness.emulator.model.nodes import Network, attributes

_LUT_OPS = "Sigmoid Tanh Exp Sqrt Log Reciprocal Sin Cos Pow Erf"
_X_COMMON = (
    "Add ArgMax AveragePool BatchNormalization Clip Concat Conv ConvTranspose Cos DepthToSpace Div Exp Gemm"
    " GlobalAveragePool GlobalMaxPool LSTM LeakyRelu MatMul MaxPool Mul Pad Pow Reciprocal ReduceMean Relu Resize"
    " Sigmoid Sin Slice Softplus SpaceToDepth Split Sqrt Sum Tanh Upsample"
)
_BAYES_COMMON = (
    _X_COMMON + " Abs ArgMin Ceil Elu Expand Floor Gather GatherElements GridSample HardSigmoid LayerNormalization"
    " Log Max ReduceMax ReduceSum Sub Tile TopK Atan"
)
_PASSIVE = frozenset(("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"))

_BPU: dict[str, frozenset[str]] = {
    "bernoulli2": frozenset((_X_COMMON + " PRelu").split()),
    "bayes": frozenset(_BAYES_COMMON.split()),
    "bayes-e": frozenset((_BAYES_COMMON + " PRelu Erf Round Sign Selu Softsign Tan Sinh Cosh Acos Asin").split()),
    "nash": frozenset(
        (
            _BAYES_COMMON + " " + _LUT_OPS + " Softmax LogSoftmax GroupNormalization InstanceNormalization"
            " ReduceL1 ReduceL2 GRU Identity Dropout PRelu Where Greater Less Equal Neg Min Round"
        ).split()
    ),
}
# Venus runs every op that it knows under one name; which of them its cores help is not published.
_BPU["nna"] = _BPU["nash"]
# On bernoulli2 the list has Reshape and Transpose on the CPU, on nash on the BPU; in between they are passive.
_PASSIVE_OF = {
    "bernoulli2": frozenset[str](),
    "bayes": _PASSIVE,
    "bayes-e": _PASSIVE,
    "nash": frozenset[str](),
    "nna": _PASSIVE,
}
_FLOAT = onnx.TensorProto.FLOAT


@dataclass(frozen=True)
class Placement:
    """Where one node runs and why, in the words of the log."""

    unit: str  # "BPU" or "CPU"
    reason: str


def march_class(march: str) -> str:
    """nash-e, nash-m, nash-p and nash-b follow one list, nna1 and nna2 another."""
    return next((family for family in ("nash", "nna") if march.startswith(family)), march)


def listed(kind: str, march: str) -> bool:
    """Whether an op type can run on the BPU of that march at all."""
    return kind in _BPU[march_class(march)] | _PASSIVE


def place(network: Network, march: str, on_cpu: Iterable[str] = (), on_bpu: Iterable[str] = ()) -> dict[str, Placement]:
    """Node name -> placement of every node of `network`."""
    forced = dict.fromkeys(on_cpu, "CPU") | dict.fromkeys(on_bpu, "BPU")
    first = {node.name: _first_choice(network, node, march_class(march), forced) for node in network.nodes}
    return _settle_passive(network, first)


def _first_choice(network: Network, node: onnx.NodeProto, march: str, forced: Mapping[str, str]) -> Placement | None:
    """None for a passive op, which is decided by its neighbours."""
    kind = node.op_type
    if node.name in forced:
        return Placement(forced[node.name], "forced by the user")
    if not _all_float(network, node):
        return Placement("CPU", "not a float tensor")
    if kind in _PASSIVE_OF[march]:
        return None
    if kind not in _BPU[march] | (_PASSIVE if march == "nash" else frozenset()):
        return Placement("CPU", f"{kind} is a CPU op on {march}")
    limit = _over_limit(network, node, march)
    return Placement("CPU", limit) if limit else Placement("BPU", "listed for the BPU")


def _settle_passive(network: Network, first: Mapping[str, Placement | None]) -> dict[str, Placement]:
    """A passive op stays on the BPU only if every neighbour does; chains of them are settled together."""
    units = {name: choice.unit if choice else "BPU" for name, choice in first.items()}
    passive = [node for node in network.nodes if first[node.name] is None]
    changed = True
    while changed:
        changed = False
        for node in passive:
            if units[node.name] == "BPU" and not _between_bpu_ops(network, node, units):
                units[node.name] = "CPU"
                changed = True
    return {name: choice or _passive_placement(units[name]) for name, choice in first.items()}


def _passive_placement(unit: str) -> Placement:
    return Placement(unit, "passive, between BPU ops" if unit == "BPU" else "passive, not between BPU ops")


def _between_bpu_ops(network: Network, node: onnx.NodeProto, units: Mapping[str, str]) -> bool:
    before = network.producer.get(node.input[0])
    after = [user for name in node.output for user in network.consumers.get(name, ())]
    if before is None or not after or any(name in network.output_names for name in node.output):
        return False
    return all(units[other.name] == "BPU" for other in (before, *after))


def _all_float(network: Network, node: onnx.NodeProto) -> bool:
    data = [name for name in (*node.input[:1], *node.output) if name]
    return all(network.element_type(name) in (_FLOAT, None) for name in data)


# --------------------------------------------------------------------------- limits


def _over_limit(network: Network, node: onnx.NodeProto, march: str) -> str:
    """The limit that keeps a listed op off the BPU, "" when there is none."""
    check = {"Conv": _conv_limit, "MaxPool": _pool_limit, "AveragePool": _pool_limit, "MatMul": _matmul_limit}
    if node.op_type in check:
        return check[node.op_type](network, node, march)
    if node.op_type == "Resize":
        mode = str(attributes(node).get("mode", "nearest"))
        return "" if mode in ("nearest", "linear") else f"Resize mode {mode} is not nearest or linear"
    if node.op_type in ("Add", "Mul") and march == "bernoulli2":
        return "" if len(network.shape(node.output[0]) or ()) == 4 else "bernoulli2 takes 4-D only"
    return ""


def _conv_limit(network: Network, node: onnx.NodeProto, march: str) -> str:
    shape = network.shape(node.input[1]) or ()
    if len(shape) != 4:
        return "" if march == "nash" else f"kernel of {len(shape)} dimensions"
    channels, height, width = shape[1:]
    side = 7 if march == "bernoulli2" else 31
    volume = {"bernoulli2": 32768, "bayes-e": 32767}.get(march, 65535)
    if max(height, width) > side:
        return f"kernel {height}x{width} is over {side}"
    return "" if channels * height * width <= volume else f"kernel volume over {volume}"


def _pool_limit(_network: Network, node: onnx.NodeProto, march: str) -> str:
    kernel = attributes(node).get("kernel_shape", [1])
    side = {"bernoulli2": 7 if node.op_type == "AveragePool" else 64}.get(march, 256)
    return "" if max(kernel) <= side else f"kernel {kernel} is over {side}"


def _matmul_limit(network: Network, node: onnx.NodeProto, march: str) -> str:
    shapes = [network.shape(name) or () for name in node.input]
    if march == "bernoulli2" and not any(name in network.constants for name in node.input):
        return "bernoulli2 multiplies a feature map with a constant only"
    return "" if all(max(shape[-2:], default=1) <= 8192 for shape in shapes) else "a dimension over 8192"
