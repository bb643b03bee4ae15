"""Checks of Ingenic runs: what the board's own files show, and symptoms A to D of the vendor's quantization guide.

The symptoms read the transform tool's cosine table (quantized against float, on the PC) beside what the board gave.
"""

from __future__ import annotations

from harness.consistency.reading.pairs import NIBBLE_NOTE
from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import Comparison
from harness.toolchains.curves import SHOWN, Curve, evidence, symptom

SCARCE = 0.9  # of nmem in use at the peak

_BITS = (
    "1) raise the bit width: feature_quantize_bits or weight_quantize_bits 10, 12 or 14; "
    "2) leave the layer that falls out of quantizing: skip_node_quant; "
    "3) run the float network on ./result/path/input_uint8.bin and compare with result/path/float_model: "
    "is the tool's own float run right? 4) send the layer's inputs and outputs to the tool's vendor"
)


def curve_of(view: RunView) -> Curve | None:
    """The table's cosines; None for another platform or where no table was given."""
    if view.plan is None or not _is_magik(view) or not any(kind.startswith("magik") for kind, _ in view.plan.sources):
        return None
    rows = [(row.name, row.toolchain_cosine) for row in view.plan.rows if row.toolchain_cosine is not None]
    return Curve(tuple(name for name, _ in rows), tuple(cosine for _, cosine in rows)) if rows else None


def symptoms(view: RunView) -> Findings:
    """M-601 to M-604: what the curve of the toolchain's cosines looks like, as the vendor's guide names it."""
    curve = curve_of(view)
    if curve is None:
        return
    kind, low = symptom(curve), curve.low
    if kind == "A":
        yield finding("M-601", evidence(curve), subject=curve.names[0])
    elif kind == "B":
        yield finding("M-602", evidence(curve), subject=curve.names[low[0]], advice=_BITS)
    elif kind == "C":
        yield finding("M-603", evidence(curve), subject=curve.names[low[0] if low else -1])
    elif _is_wrong_by_itself(view.comparison):
        least = min(range(len(curve.cosines)), key=curve.cosines.__getitem__)
        message = f"all {len(curve.cosines)} layers are accurate on the PC (lowest: {curve.shown([least])})"
        detail = view.comparison.verdict.detail if view.comparison is not None else ""
        yield finding("M-604", f"{message}; the board: {detail}")


def _is_wrong_by_itself(comparison: Comparison | None) -> bool:
    """Whether the board's values are wrong, and not what it was fed."""
    if comparison is None or comparison.verdict.word != "diverges":
        return False
    return not any(origin.op_kind == "input" for origin in comparison.origins)


# --------------------------------------------------------------------------- the board


def _is_magik(view: RunView) -> bool:
    return view.run.board.platform == "magik"


def _notes(view: RunView) -> tuple[str, ...]:
    return view.run.notes if _is_magik(view) else ()


def another_input(view: RunView) -> Findings:
    """The PC's dump folder holds the input it was made from: the board must be fed with those bytes."""
    reference, fed = view.run.case.reference, view.run.case.inputs
    inputs = reference.inputs if reference is not None else None
    if not inputs or not fed or not _is_magik(view):
        return
    if fed[0].md5 not in inputs.values():
        known = ", ".join(f"{name} {md5}" for name, md5 in list(inputs.items())[:SHOWN])
        yield finding("M-501", f"board: {fed[0].name} {fed[0].md5}; PC: {known}", subject="input")


def opposite_halves(view: RunView) -> Findings:
    """M-502: 4-bit tensors that are equal when the two halves of each byte change places."""
    rows = [layer for layer in (view.comparison.layers if view.comparison else ()) if NIBBLE_NOTE in layer.note]
    swapped = [o for o in (view.comparison.origins if view.comparison else ()) if _is_swap(o.fingerprint)]
    names = [row.name for row in rows] + [origin.tensor for origin in swapped]
    if names and _is_magik(view):
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield finding("M-502", f"equal with nibbles swapped: {', '.join(names[:SHOWN])}{more}",
                      subject=names[0])  # fmt: skip


def _is_swap(fingerprint: object) -> bool:
    return getattr(fingerprint, "kind", "") == "nibble_order"


def versions(view: RunView) -> Findings:
    """M-503, E-101: notes of a version skew, of the kernel's driver or of another part."""
    for note in dict.fromkeys(note.partition(": ")[2] for note in _notes(view) if "version skew:" in note):
        rule = "M-503" if "soc-nna" in note else "E-101"
        yield finding(rule, note)


def stale(view: RunView) -> Findings:
    """M-504: nmem_memory.txt has leftover bytes of an earlier write."""
    for note in _notes(view):
        if "nmem_memory.txt: stale" in note or "harness: stale" in note:
            yield finding("M-504", note)


def unreadable_names(view: RunView) -> Findings:
    """M-506: layers whose names the board cannot write as a file."""
    for note in _notes(view):
        if ": not dumped" in note:
            yield finding("M-506", note)


def scarce_memory(view: RunView) -> Findings:
    """M-505: the network's peak comes near to all of the NPU's memory."""
    memory = view.run.memory.get("nmem")
    if memory is None or not _is_magik(view):
        return
    total, peak = memory.get("total_bytes"), memory.get("peak_bytes")
    if total and peak is not None and peak > SCARCE * total:
        yield finding("M-505", f"{peak // 1024}K of {total // 1024}K at the peak ({peak / total:.0%})")


CHECKS = (another_input, opposite_halves, versions, stale, unreadable_names, scarce_memory, symptoms)
