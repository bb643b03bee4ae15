"""Reads and marks an ONNX file as protobuf bytes: a board has no onnx package. Python >= 3.8, no library."""

# ruff: noqa: PTH123, UP031

import struct

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
NEVER_CONSTANT = ("If", "Loop", "Scan", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
# What is folded into the op before it, as in harness/reference/graph.py: in a sandwich it is no layer of its own.
FOLLOWERS = ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Mish")
FOLLOWERS += ("Softplus", "BatchNormalization", "Add", "Sub", "Mul", "Div")
GATES = ("Sigmoid", "HardSigmoid")
# Index of the output's (scale, zero point) among the inputs of integer ops.
INTEGER_OPS = {"QLinearConv": (6, 7), "QLinearMatMul": (6, 7), "QLinearAdd": (6, 7), "QLinearMul": (6, 7)}
INTEGER_OPS.update(QGemm=(7, 8), QLinearSigmoid=(3, 4), QLinearLeakyRelu=(3, 4), QLinearSoftmax=(3, 4))
INTEGER_OPS.update(QLinearGlobalAveragePool=(3, 4), QLinearAveragePool=(3, 4), QLinearConcat=(0, 1))
NUMBERS = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i"}  # TensorProto.data_type -> struct code


class ModelError(Exception):
    """The file is no ONNX model, or lacks what was asked of it."""

    def __init__(self, text, kind="bad_model"):
        super().__init__(text)
        self.kind = kind


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data, at, end):
    """Fields of a protobuf message: (number, value); a length-delimited value is a (start, end) pair."""
    while at < end:
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire in (1, 2, 5):
            size, at = varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            value, at = (at, at + size), at + size
        else:
            raise ModelError("no ONNX file: wire type %d" % wire)
        if at > end:
            raise ModelError("the model file is cut short")
        yield key >> 3, value


def text(data, span):
    return bytes(data[span[0] : span[1]]).decode("utf-8", "replace")


class Node:
    """One node of the graph: names of its tensors, a Constant's place in the file, the axis of a quantizer."""

    def __init__(self, data, span):
        self.inputs, self.outputs, self.name, self.kind = [], [], "", ""
        self.value, self.axis = None, 1
        for number, value in fields(data, *span):
            if number == 1:
                self.inputs.append(text(data, value))
            elif number == 2:
                self.outputs.append(text(data, value))
            elif number == 3:
                self.name = text(data, value)
            elif number == 4:
                self.kind = text(data, value)
            elif number == 5:
                self._attribute(data, value)

    def _attribute(self, data, span):
        parts = dict(fields(data, *span))
        self.value = parts.get(5, self.value)
        if 1 in parts and text(data, parts[1]) == "axis":
            self.axis = parts.get(3, 0)
            self.axis -= 2**64 if self.axis >= 2**63 else 0


class Graph:
    """Nodes and constants of an ONNX file. Bodies of If, Loop and Scan are not looked into."""

    def __init__(self, data):
        self.data, self.nodes, self.constants = data, [], {}
        try:
            self._read([value for number, value in fields(data, 0, len(data)) if number == 7])
        except (IndexError, TypeError) as error:
            raise ModelError("the model file is damaged: %s" % error) from error
        self._fold()
        self.producer = {out: node for node in self.nodes for out in node.outputs if out}
        self.readers = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)

    def _read(self, graphs):
        if not graphs:
            raise ModelError("the file holds no graph")
        for number, value in fields(self.data, *graphs[0]):
            if number == 1:
                self.nodes.append(Node(self.data, value))
            elif number == 5:
                name = [v for n, v in fields(self.data, *value) if n == 8]
                self.constants[text(self.data, name[0]) if name else ""] = value

    def _fold(self):
        """Adds outputs of Constant nodes, and of nodes that read constants only."""
        for node in self.nodes:
            given = node.kind == "Constant" or node.inputs
            if given and node.kind not in NEVER_CONSTANT and not self.data_inputs(node):
                self.constants.update(dict.fromkeys(node.outputs, node.value))

    def data_inputs(self, node):
        return [name for name in node.inputs if name and name not in self.constants]

    # -------------------------------------------------------------- which tensors

    def tensors(self, wanted):
        """[(index, name)] in running order of the tensors to dump: "layers", "all", or names with commas."""
        rows = [(i, out) for i, node in enumerate(self.nodes) for out in node.outputs]
        rows = [(i, out) for i, out in rows if out and out not in self.constants]
        if wanted == "all":
            return rows
        if wanted == "layers":
            return [(i, out) for i, out in rows if self.is_layer(out)]
        names = wanted.split(",")
        missing = [name for name in names if name not in {out for _, out in rows}]
        if missing:
            raise ModelError("the model computes no tensor %s" % ", ".join(missing), "unknown_tensor")
        return [(i, out) for i, out in rows if out in names]

    def is_layer(self, name):
        """False for a float inside of a quantize/dequantize sandwich: dumping it would undo a fusion."""
        readers = self.readers.get(name, [])
        if not readers:
            return self.producer[name].kind != DEQUANTIZE
        if self.producer[name].kind == DEQUANTIZE:
            return False
        return not (self.only_quantized(name) or self.inside(name))

    def only_quantized(self, name):
        return all(node.kind == QUANTIZE and node.inputs[0] == name for node in self.readers.get(name, []))

    def inside(self, name):
        """Whether `name` lies between dequantized inputs and the activation that goes into a Q."""
        if not self.from_quantized(self.producer[name]):
            return False
        after = self.step(name)
        while after and not (self.readers.get(after) and self.only_quantized(after)):
            after = self.step(after)
        return after is not None

    def from_quantized(self, node):
        """Whether the work that ends in `node` reads dequantized tensors only."""
        data = self.data_inputs(node)
        made = [self.producer.get(name) for name in data]
        if made and all(m is not None and m.kind == DEQUANTIZE for m in made):
            return True
        back = [m for m in made if m is not None and node.outputs[0] in (self.step(o) for o in m.outputs)]
        return len(back) == len(made) > 0 and all(self.from_quantized(m) for m in back)

    def step(self, name):
        """The tensor one activation further, where nothing else reads `name`; None where there is none."""
        readers = self.readers.get(name, [])
        last = readers[-1] if readers else None
        if len(readers) == 1 and last.kind in FOLLOWERS and len(self.data_inputs(last)) == 1:
            return last.outputs[0]
        gate = [n for n in self._gated(last) if n in readers or name in n.outputs]
        return last.outputs[0] if gate and len(readers) == (2 if gate[0] in readers else 1) else None

    def _gated(self, node):
        """The gate of x * sigmoid(x), as a list of one; empty for anything else."""
        if node is None or node.kind != "Mul":
            return []
        made = [self.producer.get(name) for name in node.inputs]
        return [m for m in made if m is not None and m.kind in GATES and m.inputs[0] in node.inputs]

    # -------------------------------------------------------------- what they are

    def describe(self, name):
        """Manifest facts that only the graph knows: op, op_kind, quantization, names of the same value."""
        node = self.producer[name]
        makers = [self.producer.get(node.inputs[0])] if node.kind == QUANTIZE else [node]
        row = {"op": "", "op_kind": "", "aliases": [], "quantization": self.quantization(name)}
        if makers[0] is not None:
            row.update(op=makers[0].name or makers[0].outputs[0], op_kind=makers[0].kind)
        if node.kind == QUANTIZE:
            row["aliases"].append(node.inputs[0])
        for reader in self.readers.get(name, []):
            if reader.kind == DEQUANTIZE and reader.inputs[0] == name:
                row["aliases"] += reader.outputs
        return row

    def quantization(self, name):
        """Scale and zero point from the Q, DQ or integer op next to the tensor; None where none tells it."""
        node = self.producer[name]
        if node.kind == QUANTIZE:
            return self.affine(node.inputs[1:3], node.axis)
        if node.kind in INTEGER_OPS:
            return self.affine([node.inputs[i] for i in INTEGER_OPS[node.kind] if i < len(node.inputs)], 1)
        readers = [n for n in self.readers.get(name, []) if n.kind == DEQUANTIZE and n.inputs[0] == name]
        return self.affine(readers[0].inputs[1:3], readers[0].axis) if readers else None

    def affine(self, names, axis):
        scales = self.numbers(names[0])
        points = self.numbers(names[1]) if len(names) > 1 and names[1] else [0]
        if not scales or points is None:
            return None
        return {"scales": scales, "zero_points": points, "axis": None if len(scales) == 1 else axis}

    def numbers(self, name):
        """Values of a small constant of f32 or of an integer of 8 to 32 bits; None when it is none."""
        span = self.constants.get(name)
        if span is None:
            return None
        parts, floats, integers = {}, b"", []
        for number, value in fields(self.data, *span):
            parts[number] = value
            if number == 4:
                floats += bytes(self.data[value[0] : value[1]])
            elif number == 5:
                integers += varints(self.data, value)
        code = NUMBERS.get(parts.get(2))
        if code is None:
            return None
        body = bytes(self.data[parts[9][0] : parts[9][1]]) if 9 in parts else floats
        return list(struct.unpack("<%d%s" % (len(body) // struct.calcsize(code), code), body)) or integers or None


def varints(data, value):
    """Numbers of a repeated int32 field, packed or not."""
    numbers = [value] if isinstance(value, int) else []
    at, end = (0, 0) if numbers else value
    while at < end:
        number, at = varint(data, at)
        numbers.append(number)
    return [n - 2**64 if n >= 2**63 else n for n in numbers]


def length_delimited(number, body):
    size, head = len(body), bytearray([number << 3 | 2])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def mark_outputs(path, size, names):
    """Makes `names` outputs of the model at `path`, whose own content is its first `size` bytes.

    A second `graph` field behind a protobuf message is merged into the first, so nothing is rewritten.
    """
    rows = [length_delimited(12, length_delimited(1, name.encode("utf-8"))) for name in names]
    with open(path, "r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(length_delimited(7, b"".join(rows)))
