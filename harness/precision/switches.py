"""A model in which every op's quantizers can be switched: the float graph and the int8 graph as one.

Quantizing is what the emulated compiler does (`emulator/compiler/quantize.py`). The nodes of both graphs have the same
names; a node reads either the float tensor or what its quantizer makes of it, and either weight. So any mixture is a
graph of the same nodes, and what lies behind an op can be run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from harness.emulator.compiler.calibrated import calibrated
from harness.emulator.compiler.operands import moves_data
from harness.emulator.model.nodes import ModelGraph

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Switch:
    """Which quantizers of an op work: of its feature maps, of its weights, of what it hands to the CPU or out."""

    features: bool = False
    weights: bool = False
    outputs: bool = False


FLOAT, INT8 = Switch(), Switch(True, True, True)
Setting = Callable[[int], Switch]  # of the op at that place


@dataclass(frozen=True)
class SwitchOp:
    """One node with both sets of inputs. `features` and `weights` are places where the two differ; `border` those of
    an op on the CPU, whose rounding belongs to the op that hands the tensor over."""

    node: onnx.NodeProto
    floats: tuple[str, ...]
    quantized: tuple[str, ...]
    features: frozenset[int]
    weights: frozenset[int]
    border: Mapping[int, int]  # place of an input -> place of the op that hands it over
    hands_over: bool = False  # whether something that it made crosses to the CPU, or out of the model, in int8

    @property
    def has_quantizer(self) -> bool:
        """Whether anything of it is rounded to int8."""
        return bool(self.features or self.weights or self.hands_over)

    def inputs(self, switch: Switch, setting: Setting) -> list[str]:
        """What it reads with its quantizers set so, and those of the ops before it by `setting`."""
        on = (self.features if switch.features else frozenset()) | (self.weights if switch.weights else frozenset())
        on |= {i for i, maker in self.border.items() if setting(maker).outputs}
        return [self.quantized[i] if i in on else name for i, name in enumerate(self.floats)]


class SwitchGraph:
    """Of a float model and the model that quantizing made of it. Every node has a name."""

    def __init__(self, prepared: onnx.ModelProto, quantized: onnx.ModelProto, units: Mapping[str, str]) -> None:
        self.network, self.units = ModelGraph(prepared), units
        whole = calibrated(quantized)
        self.constants = {t.name: t for t in (*prepared.graph.initializer, *whole.graph.initializer)}
        self.pair_of = {name: node for node in whole.graph.node if node.op_type in QUANTIZERS for name in node.output}
        self._pairs = {
            out: (self.pair_of[node.input[0]], node) for out, node in self.pair_of.items() if self._is_pair(node)
        }
        self._source = {out: first.input[0] for out, (first, _) in self._pairs.items()}
        named = {node.name: node for node in whole.graph.node}
        self._entering = {
            old: new
            for node in self.network.nodes
            for old, new in zip(node.output, named[node.name].output, strict=True)
        }
        self._place = {node.name: place for place, node in enumerate(self.network.nodes)}
        ops = [self._op(node, named[node.name]) for node in self.network.nodes]
        self.outputs = list(self.network.output_names)
        self._leaving = {name: self._owner(name) for name in self.outputs if name in self._pairs}
        givers = {*self._leaving.values(), *(maker for op in ops for maker in op.border.values())}
        self.ops = [replace(op, hands_over=place in givers) for place, op in enumerate(ops)]
        self._base = prepared

    def _op(self, plain: onnx.NodeProto, quantized: onnx.NodeProto) -> SwitchOp:
        floats = tuple(self._entering.get(name, name) for name in plain.input)
        inputs = tuple(quantized.input)
        # A quantizer in front of an op that only moves data does what the one behind it does: on the same scale.
        on_cpu = self.units[plain.name] == "CPU"
        passes = moves_data(plain) and not on_cpu
        places = set() if passes else {i for i, name in enumerate(inputs) if name != floats[i]}
        features = frozenset(i for i in places if inputs[i] in self._pairs)
        weights = frozenset(places) - features
        if on_cpu:
            border = {i: self._owner(plain.input[i]) for i in features}
            return SwitchOp(quantized, floats, inputs, frozenset(), weights, border)
        return SwitchOp(quantized, floats, inputs, features, weights, {})

    def _owner(self, tensor: str) -> int:
        """Place of the op that made the values of a tensor, before they were only moved."""
        node = self.network.producer[tensor]
        while moves_data(node) and self.units[node.name] != "CPU":
            before = self.network.producer.get(node.input[0])
            if before is None or self.units[before.name] == "CPU":
                break
            node = before
        return self._place[node.name]

    def _is_pair(self, node: onnx.NodeProto) -> bool:
        """A DQ behind a Q; one of a constant, or of pixels that come as integers, is none."""
        return node.op_type == "DequantizeLinear" and node.input[0] in self.pair_of

    # ---------------------------------------------------------------- parts of it

    def last_use(self) -> dict[str, int]:
        """Tensor -> place of the last op that needs it; the number of ops for what makes an output."""
        last: dict[str, int] = {}
        for place, op in enumerate(self.ops):
            last.update((self._source.get(name, name), place) for name in (*op.floats, *op.quantized))
        return last | {self._entering.get(name, name): len(self.ops) for name in self.outputs}

    def behind(self, start: int, setting: Setting, also: Iterable[str] = ()) -> tuple[onnx.ModelProto, list[str]]:
        """The ops from place `start` on, set so, and which tensors they are fed. `also` are handed out, too."""
        nodes: list[onnx.NodeProto] = []
        ends = [self.end(name, setting) for name in self.outputs]
        for place, op in enumerate(self.ops[start:], start):
            node = onnx.NodeProto()
            node.CopyFrom(op.node)
            del node.input[:]
            node.input.extend(op.inputs(setting(place), setting))
            nodes.append(node)
        return self._model(nodes, [*ends, *also])

    def alone(self, place: int, switch: Switch) -> tuple[onnx.ModelProto, list[str]]:
        """One op as a model."""
        node = onnx.NodeProto()
        node.CopyFrom(self.ops[place].node)
        del node.input[:]
        node.input.extend(self.ops[place].inputs(switch, lambda other: switch))
        return self._model([node], [name for name in node.output if name])

    def end(self, output: str, setting: Setting) -> str:
        """The tensor that is the model's output, quantized or not."""
        maker = self._leaving.get(output)
        is_quantized = maker is not None and setting(maker).outputs
        return output if is_quantized else self._entering.get(output, output)

    def _model(self, nodes: Sequence[onnx.NodeProto], ends: Sequence[str]) -> tuple[onnx.ModelProto, list[str]]:
        """A model of the nodes that the ends need, with their quantizers; and its inputs."""
        needed, kept = set(ends), [self._pairs[name] for name in ends if name in self._pairs]
        needed |= {first.input[0] for first, _ in kept}
        chosen: list[onnx.NodeProto] = [one for pair in kept for one in pair]
        in_order: list[onnx.NodeProto] = []
        for node in reversed(nodes):
            if needed & set(node.output):
                in_order.append(node)
                for name in node.input:
                    needed.add(self._source.get(name, name))
                    chosen += self._pairs.get(name, ())
        made = {name for node in in_order for name in node.output}
        read = (
            {self._source.get(name, name) for node in in_order for name in node.input}
            | {first.input[0] for first, _ in kept}
            | {name for name in ends if name not in self._pairs}
        )
        fed = sorted(name for name in read if name and name not in made and name not in self.constants)
        return self._assembled(in_order[::-1], chosen, fed, ends), fed

    def _assembled(
        self, ops: Sequence[onnx.NodeProto], pairs: Iterable[onnx.NodeProto], fed: Sequence[str], ends: Sequence[str]
    ) -> onnx.ModelProto:
        from harness.emulator.compiler.graph_edits import sorted_nodes

        once = {node.output[0]: node for node in pairs}
        names = {name for node in (*ops, *once.values()) for name in node.input if name in self.constants}
        nodes = sorted_nodes([*once.values(), *ops], set(fed) | names | {""})
        graph = onnx.helper.make_graph(
            nodes,
            "part",
            [self._value(name) for name in fed],
            [onnx.ValueInfoProto(name=name) for name in dict.fromkeys(ends)],
            initializer=[self.constants[name] for name in sorted(names)],
        )
        return onnx.helper.make_model(
            graph, opset_imports=self._base.opset_import, ir_version=min(self._base.ir_version, 10)
        )

    def _value(self, name: str) -> onnx.ValueInfoProto:
        plain = next((old for old, new in self._entering.items() if new == name), name)
        element = self.network.element_type(plain) or onnx.TensorProto.FLOAT
        return onnx.helper.make_tensor_value_info(name, element, self.network.shape(plain))
