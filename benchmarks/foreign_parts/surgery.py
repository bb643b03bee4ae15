"""Changes a model's weights, attributes and nodes, as a wrong export or a wrong kernel would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.foreign_parts.networks import ForeignNetwork

Array = NDArray[Any]


class Patient:
    """A network being changed: its model, what it is fed, or (`patches`) the files that are left of it.

    `values`: every tensor of the right network for the input of the case.
    """

    def __init__(self, network: ForeignNetwork, values: Mapping[str, Array], seed: int) -> None:
        self.model, self.values = network.model(), values
        self.rng = np.random.default_rng(seed)
        self.graph = self.model.graph
        self.normalised = network.normalised
        self.feeds, self.before_feeds = dict(network.frames[0]), network.frames[1]
        self.patches: list[dict[str, str]] = []
        self.added = 0

    # ---------------------------------------------------------------- finding

    def nodes(self, *kinds: str) -> list[onnx.NodeProto]:
        """Nodes of these kinds in random order, of those that lead to a tensor that is dumped."""
        candidates = [n for n in self.graph.node if n.op_type in kinds and n.output[0] in self.values]
        return [candidates[i] for i in self.rng.permutation(len(candidates))]

    def weight(self, name: str) -> Array | None:
        """The values of an initializer or a Constant; None for anything computed from the input."""
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return np.array(numpy_helper.to_array(tensor))
        for node in self.graph.node:
            if node.op_type == "Constant" and name in node.output:
                return np.array(numpy_helper.to_array(next(a.t for a in node.attribute if a.name == "value")))
        return None

    def producer(self, name: str) -> onnx.NodeProto | None:
        return next((n for n in self.graph.node if name in n.output), None)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return [n for n in self.graph.node if name in n.input]

    # ---------------------------------------------------------------- changing

    def constant(self, value: Array) -> str:
        self.added += 1
        name = f"mistake_constant{self.added}"
        self.graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def give(self, node: onnx.NodeProto, at: int, value: Array) -> None:
        """Another constant as input `at` of that node only."""
        node.input[at] = self.constant(value)

    def set(self, node: onnx.NodeProto, name: str, value: Any) -> None:
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    def become(self, node: onnx.NodeProto, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node is of another kind; its output keeps its name."""
        node.op_type = kind
        node.input[:] = inputs
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())

    def before(self, node: onnx.NodeProto, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A new node in front of `node`; the name of what it gives."""
        self.added += 1
        output = f"mistake{self.added}_out"
        made = helper.make_node(kind, list(inputs), [output], name=f"mistake{self.added}", **attributes)
        self.graph.node.insert(list(self.graph.node).index(node), made)
        return output


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


Plant = Callable[[Patient], Iterator[str]]


@dataclass(frozen=True)
class Mistake:
    """A mistake of people or of kernels. `kinds`: what a right answer calls it, written down before the engine runs.

    `plant` changes the patient and yields the tensor whose op is then guilty; nothing where no op takes it.
    """

    name: str
    what: str
    kinds: tuple[str, ...]
    plant: Plant
    quantized: bool | None = False  # None: in both
    where: str = "op"  # "op", "input" or "file"
