"""The catalogue of faults and their notation: `kind@op[:key=value,...]`, several with `;` between them.

`op` is an op or a tensor of the logical graph; for input faults a model input; for tool faults a subcommand
(what the vendor's room says: `infer` and `perf`, or `release` and `debug`) or nothing. Names that hold `;` cannot be
written.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from harness.emulator.model import fault_kinds as kinds
from harness.emulator.model import op_mistakes as mistakes
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.model.fault_kinds import Array, FaultContext, FaultFunction, FaultKind, tool
from harness.emulator.model.op_graph import CannotApply
from harness.emulator.rooms import in_turn, own_rooms, rooms
from harness.errors import UserError

ENVIRONMENT = "HARNESS_EMULATOR_FAULTS"


def _op(name: str, doc: str, function: FaultFunction, **args: str) -> FaultKind:
    return FaultKind(name, "op", doc, args, function)


def _inside(name: str, doc: str, function: FaultFunction, **args: str) -> FaultKind:
    return FaultKind(name, "op", doc, args, function, inside=True)


def _frame(name: str, doc: str, function: FaultFunction) -> FaultKind:
    return FaultKind(name, "op", doc, {}, function, needs_previous=True)


def _input(name: str, doc: str, function: FaultFunction, **args: str) -> FaultKind:
    return FaultKind(name, "input", doc, args, function)


_SHARED: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        _op("one_value", "One element is wrong.", kinds.one_value, index="flat index", by="steps"),
        _op("off_by_one", "Every element is one step too large.", kinds.off_by_one),
        _op("halved", "Every element is half of what it should be.", kinds.halved),
        _op("permuted", "All elements are shuffled.", kinds.permuted),
        _op("zeroed_column", "One index of the last axis is zero.", kinds.zeroed_column, index="which, default last"),
        _inside(
            "shift",
            "Every element is multiplied by a power of two before rounding.",
            kinds.shift,
            by="bits, default 1",
        ),
        _inside(
            "scale",
            "Every element is multiplied by a factor before rounding.",
            kinds.scale,
            by="factor, default 1.1",
        ),
        _inside(
            "zero_point",
            "Every element is off by a constant before rounding.",
            kinds.zero_point,
            by="steps, default 3",
        ),
        _op(
            "saturation", "Large elements are clipped too early.", kinds.saturation, at="share of the peak, default 0.6"
        ),
        _op("rounding", "Some elements are one step off, up or down.", kinds.rounding, share="default 0.2"),
        _op("permutation", "Channels are in the wrong order.", kinds.permutation),
        _op("layout", "NHWC data is read as NCHW.", kinds.layout),
        _op("stride", "Rows are read with the wrong stride.", kinds.stride, by="elements per row, default 1"),
        _op("padding_leak", "Padded rows are read as if they were dense.", kinds.padding_leak),
        _op("tile", "A block of rows and columns holds its neighbour's data.", kinds.tile, size="side, default 8"),
        _frame("cache_line", "One 64 byte line of memory holds an earlier frame.", kinds.cache_line),
        _frame("page", "One 4 KiB page of memory holds an earlier frame.", kinds.page),
        _frame("stale", "The whole tensor is an earlier frame's.", kinds.stale),
        _op("dead_channel", "One channel is all zero.", kinds.dead_channel, index="which"),
        _op("nan", "Elements are NaN (float ops only).", kinds.nan, count="how many, default 1"),
        _op("inf", "Elements are infinite (float ops only).", kinds.inf, count="how many, default 1"),
        _op("nibble_swap", "The two nibbles of every byte are swapped.", kinds.nibble_swap),
        _op("nondeterminism", "A few elements differ, others at each run.", kinds.nondeterminism, share="default 0.05"),
        FaultKind(
            "debug_differs", "op", "Off by one step in the debug run only.", {}, kinds.off_by_one, debug_only=True
        ),
        _inside("bias_dropped", "The op adds no bias.", mistakes.bias_dropped),
        _inside(
            "channel_scale",
            "Every output channel has the weight scale of its neighbour.",
            mistakes.channel_scale,
        ),
        _inside(
            "channel_weights",
            "One output channel has its neighbour's weights.",
            mistakes.channel_weights,
            index="which",
        ),
        _inside("wrong_pads", "Padding is at the end, not at the beginning.", mistakes.wrong_pads),
        _inside("wrong_axis", "A softmax runs along another axis.", mistakes.wrong_axis),
        _inside("clip_missing", "The op's Relu or Clip is left out.", mistakes.clip_missing),
        _inside("resize_mode", "Linear instead of nearest, or the reverse.", mistakes.resize_mode),
        _inside(
            "epsilon",
            "A normalization has another epsilon.",
            mistakes.epsilon,
            by="default 0.01",
        ),
        _inside("truncation", "Results are cut to the step below, not rounded.", mistakes.truncation),
        _frame("stale_item", "The last item of a batch is an earlier frame's.", mistakes.stale_item),
        _input("wrong_mean", "The input is preprocessed with another mean.", kinds.wrong_mean, by="default 10"),
        _input("wrong_scale", "The input is preprocessed with another scale.", kinds.wrong_scale, by="default 1.2"),
        _input("colour_order", "Colour channels of the input are swapped.", kinds.colour_order),
        _input("letterbox", "The picture is at one side of its frame instead of centred.", kinds.letterbox),
        _input("limited_range", "NV12 of limited range (16 to 235) for full range.", mistakes.limited_range),
        _input("i420", "I420 is read as NV12.", mistakes.i420),
        FaultKind(
            "swapped_inputs",
            "inputs",
            "Two inputs are swapped (swapped_inputs@first:with=second).",
            {"with": "input"},
        ),
        tool("crash", "The tool crashes with a segmentation fault."),
        tool("hang", "The tool hangs."),
        tool("garbage", "The tool prints binary garbage and exits with 0."),
        tool("missing_file", "The tool exits with 0 but leaves no result file."),
        tool("truncated_dump", "The last dump (or profiler.log) is truncated."),
        tool("wrong_version", "Runtime and model builder versions differ: the vendor's warning, then a normal run."),
        tool("wrong_march", "The model is rejected as built for another march."),
        tool("no_space", "Writing a file fails: no space left on device."),
        FaultKind("slow", "step", "One step or op takes longer (slow@step:by=3).", {"by": "factor, default 3"}),
    )
}


def kind_named(name: str) -> FaultKind | None:
    """The kind of that name, None where there is none; packages are asked only for one that is not harness's own."""
    if name in _SHARED:
        return _SHARED[name]
    return next((kind for room in in_turn() for kind in room.faults() if kind.name == name), None)


def catalogue() -> dict[str, FaultKind]:
    """Every kind by name: those of all boards, then those that only one vendor's tools have."""
    return _SHARED | {kind.name: kind for room in rooms().values() for kind in room.faults()}


@dataclass(frozen=True)
class Fault:
    """One fault, resolved against a model. `tensor` is the logical tensor that an op's fault changes."""

    text: str
    kind: str
    target: str
    args: Mapping[str, str]
    tensor: str = ""
    seed: int = 0

    @property
    def where(self) -> str:
        """What `target` is: "op", "input", "inputs", "tool" or "step"."""
        return self._known.where

    @property
    def debug_only(self) -> bool:
        """Whether it is planted in the debug run alone."""
        return self._known.debug_only

    @property
    def needs_previous(self) -> bool:
        """Whether it takes values of an earlier frame."""
        return self._known.needs_previous

    @property
    def inside(self) -> bool:
        """Whether it is made inside the op, before the result is rounded."""
        return self._known.inside

    @property
    def function(self) -> FaultFunction | None:
        """What changes the tensor; None of a fault of a tool."""
        return self._known.function

    @property
    def _known(self) -> FaultKind:
        kind = kind_named(self.kind)
        assert kind is not None, self.kind
        return kind

    def number(self, key: str, default: float) -> float:
        """A numeric argument. Errors: UserError for a value that is no number."""
        try:
            return float(self.args.get(key, default))
        except ValueError:
            raise UserError(f"fault {self.text!r}: {key}={self.args[key]!r} is not a number") from None


# --------------------------------------------------------------------------- notation


def parse_faults(text: str, model: CompiledModel | None = None) -> tuple[Fault, ...]:
    """Faults of a notation. Errors: UserError for an unknown kind, op, input or argument, with near names.

    Without a model only tool faults are resolved; the others are checked for their kind alone.
    """
    return tuple(_parse(part.strip(), model) for part in text.split(";") if part.strip())


def _parse(text: str, model: CompiledModel | None) -> Fault:
    head, at, rest = text.partition("@")
    name, _, bare_args = head.partition(":")
    kind = kind_named(name)
    if kind is None:
        raise UserError(f"fault {text!r}: unknown kind {name!r}", _near(name, catalogue()))
    targets = _targets(kind, model, rest.partition(":")[0])
    target, args = _split(rest, targets) if at else ("", bare_args)
    fault = Fault(text, name, target, _arguments(text, kind, args), seed=zlib.crc32(text.encode()))
    _check_target(fault, kind, targets)
    return _with_tensor(fault, kind, model)


def _split(rest: str, targets: Sequence[str] | None) -> tuple[str, str]:
    """`op[:args]`; a known name that holds `:` is taken whole."""
    if targets and rest in targets:
        return rest, ""
    target, _, args = rest.rpartition(":") if ":" in rest else (rest, "", "")
    return target, args


def _arguments(text: str, kind: FaultKind, args: str) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in args.split(","))):
        key, equals, value = part.partition("=")
        if not equals and len(kind.args) == 1:
            key, value = next(iter(kind.args)), part
        if key not in (*kind.args, "seed"):
            raise UserError(
                f"fault {text!r}: {kind.name} has no argument {key!r}", f"known: {', '.join((*kind.args, 'seed'))}"
            )
        arguments[key] = value
    return arguments


def _subcommands(target: str) -> list[str]:
    """As what the emulated tools are run; those of packages only where another is asked for."""
    own = [word for room in own_rooms().values() for word in room.subcommands]
    return own if target in own else [word for room in rooms().values() for word in room.subcommands]


def _targets(kind: FaultKind, model: CompiledModel | None, target: str) -> list[str] | None:
    if kind.where == "tool":
        return _subcommands(target)
    if model is None:
        return None
    if kind.where == "op":
        folded = [name for op in model.ops for name in op.covers if name != op.name]
        return [op.name for op in model.ops] + [t.name for t in model.tensors if not t.is_input] + folded
    if kind.where == "step":
        return [step.name for step in model.steps] + [op.name for op in model.ops]
    return [i.name for i in model.inputs]


def _check_target(fault: Fault, kind: FaultKind, targets: Sequence[str] | None) -> None:
    if not fault.target and kind.where != "tool":
        raise UserError(
            f"fault {fault.text!r}: target missing", f"use {kind.name}@NAME, where NAME is the name of the {kind.where}"
        )
    if fault.target and targets is not None and fault.target not in targets:
        what = {"op": "op or tensor", "tool": "subcommand", "step": "step or op"}.get(kind.where, "input")
        raise UserError(f"fault {fault.text!r}: no {what} {fault.target!r}", _near(fault.target, targets))


def _with_tensor(fault: Fault, kind: FaultKind, model: CompiledModel | None) -> Fault:
    if model is None or kind.where != "op":
        return fault
    op = next((op for op in model.ops if op.name == fault.target), None)
    made = any(t.name == fault.target for t in model.tensors)
    if op is None and not made:  # a node folded into an op stands for it
        op = next((op for op in model.ops if fault.target in op.covers), None)
    tensor = op.outputs[0] if op else fault.target
    return Fault(fault.text, fault.kind, fault.target, fault.args, tensor, fault.seed)


def _near(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    return f"did you mean {', '.join(map(repr, near))}?" if near else f"known: {', '.join(list(known)[:20])}"


# --------------------------------------------------------------------------- application


def apply_fault(fault: Fault, value: Array, scene: FaultContext) -> Array:
    """The changed tensor. Errors: UserError where the fault makes no sense for it."""
    function = fault.function
    assert function is not None
    args = {key: fault.number(key, 0.0) for key in fault.args}
    rng = np.random.default_rng([fault.seed, int(args.pop("seed", 0))])
    try:
        return function(value, scene, args, rng)
    except CannotApply as error:
        raise UserError(f"fault {fault.text!r}: {error}") from None


def plant_in_inputs(faults: Sequence[Fault], feed: dict[str, Array], model: CompiledModel) -> dict[str, Array]:
    """The feed with its input faults. Errors: UserError where a fault makes no sense for an input."""
    specs = {item.name: item.spec for item in model.inputs}
    for fault in faults:
        if fault.where == "input":
            scene = FaultContext(specs[fault.target], specs[fault.target])
            feed[fault.target] = apply_fault(fault, feed[fault.target], scene)
        elif fault.where == "inputs":
            _swap(fault, feed)
    return feed


def _swap(fault: Fault, feed: dict[str, Array]) -> None:
    other = fault.args.get("with", "")
    if other not in feed:
        raise UserError(f"fault {fault.text!r}: second input missing", f"write {fault.kind}@{fault.target}:with=NAME")
    if feed[other].shape != feed[fault.target].shape or feed[other].dtype != feed[fault.target].dtype:
        raise UserError(f"fault {fault.text!r}: {fault.target!r} and {other!r} are not of one shape and type")
    feed[fault.target], feed[other] = feed[other], feed[fault.target]
