"""Networks of any size as graphs, and runs of them: right ones, and with one op wrong and what follows from it."""

from __future__ import annotations

import dataclasses

from harness.records import Graph, Layer, Op, Origin, Verdict
from tests.support import fixtures_run as runs
from tests.support.fixtures_layers import (
    column_fingerprint,
    comparison_of,
    error_map,
    exact_metrics,
    layer,
    wrong_metrics,
)


class Building:
    """Ops one after another: each reads tensors by name and makes one that is called after it."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def op(self, name: str, kind: str, *inputs: str) -> str:
        made = f"{name}_output_0"
        self.ops.append(Op(name, kind, inputs, (made,)))
        return made

    def graph(self) -> Graph:
        read = {name for op in self.ops for name in op.inputs}
        made = [name for op in self.ops for name in op.outputs]
        return Graph(tuple(self.ops), ("images",), tuple(name for name in made if name not in read), "network.onnx")


def detector(count: int) -> Graph:
    """At least `count` ops named as a detector's are: blocks that split and join, skips over half of the network."""
    net, at, block = Building(), "images", 0
    skips: list[str] = []
    while len(net.ops) < count:
        own = f"/model.{block}"
        at = _conv(net, f"{own}/cv1", at)
        first = net.op(f"{own}/Split", "Split", at)
        kept = [first]
        for turn in range(2):
            inner = _conv(net, f"{own}/m.{turn}/cv1", kept[-1])
            kept.append(net.op(f"{own}/m.{turn}/Add", "Add", kept[-1], _conv(net, f"{own}/m.{turn}/cv2", inner)))
        if block % 3 == 2:
            skips.append(at)
        elif block % 3 == 0 and skips and len(net.ops) > count / 2:
            kept.append(skips.pop())
        at = _conv(net, f"{own}/cv2", net.op(f"{own}/Concat", "Concat", *kept))
        block += 1
    return net.graph()


def _conv(net: Building, name: str, read: str) -> str:
    conv = net.op(f"{name}/conv/Conv", "Conv", read)
    return net.op(f"{name}/act/Mul", "Mul", conv, net.op(f"{name}/act/Sigmoid", "Sigmoid", conv))


def flat(count: int) -> Graph:
    """Ops whose names tell nothing: `Conv_12`; every third one skips two."""
    net, made = Building(), ["images"]
    for place in range(count):
        kind = ("Conv", "Relu", "Add")[place % 3]
        more = (made[-3],) if kind == "Add" else ()
        made.append(net.op(f"{kind}_{place}", kind, made[-1], *more))
    return net.graph()


def exact_run(graph: Graph) -> runs.Run:
    rows = _rows(graph)
    verdict = Verdict("consistent", f"{len(rows)} of {len(rows)} layers are equal, byte for byte", 0)
    return _with_graph(runs.with_comparison(runs.base_run(), comparison_of(verdict, rows), graph=False), graph)


def wrong_run(graph: Graph, wrong: int) -> runs.Run:
    """The op at that place is wrong, and all that reads of it."""
    rows = _rows(graph)
    tainted = set(graph.ops[wrong].outputs)
    for place, op in enumerate(graph.ops):
        if place == wrong or tainted.intersection(op.inputs):
            tainted |= set(op.outputs)
            role = "origin" if place == wrong else "propagated"
            metrics = wrong_metrics(14.0 + place % 25)
            rows[place] = dataclasses.replace(rows[place], verdict="differs", role=role, metrics=metrics)
    first = rows[wrong]
    origin = Origin(first.op, first.op_kind, first.name, fingerprint=column_fingerprint())
    verdict = Verdict("diverges", f"{first.op} ({first.op_kind}) is the first op that is wrong", 1)
    comparison = comparison_of(verdict, rows, origins=(origin,), pictures={first.name: {"map": error_map()}})
    return _with_graph(runs.with_comparison(runs.base_run(), comparison, graph=False), graph)


def _rows(graph: Graph) -> list[Layer]:
    outputs = set(graph.outputs)
    return [
        dataclasses.replace(
            layer(place), name=op.outputs[0], op=op.name, op_kind=op.kind, metrics=exact_metrics(),
            is_output=op.outputs[0] in outputs,
        )
        for place, op in enumerate(graph.ops)
    ]  # fmt: skip


def _with_graph(run: runs.Run, graph: Graph) -> runs.Run:
    run["graph"] = dataclasses.asdict(graph)
    return run
