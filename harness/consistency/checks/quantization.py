"""Did quantization itself destroy an output? Float model against quantized model, both on this PC, without the board.

Judged per channel along the channel axis: two channels of six that round to zero leave a cosine of 0.99999 where the
other four are large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.consistency.checks.float_reference import is_float
from harness.consistency.checks.noise_ratio import float_tensors
from harness.consistency.checks.quantization_losses import Losses
from harness.consistency.checks.quantized_tensors import QuantizedTensor, read_tensor
from harness.consistency.reading.layouts import TensorError
from harness.records import Graph, OutputQuantization, QuantizationCheck, QuantizationLoss
from harness.reference.open import Reference, ReferenceTensor

NAMED = 2  # outputs that the sentence lists
LISTED = 2  # losses that it lists


def check_quantization(reference: Reference, floats: Reference, graph: Graph | None) -> QuantizationCheck | None:
    """What quantization costs each output, and the first op where something is lost.

    `reference` is the quantized model's, `floats` the float model's, of the same input. None where the reference is
    not quantized, or no output of it has a float partner.
    """
    if is_float(reference):
        return None
    tensors = dict(_read(reference, floats))
    outputs = [name for name, t in reference.tensors.items() if t.is_output and name in tensors]
    if not outputs and graph is not None:
        outputs = [name for name in graph.outputs if name in tensors]
    if not outputs:
        return None
    losses = tuple(Losses(tensors, graph or reference.graph, outputs).losses())
    rows = tuple(_output(tensors[name], losses) for name in outputs)
    return QuantizationCheck(rows, losses, sentence(rows, losses))


def _read(reference: Reference, floats: Reference) -> Iterator[tuple[str, QuantizedTensor]]:
    """By name; a network input is held against its own float side, as it was fed."""
    partners = float_tensors(floats)
    for name, tensor in reference.tensors.items():
        partner = tensor.alternate if tensor.is_input else _partner(tensor, partners)
        if partner is None or partner.spec is None or tensor.spec is None:
            continue
        try:
            yield name, read_tensor(tensor, partner)
        except TensorError:
            continue  # another shape, or not readable: this one is not judged


def _partner(tensor: ReferenceTensor, partners: Mapping[str, ReferenceTensor]) -> ReferenceTensor | None:
    return next((partners[name] for name in (tensor.name, *tensor.aliases) if name in partners), None)


def _output(tensor: QuantizedTensor, losses: Sequence[QuantizationLoss]) -> OutputQuantization:
    """The level of one output; its channels where they were lost, which may be before data was moved."""
    row = OutputQuantization(tensor.name, tensor.sqnr_db, tensor.channels, tensor.lost_channels)
    lossy = next((loss for loss in losses if loss.lost_channels and tensor.name in loss.outputs), None)
    return replace(row, channels=lossy.channels, lost_channels=lossy.lost_channels) if lossy else row


def sentence(outputs: Sequence[OutputQuantization], losses: Sequence[QuantizationLoss]) -> str:
    """`output0 46 dB; `cat`: 2 of 6 channels are all zero, its step is larger than their whole range`."""
    worst = sorted(outputs, key=lambda one: one.sqnr_db if one.sqnr_db is not None else float("inf"))
    named = ", ".join(f"{one.name} {in_db(one.sqnr_db)}" for one in worst[:NAMED])
    more = f" (worst of {len(worst)})" if len(worst) > NAMED else ""
    harmful = [loss for loss in losses if loss.is_harmful]
    first = [f"`{loss.tensor}`: {loss.detail}" for loss in harmful[:LISTED]]
    return "; ".join([f"{named}{more}", *first])


def in_db(sqnr_db: float | None) -> str:
    """`46 dB`; one decimal below ten; words where there is no noise or no signal."""
    if sqnr_db is None:
        return "not judged"
    if sqnr_db == float("inf"):
        return "no loss"
    return f"{sqnr_db:.1f} dB" if abs(sqnr_db) < 10 else f"{sqnr_db:.0f} dB"


def gated(check: QuantizationCheck | None, min_sqnr_db: float) -> QuantizationCheck:
    """The check with the gate that was asked for: missed by an output that is below, or not judged at all."""
    made = check or QuantizationCheck(detail="not judged")
    levels = [one.sqnr_db for one in made.outputs]
    if not levels or any(level is None for level in levels):
        return replace(made, min_sqnr_db=min_sqnr_db, gate="not_judged")
    missed = any(level is not None and level < min_sqnr_db for level in levels)
    return replace(made, min_sqnr_db=min_sqnr_db, gate="missed" if missed else "met")
