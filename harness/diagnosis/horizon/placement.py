"""Why an op of a Horizon model runs on the CPU: the build log's own word first, then the rules of the march.

Sources: the J5 FAQ of the vendor's toolchain (passive ops, int32 Conv at the tail, precision first), the operator
lists of RDK X3, Ultra and X5 (default CPU ops, ops that no BPU of a march takes), messages of the X3/Ultra FAQ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnosis.rules import OffView, WhyOff
from harness.platforms.horizon.op_lists import CPU_ONLY
from harness.platforms.horizon.options import chip_named
from harness.profiling.ordering import word
from harness.records import Message

PASSIVE = frozenset(("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"))
PASSIVE_MARCHES = ("bayes", "bayes-e")  # bernoulli2 has these ops on the CPU, nash on the BPU
_COMPARISONS = frozenset(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Min"))
# On the CPU unless the yaml puts them on the BPU.
DEFAULT_CPU = {
    "bernoulli2": frozenset(("Softmax",)),
    "bayes": frozenset(("Softmax",)) | _COMPARISONS,
    "bayes-e": frozenset(("Softmax",)) | _COMPARISONS,
}
_HAND_OVER = "ask for the BPU with run_on_bpu or node_info, and check the accuracy: it may cost some"
_FORCED = re.compile(r"designated to run on the cpu|^(?:run_on_cpu|node_info)\b", re.IGNORECASE)
_LIMIT = re.compile(r"expects? data shape range|expects? be \d+ dimensions|will be executed on CPU")
_UNSUPPORTED = re.compile(r"Unsupported op")
_INT32_TAIL = frozenset(("Relu", "Relu6", "Clip"))
_CONVOLUTIONS = ("Conv", "SQuantizedConv", "QuantizedConv")


def why_off(op: OffView) -> WhyOff | None:
    """The reason with its evidence; None for another vendor's board, and where nothing tells."""
    if op.platform not in ("hbdnn", "ucp"):
        return None
    for rule in (_forced, _limit, _unsupported_line, _tail, _passive, _default, _unsupported):
        answer = rule(op)
        if answer is not None:
            return answer
    return None


def march_of(op: OffView) -> str:
    """The build's, or the chip's."""
    chip = chip_named(op.soc)
    return op.march or (chip.march if chip else "")


def kind_of(kind: str) -> str:
    """An op type without the toolchain's own prefix."""
    return kind.removeprefix("Hz")


# --------------------------------------------------------------------------- the log's own words


def _lines(op: OffView, pattern: re.Pattern[str]) -> Iterator[Message]:
    return (one for one in (op.plan.messages if op.plan else ()) if pattern.search(one.text))


def _is_named(op: OffView, message: Message) -> bool:
    """Whether a line names the node: as its subject, or in quotes or after a separator of its list."""
    names = {word(name) for name in re.findall(r"[^\s'\"\[\](),;:{}]+", message.text)}
    return word(op.name) in names or (bool(message.subject) and word(op.name) == word(message.subject))


def _forced(op: OffView) -> WhyOff | None:
    for line in _lines(op, _FORCED):
        if _is_named(op, line):
            why = "the configuration puts it on the CPU"
            return WhyOff("forced", why, "take it out of run_on_cpu or node_info", line.text, line.line)
    return None


def _limit(op: OffView) -> WhyOff | None:
    for line in _lines(op, _LIMIT):
        if _is_named(op, line):
            why = "a shape is over a limit of the BPU"
            advice = "change the shape in the model: split the tensor, or fold dimensions, to the range the log names"
            return WhyOff("limit", why, advice, line.text, line.line)
    return None


def _unsupported_line(op: OffView) -> WhyOff | None:
    for line in _lines(op, _UNSUPPORTED):
        if word(line.subject) in (word(op.name), word(op.kind), word(kind_of(op.kind))):
            return _not_taken(op, line.text, line.line)
    return None


# --------------------------------------------------------------------------- the march's rules


def _tail(op: OffView) -> WhyOff | None:
    """J5 and its kin: only a Conv gives int32, it takes no ReLU along then, and at the tail precision comes first."""
    kind, march = kind_of(op.kind), march_of(op)
    if op.place != "tail" or march != "bayes" or kind in CPU_ONLY[march] | DEFAULT_CPU[march] | PASSIVE:
        return None
    before = [kind_of(other) for side, _, other, _ in op.neighbours if side == "before"]
    if kind in _INT32_TAIL and any(one in _CONVOLUTIONS for one in before):
        why = f"at the tail the Conv before it gives int32, which cannot take a {kind} along"
        return WhyOff("tail", why, _HAND_OVER)
    return WhyOff("tail", "at the tail ops that the BPU could run stay on the CPU: precision comes first", _HAND_OVER)


def _passive(op: OffView) -> WhyOff | None:
    """Ops that move data follow their neighbours."""
    kind, march = kind_of(op.kind), march_of(op)
    if kind not in PASSIVE or march not in PASSIVE_MARCHES:
        return None
    rule = f"{kind} is passive on {march}: it stays on the BPU only between BPU ops"
    others = [f"{name} ({of})" for _, name, of, unit in op.neighbours if unit and unit != "BPU"]
    sides = {side for side, *_ in op.neighbours}
    ends = [words for side, words in (("before", "an input"), ("behind", "an output")) if side not in sides]
    why = rule
    if others:
        why = f"{rule}, and {others[0]} beside it is not one"
    elif op.neighbours and ends:
        why = f"{rule}, and it stands at {ends[0]} of the model"
    advice = "move its neighbour to the BPU and it follows; replacing the op itself changes nothing"
    return WhyOff("passive", why, advice)


def _default(op: OffView) -> WhyOff | None:
    kind, march = kind_of(op.kind), march_of(op)
    if kind not in DEFAULT_CPU.get(march, ()):
        return None
    return WhyOff("default", f"{kind} runs on the CPU by default on {march}", _HAND_OVER)


def _unsupported(op: OffView) -> WhyOff | None:
    march = march_of(op)
    if kind_of(op.kind) in CPU_ONLY.get(march, ()) or (march == "bernoulli2" and kind_of(op.kind) in PASSIVE):
        return _not_taken(op)
    return None


def _not_taken(op: OffView, line: str = "", number: int = 0) -> WhyOff:
    why = f"{kind_of(op.kind) or 'this op'} is not an op of the BPU" + (f" on {march_of(op)}" if march_of(op) else "")
    advice = "replace it by ops that the BPU takes, or move it to the start or end of the network"
    return WhyOff("unsupported", why, advice, line, number)
