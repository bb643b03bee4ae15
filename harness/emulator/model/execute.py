"""Runs a compiled model with onnxruntime, faults included, exactly as a reference run computes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulator.model.compiled import CompiledFile, CompiledModel
from harness.emulator.model.fault_kinds import FaultContext
from harness.emulator.model.faults import Fault, apply_fault, plant_in_inputs
from harness.emulator.model.op_graph import Change
from harness.errors import InputError
from harness.reference.onnx_runtime import onnxruntime as ort

Array = NDArray[Any]
TIMES_ONLY_HINT = "build it without --times-only, or run it with --mode profile"


def open_session(graph: bytes) -> ort.InferenceSession:
    """One thread, graph optimizations off: the reference's setting, byte for byte the same results."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Executor:
    """One model on one board. `faults` are planted into the outputs of their ops and spread from there."""

    def __init__(self, file: CompiledFile, model: CompiledModel, faults: Sequence[Fault] = ()) -> None:
        self.model = model
        self.faults = tuple(faults)
        self.effects: list[dict[str, object]] = []  # what each fault changed, for the emulator's own record
        if not model.graph:
            raise InputError(f"{model.name}: built with --times-only, its values are not known", TIMES_ONLY_HINT)
        self._graph = file.read(model.graph)
        self._session: ort.InferenceSession | None = None
        self._previous: dict[str, Array] | None = None

    def run(self, feed: Mapping[str, Array], names: Collection[str], *, debug: bool = False) -> dict[str, Array]:
        """Logical tensors by name: integers where the graph is quantized, in ONNX axis order.

        `feed` is keyed by input name. `debug` says that this is the debug build (some faults live only there).
        """
        active = [fault for fault in self.faults if debug or not fault.debug_only]
        feed = plant_in_inputs(active, dict(feed), self.model)
        planted = [fault for fault in active if fault.tensor]
        if not planted:
            return self._values(self._main(), feed, names)
        return self._run_with(planted, feed, names)

    def _main(self) -> ort.InferenceSession:
        if self._session is None:
            self._session = open_session(self._graph)
        return self._session

    def _values(
        self, session: ort.InferenceSession, feed: Mapping[str, Array], names: Collection[str]
    ) -> dict[str, Array]:
        """Feed and fetch by logical name; inputs that the graph only passes on are answered from the feed."""
        onnx_name = {name: self.model.tensor(name).onnx_name for name in names}
        given = {item.name for item in session.get_inputs()}
        made = {item.name for item in session.get_outputs()}
        wanted = sorted({onnx_name[name] for name in names} & made)
        values = (
            dict(zip(wanted, session.run(wanted, {k: v for k, v in feed.items() if k in given}), strict=True))
            if wanted
            else {}
        )
        return {name: values[o] if o in values else feed[o] for name, o in onnx_name.items()}

    # ---------------------------------------------------------------- faults

    def _run_with(self, faults: Sequence[Fault], feed: Mapping[str, Array], names: Collection[str]) -> dict[str, Array]:
        """In execution order: compute up to the next faulty tensor, change it, go on with the changed one."""
        from harness.emulator.model.splice import cut_at, order_of

        order = order_of(self.model)
        known: dict[str, Array] = {}
        for tensor in sorted({fault.tensor for fault in faults}, key=order.__getitem__):
            session = open_session(cut_at(self._graph, self.model, known))
            clean = self._values(session, {**feed, **self._by_onnx_name(known)}, [tensor])[tensor]
            at_tensor = sorted((f for f in faults if f.tensor == tensor), key=lambda f: not f.inside)
            known[tensor] = self._changed(tensor, clean, at_tensor, feed, dict(known))
        rest = [name for name in names if name not in known]
        session = open_session(cut_at(self._graph, self.model, known))
        values = self._values(session, {**feed, **self._by_onnx_name(known)}, rest)
        return {name: known[name] if name in known else values[name] for name in names}

    def _by_onnx_name(self, known: Mapping[str, Array]) -> dict[str, Array]:
        return {self.model.tensor(name).onnx_name: value for name, value in known.items()}

    def _changed(
        self,
        tensor: str,
        clean: Array,
        faults: Sequence[Fault],
        feed: Mapping[str, Array],
        known: Mapping[str, Array],
    ) -> Array:
        board = self.model.tensor(tensor)
        value = clean
        recompute = partial(self._recomputed, tensor, feed, known, [])
        for fault in faults:
            previous = self._earlier_frame(feed)[tensor] if fault.needs_previous else None
            value = apply_fault(fault, value, FaultContext(board.stored, board.spec, previous, recompute))
        same = np.isnan(clean) & np.isnan(value) | (clean == value) if clean.dtype.kind == "f" else clean == value
        changed = int(clean.size - np.count_nonzero(same))
        self.effects.append({"tensor": tensor, "faults": [f.text for f in faults], "changed_elements": changed})
        return value

    def _recomputed(
        self,
        tensor: str,
        feed: Mapping[str, Array],
        known: Mapping[str, Array],
        changes: list[Change],
        change: Change,
    ) -> Array:
        """What the op gives with this change and those before it, fed with what is known so far."""
        from harness.emulator.model.splice import changed_at, cut_at

        graph = changed_at(cut_at(self._graph, self.model, known), self.model, tensor, [*changes, change])
        changes.append(change)
        return self._values(open_session(graph), {**feed, **self._by_onnx_name(known)}, [tensor])[tensor]

    def _earlier_frame(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Every tensor of another frame: the same inputs, turned upside down."""
        if self._previous is None:
            other = {name: np.ascontiguousarray(np.flip(value)) for name, value in feed.items()}
            names = [tensor.name for tensor in self.model.tensors if not tensor.is_input]
            self._previous = self._values(self._main(), other, names)
        return self._previous
