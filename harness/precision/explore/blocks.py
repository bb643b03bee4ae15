"""Parts of a network that are configured together: attention blocks and layer normalizations, as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx

from harness.emulator.model.nodes import ModelGraph

SOFTMAX = ("Softmax", "LogSoftmax")
MOST_STEPS = 6  # from a product to its softmax: scale, mask, reshapes
_BETWEEN = frozenset(
    ("Mul", "Div", "Add", "Sub", "Where", "Reshape", "Transpose", "Clip", "Cast", "Identity", "Dropout")
)
_BEFORE_ROOT = (("Add",), ("ReduceMean",), ("Pow", "Mul"), ("Sub",), ("ReduceMean",))


def softmaxes(network: ModelGraph) -> list[str]:
    """Names of all Softmax and LogSoftmax nodes."""
    return [node.name for node in network.nodes if node.op_type in SOFTMAX]


def attention_blocks(network: ModelGraph) -> list[tuple[str, ...]]:
    """Per softmax between two products: the product of scores, what lies between, and the product that mixes."""
    blocks = []
    for node in network.nodes:
        if node.op_type not in SOFTMAX:
            continue
        before, after = _way(network, node, back=True), _way(network, node, back=False)
        if before and after:
            blocks.append((*reversed(before), node.name, *after))
    return blocks


def _way(network: ModelGraph, node: onnx.NodeProto, *, back: bool) -> list[str]:
    """Names from the softmax to the nearest product, nearest first; empty where there is none."""
    names: list[str] = []
    for _ in range(MOST_STEPS):
        step = next(_beside(network, node, back), None)
        if step is None:
            return []
        names.append(step.name)
        if step.op_type == "MatMul":
            return names
        node = step
    return []


def _beside(network: ModelGraph, node: onnx.NodeProto, back: bool) -> Iterator[onnx.NodeProto]:
    if back:
        around = [network.producer[name] for name in node.input if name in network.producer]
    else:
        around = [reader for name in node.output for reader in network.consumers.get(name, [])]
    yield from (one for one in around if one.op_type == "MatMul" or one.op_type in _BETWEEN)


def layer_norms(network: ModelGraph) -> list[tuple[str, ...]]:
    """Per normalization its nodes: one LayerNormalization, or those that exporters write where the opset has none."""
    whole = [(node.name,) for node in network.nodes if node.op_type == "LayerNormalization"]
    parts = [_decomposed(network, node) for node in network.nodes if node.op_type == "Sqrt"]
    return [*whole, *(one for one in parts if one)]


def _decomposed(network: ModelGraph, root: onnx.NodeProto) -> tuple[str, ...]:
    """Mean, difference, square, variance, epsilon, root, ratio, gain and shift around a square root."""
    nodes, node = [root], root
    for kinds in _BEFORE_ROOT:
        before = [network.producer[name] for name in node.input if name in network.producer]
        step = next((one for one in before if one.op_type in kinds), None)
        if step is None:
            return ()
        nodes.append(step)
        node = step
    ratio = next((one for one in network.consumers.get(root.output[0], []) if one.op_type == "Div"), None)
    if ratio is None:
        return ()
    tail = [ratio, *_chain(network, ratio, ("Mul", "Add"))]
    return tuple(one.name for one in (*reversed(nodes), *tail))


def _chain(network: ModelGraph, node: onnx.NodeProto, kinds: Sequence[str]) -> Iterator[onnx.NodeProto]:
    """Ops of those types, one behind the other, that read nothing else but a constant."""
    for kind in kinds:
        readers = network.consumers.get(node.output[0], [])
        if len(readers) != 1 or readers[0].op_type != kind or len(network.data_inputs(readers[0])) != 1:
            return
        node = readers[0]
        yield node
