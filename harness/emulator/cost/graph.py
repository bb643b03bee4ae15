"""The work of a float ONNX graph as a compiler would see it: activations, GELU and layer norms are one op each."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from harness.emulator.cost.model import Shape, Work, total, work_of
from harness.emulator.model.nodes import ModelGraph, attributes

GATES = ("Sigmoid", "HardSigmoid")


def network_work(network: ModelGraph) -> Work:
    """All ops of a network in one segment."""
    return total(work for _, work in op_works(network))


def op_works(network: ModelGraph) -> Iterator[tuple[str, Work]]:
    """(name of the node that stands for the op, its work) in graph order; nodes fused into it are left out."""
    fused = _Fusions(network)
    for node in network.nodes:
        if node.name in fused.absorbed:
            continue
        yield node.name, _work(network, node, fused.kinds.get(node.name, node.op_type))


def output_elements(network: ModelGraph) -> int:
    """Elements of all graph outputs: what the border dequantizes."""
    count = 0
    for name in network.output_names:
        size = 1
        for dim in network.shape(name) or ():
            size *= dim
        count += size
    return count


def _work(network: ModelGraph, node: onnx.NodeProto, kind: str) -> Work:
    weights = [tuple(network.constants[name].dims) for name in node.input if name in network.constants]
    inputs = [network.shape(name) or () for name in network.data_inputs(node)]
    outputs = [network.shape(name) or () for name in node.output if name]
    weighted = kind in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    weight: Shape = weights[0] if weights and weighted else ()
    groups = int(attributes(node).get("group", 1))
    return work_of(kind, inputs, outputs, weight, groups)


class _Fusions:
    """`kinds`: node -> what it stands for; `absorbed`: nodes that are part of another."""

    def __init__(self, network: ModelGraph) -> None:
        self.network = network
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

    def _readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return self.network.consumers.get(node.output[0], [])

    def _only_reader(self, node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        readers = self._readers(node)
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def _gate(self, node: onnx.NodeProto) -> None:
        """Sigmoid(x) * x is one table."""
        product = self._only_reader(node, "Mul")
        if product is not None and node.input[0] in product.input:
            self.absorbed.add(node.name)
            self.kinds[product.name] = "Swish"

    def _gelu(self, erf: onnx.NodeProto) -> None:
        """x / sqrt(2) -> Erf -> + 1 -> * x -> * 0.5 is one table."""
        scaled = self.network.producer.get(erf.input[0])
        shifted = self._only_reader(erf, "Add")
        if scaled is None or scaled.op_type not in ("Div", "Mul") or shifted is None:
            return
        self.kinds[erf.name] = "Gelu"
        self.absorbed.update((scaled.name, shifted.name))
        product = self._only_reader(shifted, "Mul")
        if product is None:
            return
        self.absorbed.add(product.name)
        half = self._only_reader(product, "Mul")
        if half is not None and not self._has_matrix(half):
            self.absorbed.add(half.name)

    def _has_matrix(self, node: onnx.NodeProto) -> bool:
        """A product with a whole constant tensor (layer scale) is no part of a GELU."""
        shapes = [self.network.constants[name].dims for name in node.input if name in self.network.constants]
        return any(len(dims) > 0 and max(dims, default=1) > 1 for dims in shapes)

    def _layer_norm(self, mean: onnx.NodeProto) -> None:
        """ReduceMean over the last axis -> Sub -> (Pow -> ReduceMean -> Add -> Sqrt) -> Div [-> Mul -> Add]."""
        rank = len(self.network.shape(mean.input[0]) or ())
        axes = attributes(mean).get("axes")
        if not axes or [axis % rank for axis in axes] != [rank - 1]:
            return
        centred = next((one for one in self.network.consumers.get(mean.input[0], []) if one.op_type == "Sub"), None)
        if centred is None or mean.output[0] not in centred.input:
            return
        self.kinds[mean.name] = "LayerNormalization"
        self.absorbed.add(centred.name)
        for reader in self._readers(centred):
            self._absorb_norm(reader)

    def _absorb_norm(self, node: onnx.NodeProto) -> None:
        self.absorbed.add(node.name)
        following = {"Pow": "ReduceMean", "ReduceMean": "Add", "Add": "Sqrt"}
        current: onnx.NodeProto | None = node
        while current is not None and current.op_type in following:
            current = self._only_reader(current, following[current.op_type])
            if current is not None:
                self.absorbed.add(current.name)
        if node.op_type == "Div":
            self._absorb_affine(node)

    def _absorb_affine(self, quotient: onnx.NodeProto) -> None:
        scaled = self._only_reader(quotient, "Mul")
        if scaled is None:
            return
        self.absorbed.add(scaled.name)
        shifted = self._only_reader(scaled, "Add")
        if shifted is not None and any(name in self.network.constants for name in shifted.input):
            self.absorbed.add(shifted.name)
