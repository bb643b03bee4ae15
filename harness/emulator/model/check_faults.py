"""Faults held against a model on this PC, before a board is touched: what would only fail there is said here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from harness.emulator.model.compiled import CompiledModel
from harness.emulator.model.fault_kinds import Array, FaultContext
from harness.emulator.model.faults import Fault, apply_fault, parse_faults, plant_in_inputs
from harness.emulator.model.layout import NUMPY
from harness.emulator.model.op_graph import Change
from harness.emulator.model.splice import changed_at
from harness.emulator.rooms import room_of_march, rooms
from harness.errors import UserError
from harness.records import TensorSpec

_WHOLE = ("index", "count", "size", "seed")
_SHARES = ("share", "at")
_MOST_TRIED = 60  # other ops, when a hint is looked for
_MOST_NAMED = 5
_MOST_ELEMENTS = 1 << 20  # of an op that is tried for a hint alone


def check_faults(text: str, model: CompiledModel, graph: bytes = b"") -> tuple[Fault, ...]:
    """The faults of a notation, each tried on a tensor of the shape and type that it will meet.

    `graph` is the model's own: with it, what is made inside an op is tried there.
    Errors: UserError for a kind, name, argument, index or shape that cannot be, with what can.
    """
    faults = parse_faults(text, model)
    for fault in faults:
        _check_family(fault, model)
        _check_arguments(fault)
        _try(fault, model, graph)
    return faults


def _check_family(fault: Fault, model: CompiledModel) -> None:
    """A fault of a tool that this board does not have would be planted and never seen."""
    if fault.where != "tool":
        return
    own = room_of_march(model.march)
    others = [room for room in rooms().values() if room is not own]
    if fault.kind in [kind.name for room in others for kind in room.faults()]:
        raise UserError(f"fault {fault.text!r}: not supported by this board's tools", "see: harness emulator faults")
    if fault.target in [word for room in others for word in room.subcommands if word not in own.subcommands]:
        raise UserError(
            f"fault {fault.text!r}: this board's tool has no subcommand {fault.target!r}",
            f"use {fault.kind}@NAME with one of: {', '.join(own.subcommands)}",
        )


def _check_arguments(fault: Fault) -> None:
    for key in fault.args:
        if key == "with":
            continue
        value = fault.number(key, 0.0)
        if not np.isfinite(value) or (key in _WHOLE and value != int(value)):
            wanted = "a whole number" if key in _WHOLE else "a finite number"
            raise UserError(f"fault {fault.text!r}: {key}={fault.args[key]} is not {wanted}")
        if key in _SHARES and not 0 <= value <= 1:
            raise UserError(f"fault {fault.text!r}: {key}={fault.args[key]} must be 0 to 1")
        if (fault.kind == "slow" and key == "by" and value <= 0) or (key in ("count", "size") and value < 1):
            raise UserError(f"fault {fault.text!r}: {key}={fault.args[key]} is too small", f"{key} must be above 0")


# --------------------------------------------------------------------------- trial


def _try(fault: Fault, model: CompiledModel, graph: bytes) -> None:
    if fault.where in ("input", "inputs"):
        _try_inputs(fault, model)
    elif fault.where == "op":
        try:
            _apply(fault, model, graph)
        except UserError as error:
            raise UserError(error.message, error.hint or _hint(fault, model, graph)) from None


def _try_inputs(fault: Fault, model: CompiledModel) -> None:
    feed = {item.name: dummy(item.spec) for item in model.inputs}
    other = fault.args.get("with", "")
    if fault.where == "inputs" and other and other not in feed:
        near = get_close_matches(other, feed, n=3)
        known = f"did you mean {', '.join(near)}?" if near else f"inputs: {', '.join(feed)}"
        raise UserError(f"fault {fault.text!r}: no input {other!r}", known)
    if other == fault.target and fault.where == "inputs":
        raise UserError(f"fault {fault.text!r}: an input cannot be swapped with itself")
    plant_in_inputs([fault], feed, model)


def _apply(fault: Fault, model: CompiledModel, graph: bytes) -> None:
    tensor = model.tensor(fault.tensor)
    previous = dummy(tensor.spec, 1) if fault.needs_previous else None

    def recompute(change: Change) -> Array:
        changed_at(graph, model, fault.tensor, [change])
        return dummy(tensor.spec)

    scene = FaultContext(tensor.stored, tensor.spec, previous, recompute if graph else None)
    apply_fault(fault, dummy(tensor.spec), scene)


def dummy(spec: TensorSpec, seed: int = 0) -> Array:
    """Seeded values of a tensor's shape and type."""
    kind = np.dtype(NUMPY[spec.dtype])
    rng = np.random.default_rng(seed)
    if kind.kind == "f":
        return rng.standard_normal(spec.shape).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, spec.shape).astype(kind)
    return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, spec.shape, kind, endpoint=True)


def _hint(fault: Fault, model: CompiledModel, graph: bytes) -> str:
    """Where else in this model the same fault makes sense."""
    fitting = list(_fitting(fault, model, _others(fault, model), graph))
    more = ", ..." if len(fitting) > _MOST_NAMED else ""
    return f"{fault.kind} can be injected at: {', '.join(fitting[:_MOST_NAMED])}{more}" if fitting else ""


def _others(fault: Fault, model: CompiledModel) -> Sequence[str]:
    names = [op.name for op in model.ops if fault.target not in (op.name, *op.outputs)]
    near = get_close_matches(fault.target, names, n=_MOST_NAMED, cutoff=0.3)
    return [*near, *(name for name in names if name not in near)][:_MOST_TRIED]


def _fitting(fault: Fault, model: CompiledModel, names: Sequence[str], graph: bytes) -> Iterator[str]:
    outputs = {op.name: op.outputs[0] for op in model.ops if op.outputs}
    for name in names:
        if name in outputs and np.prod(model.tensor(outputs[name]).spec.shape, dtype=np.int64) <= _MOST_ELEMENTS:
            try:
                _apply(replace(fault, target=name, tensor=outputs[name]), model, graph)
            except UserError:
                continue
            yield name
