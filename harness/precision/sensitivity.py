"""What each op's int8 costs the outputs: one op at a time quantized, and one at a time kept in float.

Ops are gone through in execution order. What lies before an op is computed once, sample by sample, and only what later
ops still need of it is held; what lies behind it is run for every question. So memory stays flat, and on average half
of the network is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from harness.emulator.model.execute import open_session
from harness.precision.levels import Level, OutputSums
from harness.precision.prepared import Feed, PreparedModel
from harness.precision.switches import FLOAT, INT8, Setting, Switch, SwitchGraph
from harness.records.callbacks import ProgressCallback

Array = NDArray[Any]
TaskScore = Callable[[Sequence[Mapping[str, Array]]], float | None]  # of the outputs of all samples, in their order
THREADS = 2  # samples that run side by side
MODES = ("alone", "without", "features", "weights")  # the questions about one op, in the words of the record
NO_TASK: TaskScore = lambda outputs: None  # noqa: E731


@dataclass(frozen=True)
class OutputAnswer:
    """Levels of the outputs, by name, and the task's metric; of the op's own output too where it was asked for."""

    outputs: Mapping[str, Level]
    task: float | None = None
    own: Level | None = None


@dataclass(frozen=True)
class OpSensitivity:
    """One op. `alone`: only it in int8; `without`: all others in int8; `features`, `weights`: only those of it.

    `own_db` is the level of what it makes where only it is in int8, `cumulative_db` where everything before is too.
    """

    name: str
    kind: str
    unit: str
    place: int
    answers: Mapping[str, OutputAnswer] = field(default_factory=dict)
    own_db: float | None = None
    cumulative_db: float | None = None


@dataclass(frozen=True)
class Sensitivity:
    """Of a whole model: everything in int8, the task of the float model, and op by op."""

    baseline: OutputAnswer
    float_task: float | None
    ops: tuple[OpSensitivity, ...]


class Kept:
    """Answers of an earlier, interrupted measurement, by op and mode; `keep` is called with every new one."""

    def __init__(
        self, answers: Mapping[tuple[str, str], OutputAnswer], keep: Callable[[str, str, OutputAnswer], None]
    ) -> None:
        self.answers, self.keep = answers, keep


NOTHING_KEPT = Kept({}, lambda name, mode, answer: None)


def measure(
    subject: PreparedModel,
    step: ProgressCallback,
    task: TaskScore = NO_TASK,
    kept: Kept = NOTHING_KEPT,
    modes: Sequence[str] = MODES,
) -> Sensitivity:
    """Every op that the accelerator quantizes. `modes` are the questions that are asked.

    `step` is called once an op. Errors: those of onnxruntime are faults of this code: the model was run before.
    """
    graph = subject.switches()
    walk = Walk(graph, subject.feeds, task)
    baseline = walk.ask(walk.quantized, 0, lambda place: INT8)
    ops = []
    for place, op in enumerate(graph.ops):
        step(op.node.name, place, len(graph.ops))
        unit = subject.placements[op.node.name].unit
        if op.has_quantizer:
            answers = dict(_answers(walk, place, kept, modes))
            own_db, cumulative_db = walk.levels_at(place)
            ops.append(OpSensitivity(op.node.name, op.node.op_type, unit, place, answers, own_db, cumulative_db))
        walk.advance(place)
    step("", len(graph.ops), len(graph.ops))
    return Sensitivity(baseline, task(walk.exact), tuple(ops))


def _answers(walk: Walk, place: int, kept: Kept, modes: Sequence[str]) -> Iterator[tuple[str, OutputAnswer]]:
    name = walk.graph.ops[place].node.name
    for mode in walk.modes(place):
        if mode not in modes:
            continue
        answer = kept.answers.get((name, mode))
        if answer is None:
            answer = walk.answer(place, mode)
            kept.keep(name, mode, answer)
        yield mode, answer


class Walk:
    """The place in execution order that was reached, and the tensors that cross it: in float, and all in int8."""

    def __init__(self, graph: SwitchGraph, feeds: Sequence[Feed], task: TaskScore) -> None:
        self.graph, self.task = graph, task
        self.last = graph.last_use()
        self.floats = [dict(feed) for feed in feeds]
        self.quantized = [dict(feed) for feed in feeds]
        self.exact: list[dict[str, Array]] = []
        self.exact = self._outputs(self.floats, 0, lambda place: FLOAT)

    def modes(self, place: int) -> Iterator[str]:
        """The questions that make sense for an op."""
        op = self.graph.ops[place]
        yield from ("alone", "without")
        if op.features and op.weights:
            yield from ("features", "weights")

    def answer(self, place: int, mode: str) -> OutputAnswer:
        """What the outputs lose by the op, or by all others."""
        if mode == "without":
            return self.ask(self.quantized, place, lambda other: FLOAT if other == place else INT8)
        parts = {"features": Switch(features=True), "weights": Switch(weights=True)}
        switch = parts.get(mode, INT8)
        return self.ask(self.floats, place, lambda other: switch if other == place else FLOAT)

    def ask(self, feeds: Sequence[Feed], start: int, setting: Setting) -> OutputAnswer:
        """Levels of the outputs, of the ops from `start` on with their quantizers set so."""
        outputs, sums = self._outputs(feeds, start, setting), OutputSums()
        for given, exact in zip(outputs, self.exact, strict=True):
            sums.add(given, exact)
        return OutputAnswer(sums.levels(), self.task(outputs))

    def _outputs(self, feeds: Sequence[Feed], start: int, setting: Setting) -> list[dict[str, Array]]:
        model, fed = self.graph.behind(start, setting)
        session = open_session(model.SerializeToString())
        ends = [one.name for one in session.get_outputs()]

        def run(feed: Feed) -> dict[str, Array]:
            values = session.run(ends, {name: feed[name] for name in fed})
            by_name = dict(zip(ends, values, strict=True))
            return {name: by_name[self.graph.end(name, setting)] for name in self.graph.outputs}

        return list(side_by_side(run, feeds))

    def levels_at(self, place: int) -> tuple[float | None, float | None]:
        """(the op's own output in int8 alone, and with everything before it), in dB; None where it makes no floats."""
        exact, alone = self._made(self.floats, place, FLOAT), self._made(self.floats, place, INT8)
        all_int8 = self._made(self.quantized, place, INT8)
        levels = []
        for given in (alone, all_int8):
            sums = OutputSums()
            for one, wanted in zip(given, exact, strict=True):
                sums.add(one, wanted)
            levels.append(min((level.sqnr_db for level in sums.levels().values()), default=None))
        return levels[0], levels[1]

    def _made(self, feeds: Sequence[Feed], place: int, switch: Switch) -> list[dict[str, Array]]:
        model, fed = self.graph.alone(place, switch)
        session = open_session(model.SerializeToString())
        names = [one.name for one in session.get_outputs()]

        def run(feed: Feed) -> dict[str, Array]:
            return dict(zip(names, session.run(names, {name: feed[name] for name in fed}), strict=True))

        return list(side_by_side(run, feeds))

    def advance(self, place: int) -> None:
        """Compute the op in both graphs, and let go of what nothing behind it needs."""
        for feeds, switch in ((self.floats, FLOAT), (self.quantized, INT8)):
            for feed, made in zip(feeds, self._made(feeds, place, switch), strict=True):
                feed.update(made)
                for name in [name for name in feed if self.last.get(name, -1) <= place]:
                    del feed[name]


def side_by_side(run: Callable[[Feed], dict[str, Array]], feeds: Sequence[Feed]) -> Iterator[dict[str, Array]]:
    """The run of every sample, in their order, two at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(run, feeds)
