"""The work of an ONNX graph as an accelerator's compiler sees it: activations, GELU and layer norms are one op each.

The one count of work: the benchmark asks for a whole network, a build for every node of what it placed (`op_works`).
A quantized graph is counted by what it computes (`cost/plain.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx

from harness.emulator.cost.model import Shape, Work, total, work_of
from harness.emulator.model.nodes import ModelGraph, attributes

GATES = ("Sigmoid", "HardSigmoid")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def network_works(network: ModelGraph) -> list[Work]:
    """Every op of a network, in graph order."""
    return [work for _, work in op_works(network)]


def network_work(network: ModelGraph) -> Work:
    """The amounts of all ops of a network, added up."""
    return total(network_works(network))


def op_works(
    network: ModelGraph, units: Mapping[str, str] | None = None, table_channels: int = 1
) -> Iterator[tuple[str, Work]]:
    """(name of the node that stands for the op, its work) in graph order; nodes fused into it are left out.

    `units` is where each node runs, where that is known: only what runs on one unit is fused. Tables pad channels
    to `table_channels`.
    """
    fused = _Fusions(network, units)
    for node in network.nodes:
        if node.name in fused.absorbed:
            continue
        yield node.name, _work(network, node, fused.kinds.get(node.name, node.op_type), table_channels)


def output_elements(network: ModelGraph) -> int:
    """Elements of all graph outputs: what the border dequantizes."""
    count = 0
    for name in network.output_names:
        size = 1
        for dim in network.shape(name) or ():
            size *= dim
        count += size
    return count


def _work(network: ModelGraph, node: onnx.NodeProto, kind: str, table_channels: int) -> Work:
    weights = [tuple(network.constants[name].dims) for name in node.input if name in network.constants]
    inputs = [network.shape(name) or () for name in network.data_inputs(node)]
    outputs = [network.shape(name) or () for name in node.output if name]
    weight: Shape = weights[0] if weights and kind in WEIGHTED else ()
    groups = int(attributes(node).get("group", 1))
    return work_of(kind, inputs, outputs, weight, groups, table_channels)


class _Fusions:
    """`kinds`: node -> what it stands for; `absorbed`: nodes that are part of another."""

    def __init__(self, network: ModelGraph, units: Mapping[str, str] | None) -> None:
        self.network, self.units = network, units
        self.kinds: dict[str, str] = {}
        self.absorbed: set[str] = set()
        for node in network.nodes:
            if node.name in self.absorbed:
                continue
            if node.op_type in GATES:
                self._gate(node)
            elif node.op_type == "Erf":
                self._gelu(node)
            elif node.op_type == "ReduceMean":
                self._layer_norm(node)

    def _fuse(self, node: onnx.NodeProto, kind: str, parts: Iterable[onnx.NodeProto]) -> None:
        names = [part.name for part in parts]
        if self.units is not None and len({self.units.get(name) for name in (node.name, *names)}) > 1:
            return
        self.kinds[node.name] = kind
        self.absorbed.update(names)

    def _readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return self.network.consumers.get(node.output[0], [])

    def _only_reader(self, node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        readers = self._readers(node)
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def _gate(self, node: onnx.NodeProto) -> None:
        """Sigmoid(x) * x is one table."""
        product = self._only_reader(node, "Mul")
        if product is not None and node.input[0] in product.input:
            self._fuse(product, "Swish", [node])

    def _gelu(self, erf: onnx.NodeProto) -> None:
        """x / sqrt(2) -> Erf -> + 1 -> * x -> * 0.5 is one table."""
        scaled = self.network.producer.get(erf.input[0])
        shifted = self._only_reader(erf, "Add")
        if scaled is None or scaled.op_type not in ("Div", "Mul") or shifted is None:
            return
        parts = [scaled, shifted]
        product = self._only_reader(shifted, "Mul")
        if product is not None:
            parts.append(product)
            half = self._only_reader(product, "Mul")
            parts += [half] if half is not None and not self._has_matrix(half) else []
        self._fuse(erf, "Gelu", parts)

    def _has_matrix(self, node: onnx.NodeProto) -> bool:
        """A product with a whole constant tensor (layer scale) is no part of a GELU."""
        shapes = [self.network.constants[name].dims for name in node.input if name in self.network.constants]
        return any(len(dims) > 0 and max(dims, default=1) > 1 for dims in shapes)

    def _layer_norm(self, mean: onnx.NodeProto) -> None:
        """ReduceMean over the last axis -> Sub -> (Pow -> ReduceMean -> Add -> Sqrt) -> Div [-> Mul -> Add]."""
        rank = len(self.network.shape(mean.input[0]) or ())
        axes = self._axes(mean)
        if not axes or not rank or [axis % rank for axis in axes] != [rank - 1]:
            return
        centred = next((one for one in self.network.consumers.get(mean.input[0], []) if one.op_type == "Sub"), None)
        if centred is None or mean.output[0] not in centred.input:
            return
        parts = [centred]
        for reader in self._readers(centred):
            parts += self._norm_parts(reader)
        self._fuse(mean, "LayerNormalization", parts)

    def _axes(self, node: onnx.NodeProto) -> list[int]:
        """An attribute, and an input since opset 18."""
        if len(node.input) > 1 and node.input[1] in self.network.constants:
            return [int(axis) for axis in self.network.constant(node.input[1]).reshape(-1)]
        return list(attributes(node).get("axes") or ())

    def _norm_parts(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        parts = [node]
        following = {"Pow": "ReduceMean", "ReduceMean": "Add", "Add": "Sqrt"}
        current: onnx.NodeProto | None = node
        while current is not None and current.op_type in following:
            current = self._only_reader(current, following[current.op_type])
            parts += [current] if current is not None else []
        return parts + (self._affine_parts(node) if node.op_type == "Div" else [])

    def _affine_parts(self, quotient: onnx.NodeProto) -> list[onnx.NodeProto]:
        scaled = self._only_reader(quotient, "Mul")
        if scaled is None:
            return []
        shifted = self._only_reader(scaled, "Add")
        is_affine = shifted is not None and any(name in self.network.constants for name in shifted.input)
        return [scaled, shifted] if shifted is not None and is_affine else [scaled]
