"""Which op runs where: the accelerator, the CPU, or (passive ops) on the accelerator only between its ops.

What an accelerator takes is said by the vendors' rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx

from harness.emulator.model.nodes import ModelGraph, attributes

PASSIVE = frozenset(("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"))
_FLOAT = onnx.TensorProto.FLOAT


CPU = "CPU"
FOLDED, TAKEN_ALONG = "folded into the output's layout", "taken along by the Gemm behind it"  # no nodes of their own
TO_NHWC = [0, 2, 3, 1]
_ACTIVATIONS, _CONVOLUTIONS = ("Relu", "Clip"), ("Conv", "Gemm")  # a Gemm becomes a convolution
_FLATTENING = ("Flatten", "Reshape", "Squeeze")


@dataclass(frozen=True)
class Placement:
    """Where one node runs and why, in the words of the log."""

    unit: str  # the accelerator's, or CPU
    reason: str


@dataclass(frozen=True)
class OpRules:
    """What one accelerator takes: op types, and the limits of those that are listed."""

    name: str  # in the words of the log
    unit: str
    listed: frozenset[str]
    passive: frozenset[str] = frozenset()  # of PASSIVE, those that neighbours decide
    kernel_side: int = 31
    kernel_volume: int = 65535
    max_pool_side: int = 256
    average_pool_side: int = 256
    takes_any_kernel: bool = False  # one that is not 2-D, too
    four_dimensions_only: bool = False  # of Add and Mul
    constant_matmul_only: bool = False
    tail_int32_alone: bool = False  # a convolution at the tail gives int32 and then takes no activation along
    gemm_is_convolution: bool = False  # takes a Flatten in front of it along, and its 2-D result is a Reshape behind


def listed(kind: str, rules: OpRules) -> bool:
    """Whether an op type can run on the accelerator at all."""
    return kind in rules.listed | PASSIVE


def place(
    network: ModelGraph, rules: OpRules, on_cpu: Iterable[str] = (), on_accelerator: Iterable[str] = ()
) -> dict[str, Placement]:
    """Node name -> placement of every node of `network`."""
    forced = dict.fromkeys(on_cpu, CPU) | dict.fromkeys(on_accelerator, rules.unit)
    first = {node.name: _first_choice(network, node, rules, forced) for node in network.nodes}
    if rules.tail_int32_alone:
        first |= {node.name: _behind_int32(network, node) for node in _tail_activations(network, first, forced)}
    settled = _settle_passive(network, first, rules.unit)
    return settled | dict(_folded(network, settled, rules, forced))


def _first_choice(
    network: ModelGraph, node: onnx.NodeProto, rules: OpRules, forced: Mapping[str, str]
) -> Placement | None:
    """None for a passive op, which is decided by its neighbours."""
    kind = node.op_type
    if node.name in forced:
        return Placement(forced[node.name], "forced by the user")
    if not _all_float(network, node):
        return Placement(CPU, "not a float tensor")
    if kind in rules.passive:
        return None
    if kind not in rules.listed:
        return Placement(CPU, f"{kind} is a CPU op on {rules.name}")
    limit = _over_limit(network, node, rules)
    return Placement(CPU, limit) if limit else Placement(rules.unit, f"listed for the {rules.unit}")


def _tail_activations(
    network: ModelGraph, first: Mapping[str, Placement | None], forced: Mapping[str, str]
) -> Iterator[onnx.NodeProto]:
    """Activations that end the model and that a convolution on the accelerator would take along anywhere else."""
    for node in network.nodes:
        before = network.producer.get(node.input[0]) if node.op_type in _ACTIVATIONS else None
        is_last = node.output[0] in network.output_names and not network.consumers.get(node.output[0])
        if before is None or not is_last or before.op_type not in _CONVOLUTIONS or node.name in forced:
            continue
        chosen = first[before.name]
        if chosen is not None and chosen.unit != CPU and len(network.consumers.get(before.output[0], [])) == 1:
            yield node


def _behind_int32(network: ModelGraph, node: onnx.NodeProto) -> Placement:
    before = network.producer[node.input[0]]
    return Placement(CPU, f"at the tail {before.name} gives int32, which takes no {node.op_type} along")


def _folded(
    network: ModelGraph, settled: Mapping[str, Placement], rules: OpRules, forced: Mapping[str, str]
) -> Iterator[tuple[str, Placement]]:
    """Ops that move data and that the toolchain takes along with the op of the accelerator beside them."""
    for node in network.nodes:
        before = network.producer.get(node.input[0]) if node.input else None
        if before is None or node.name in forced or CPU in (settled[before.name].unit, rules.unit):
            continue
        if is_output_transpose(network, node):
            yield node.name, Placement(rules.unit, FOLDED)
        elif rules.gemm_is_convolution and _is_before_gemm(network, node, settled):
            yield node.name, Placement(rules.unit, TAKEN_ALONG)


def is_output_transpose(network: ModelGraph, node: onnx.NodeProto) -> bool:
    """NCHW to NHWC, which is how the accelerator's memory lies, and nothing behind it."""
    is_last = node.output[0] in network.output_names and not network.consumers.get(node.output[0])
    return is_last and node.op_type == "Transpose" and list(attributes(node).get("perm") or ()) == TO_NHWC


def _is_before_gemm(network: ModelGraph, node: onnx.NodeProto, settled: Mapping[str, Placement]) -> bool:
    """From 4-D to 2-D, the batch kept, and only Gemms on the accelerator behind it."""
    sizes = [network.shape(name) or () for name in (node.input[0], node.output[0])]
    readers = network.consumers.get(node.output[0], [])
    if node.op_type not in _FLATTENING or [len(size) for size in sizes] != [4, 2] or sizes[0][0] != sizes[1][0]:
        return False
    is_read_on = bool(readers) and node.output[0] not in network.output_names
    return is_read_on and all(one.op_type == "Gemm" and settled[one.name].unit != CPU for one in readers)


def _settle_passive(network: ModelGraph, first: Mapping[str, Placement | None], unit: str) -> dict[str, Placement]:
    """A passive op stays on the accelerator only if every neighbour does; chains of them are settled together."""
    units = {name: choice.unit if choice else unit for name, choice in first.items()}
    passive = [node for node in network.nodes if first[node.name] is None]
    changed = True
    while changed:
        changed = False
        for node in passive:
            if units[node.name] != CPU and not _between_its_ops(network, node, units):
                units[node.name] = CPU
                changed = True
    return {name: choice or _passive_placement(units[name], unit) for name, choice in first.items()}


def _passive_placement(chosen: str, unit: str) -> Placement:
    return Placement(chosen, f"passive, {'not ' if chosen == CPU else ''}between {unit} ops")


def _between_its_ops(network: ModelGraph, node: onnx.NodeProto, units: Mapping[str, str]) -> bool:
    before = network.producer.get(node.input[0])
    after = [user for name in node.output for user in network.consumers.get(name, ())]
    if before is None or not after or any(name in network.output_names for name in node.output):
        return False
    return all(units[other.name] != CPU for other in (before, *after))


def _all_float(network: ModelGraph, node: onnx.NodeProto) -> bool:
    data = [name for name in (*node.input[:1], *node.output) if name]
    return all(network.element_type(name) in (_FLOAT, None) for name in data)


# --------------------------------------------------------------------------- limits


def _over_limit(network: ModelGraph, node: onnx.NodeProto, rules: OpRules) -> str:
    """The limit that keeps a listed op off the accelerator, "" when there is none."""
    check = {"Conv": _conv_limit, "MaxPool": _pool_limit, "AveragePool": _pool_limit, "MatMul": _matmul_limit}
    if node.op_type in check:
        return check[node.op_type](network, node, rules)
    if node.op_type == "Resize":
        mode = str(attributes(node).get("mode", "nearest"))
        return "" if mode in ("nearest", "linear") else f"Resize mode {mode} is not nearest or linear"
    if node.op_type in ("Add", "Mul") and rules.four_dimensions_only:
        return "" if len(network.shape(node.output[0]) or ()) == 4 else f"{rules.name} takes 4-D only"
    return ""


def _conv_limit(network: ModelGraph, node: onnx.NodeProto, rules: OpRules) -> str:
    shape = network.shape(node.input[1]) or ()
    if len(shape) != 4:
        return "" if rules.takes_any_kernel else f"kernel of {len(shape)} dimensions"
    channels, height, width = shape[1:]
    if max(height, width) > rules.kernel_side:
        return f"kernel {height}x{width} is over {rules.kernel_side}"
    return "" if channels * height * width <= rules.kernel_volume else f"kernel volume over {rules.kernel_volume}"


def _pool_limit(_network: ModelGraph, node: onnx.NodeProto, rules: OpRules) -> str:
    kernel = attributes(node).get("kernel_shape", [1])
    side = rules.average_pool_side if node.op_type == "AveragePool" else rules.max_pool_side
    return "" if max(kernel) <= side else f"kernel {kernel} is over {side}"


def _matmul_limit(network: ModelGraph, node: onnx.NodeProto, rules: OpRules) -> str:
    shapes = [network.shape(name) or () for name in node.input]
    if rules.constant_matmul_only and not any(name in network.constants for name in node.input):
        return f"{rules.name} multiplies a feature map with a constant only"
    return "" if all(max(shape[-2:], default=1) <= 8192 for shape in shapes) else "a dimension over 8192"
