"""From metrics to a verdict. Every check is an upper bound of a figure that grows with the error: monotone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.consistency.policy import SMALLEST_HALF, ErrorLimits, Policy
from harness.consistency.reading.layouts import REFERENCE_SIDE
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.records import Coverage, Layer, Metrics, Origin, Verdict

DAMAGED = ("truncated", "empty", "unreadable", "shape_differs", "dtype_differs", "other_tensor")
NO_FILE = ("empty", "unreadable", "missing")
OWED = ("missing", "ambiguous")
GOOD_WORDS = ("consistent", "consistent_within", "consistent_accumulated")
TINY = 16  # elements; below, shares say nothing and one element may differ where any may


@dataclass(frozen=True)
class Judgement:
    """`exact`, `within` or `differs`, and the line that decided."""

    verdict: str
    reason: str = ""
    note: str = ""


def judge(
    metrics: Metrics, form: str, limits: ErrorLimits, *, equal: bool = False, known_range: float | None = None
) -> Judgement:
    """Judge one pair; `equal` says that it is known to be equal byte for byte.

    `form` is one of policy.FORMS, `known_range` the width of the range that the op bounds its output to, if it does.
    NaN or infinity that the two sides do not share is `differs` whatever else is true.
    """
    if not metrics.nonfinite_agree or metrics.nan_board > metrics.nan_reference:
        return Judgement("differs", _nonfinite(metrics))
    if equal:
        return Judgement("exact", "equal byte for byte")
    if _equal_values(metrics, form):
        return Judgement("exact", "equal values, different bytes")
    rules = f" ({limits.names[-1]})" if limits.names else ""
    if form == "float" and _below_floor(metrics, limits, known_range):
        return Judgement("within", f"max abs {metrics.max_abs:.2g}, below the absolute floor{rules}")
    excess = next(_excess(metrics, form, limits), "")
    if excess:
        return Judgement("differs", excess + rules)
    return Judgement("within", _kept(metrics, form, limits) + rules, _look(metrics, form, limits))


def finer_than_floats(metrics: Metrics, limits: ErrorLimits, known_range: float) -> Judgement | None:
    """`within` where integers have steps so fine that floats of an op with a known range do not place them: the scale
    of a score map that is empty while it is calibrated, for example. `limits`: those of floats."""
    if not metrics.max_abs or not _below_floor(metrics, limits, known_range):
        return None
    return Judgement(
        "within", f"max abs {metrics.max_abs:.2g}: steps finer than floats of a range of {known_range:g} are"
    )


def _below_floor(metrics: Metrics, limits: ErrorLimits, known_range: float | None) -> bool:
    """Whether the difference is too small to ask more. Zeros only are what a tensor that was never written holds, too:
    they pass where half precision is judged and every value of the reference rounds to zero in it."""
    if not metrics.max_abs:
        return False
    if metrics.zero_share_board == 1:
        return bool(limits.abs_floor) and metrics.max_abs <= SMALLEST_HALF / 2
    span = metrics.max_abs / metrics.max_abs_over_range if metrics.max_abs_over_range else 0.0
    return metrics.max_abs <= limits.floor(known_range, span)


def _equal_values(metrics: Metrics, form: str) -> bool:
    """Nothing differs but how it is written: zeros of another sign, a wider dtype."""
    return metrics.max_abs == 0 if form == "float" else metrics.mismatched == 0 and form == "integer"


def _nonfinite(metrics: Metrics) -> str:
    return (
        f"NaN or infinity differ: board {metrics.nan_board} NaN {metrics.inf_board} inf, "
        f"reference {metrics.nan_reference} NaN {metrics.inf_reference} inf"
    )


def _over(name: str, value: float | None, limit: float | None) -> Iterator[str]:
    if limit is None:
        return
    if value is None:
        yield f"{name} is undefined"
    elif not value <= limit:
        yield f"{name} {value:.3g} > {limit:g}"


def _excess(metrics: Metrics, form: str, limits: ErrorLimits) -> Iterator[str]:
    """Every limit that gates this form and is not kept, in words."""
    gates = {name: getattr(limits, name) for name in GATES[form]}
    if all(limit is None for limit in gates.values()) and not limits.metrics:
        yield "no policy rule allows a difference"
    yield from _over("max step", metrics.max_step, gates.get("max_step"))
    one_of_few = bool(limits.mismatch_share) and metrics.elements < TINY and metrics.mismatched <= 1
    if not one_of_few:
        yield from _over("share of elements", metrics.mismatch_share, gates.get("mismatch_share"))
    if metrics.relative_l2 is None and metrics.max_abs and form in ("float", "mixed"):
        yield f"the reference is all zero, the board is not: max abs {metrics.max_abs:.3g}"
    yield from _over("relative L2", metrics.relative_l2, gates.get("relative_l2"))
    if metrics.special != "constant" or metrics.max_abs_over_range is not None:
        yield from _over("max abs over range", metrics.max_abs_over_range, gates.get("max_abs_over_range"))
    yield from _over("max abs", metrics.max_abs, gates.get("max_abs"))
    low = limits.min_sqnr_db if "min_sqnr_db" in gates else None
    if low is not None and metrics.sqnr_db is not None and not metrics.sqnr_db >= low:
        yield f"SQNR {metrics.sqnr_db:.1f} dB < {low:g} dB"
    yield from _over("1 - cosine", metrics.one_minus_cosine, limits.one_minus_cosine)
    for name, limit in limits.metrics.items():
        yield from _over(name, metrics.named.get(name), limit)


# Steps of grids that do not meet: their shares say nothing. SQNR gates floats only where a policy asks for it.
GATES = {
    "integer": ("max_step", "mismatch_share"),
    "rescaled": ("max_step",),
    "float": ("relative_l2", "max_abs_over_range", "max_abs", "min_sqnr_db"),
    "mixed": ("max_abs", "min_sqnr_db"),
}


def _kept(metrics: Metrics, form: str, limits: ErrorLimits) -> str:
    if form in ("integer", "rescaled"):
        return f"max step {metrics.max_step or 0:g} in {metrics.mismatch_share:.2g} of the elements"
    if form == "float" and limits.min_sqnr_db is None:
        return f"relative L2 {metrics.relative_l2 or 0:.2g}"
    return "SQNR infinite" if metrics.sqnr_db is None else f"SQNR {metrics.sqnr_db:.1f} dB"


def _look(metrics: Metrics, form: str, limits: ErrorLimits) -> str:
    low = "min_sqnr_db" in GATES[form] and metrics.sqnr_db is not None and limits.look_sqnr_db is not None
    return "above the note limit" if low and metrics.sqnr_db < limits.look_sqnr_db else ""  # type: ignore[operator]


def waive(judged: Judgement, metrics: Metrics, op: str, tensor: str, policy: Policy) -> Judgement:
    """Turn `differs` into `within` where a waiver says so and holds; say it where one has expired or is exceeded."""
    waiver = policy.waiver(op, tensor) if judged.verdict == "differs" else None
    if waiver is None:
        return judged
    if waiver.until < policy.today:
        return Judgement("differs", judged.reason, f"its waiver ended on {waiver.until}: {waiver.reason}")
    excess = waiver.excess(metrics)
    if excess:
        return Judgement("differs", judged.reason, f"worse than its waiver allows ({excess}): {waiver.reason}")
    return Judgement("within", f"waived until {waiver.until}: {waiver.reason}", judged.reason)


# --------------------------------------------------------------------------- the run


def run_verdict(
    layers: Sequence[Layer],
    origins: Sequence[Origin],
    coverage: Coverage,
    owed: Sequence[Layer] = (),
    min_layers: float = 0.0,
) -> Verdict:
    """The word on a comparison. Nothing compared, or a file that could not be read, is never a success.

    `owed` are layers that were not compared although there must be a dump of them; `min_layers` is the share of
    layers that must be compared.
    """
    compared = [layer for layer in layers if layer.verdict != "not_compared"]
    lacking = [*(layer for layer in layers if _is_damaged(layer)), *owed]
    differing = [layer for layer in compared if layer.verdict == "differs"]
    if not compared:
        return Verdict("not_comparable", _nothing(layers), COULD_NOT_MEASURE)
    if origins or any(layer.role not in ("cleared", "propagated") for layer in differing):
        return Verdict("diverges", _origin_sentence(origins, differing), MEASURED_BAD)
    if coverage.layers_total and not coverage.layers_compared:
        detail = f"only network inputs were compared, none of {coverage.layers_total} layers"
        return Verdict("not_comparable", f"{detail}{_first(lacking)}; {MAP_OFFERED}", COULD_NOT_MEASURE)
    good = _good(compared, differing, coverage)
    if lacking:
        return Verdict("incomplete", f"{good.detail}{_first(lacking)}", COULD_NOT_MEASURE)
    if coverage.layers_compared < min_layers * coverage.layers_total:
        share = coverage.layers_compared / coverage.layers_total
        return Verdict(
            "incomplete", f"{good.detail}; coverage {share:.1%}, required {min_layers:.1%}", COULD_NOT_MEASURE
        )
    return good


def _first(lacking: Sequence[Layer]) -> str:
    """`; conv2_out is not compared: truncated`, of the first, and how many more there are."""
    if not lacking:
        return ""
    first = lacking[0]
    if REFERENCE_SIDE in first.note:
        why = first.note
    else:
        why = (
            f"its dump is missing: {first.note}"
            if first.reason == "missing"
            else f"its dump is {REASON_WORDS[first.reason]}"
        )
    more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return f"; {first.name} was not compared: {why}{more}"


REASON_WORDS = {
    "truncated": "truncated",
    "empty": "empty",
    "unreadable": "not readable",
    "shape_differs": "of a different size or shape",
    "dtype_differs": "of a different dtype",
    "other_tensor": "that of another layer",
    "ambiguous": "ambiguous (several dumps match)",
}


def _is_damaged(layer: Layer) -> bool:
    """A file that should have been comparable and is not; a tensor that has no element by its shape is none, and a
    network input may lie in any format that the board takes."""
    reasons = NO_FILE if layer.op_kind == "input" else DAMAGED
    return layer.verdict == "not_compared" and layer.reason in reasons and 0 not in layer.shape


def _good(compared: Sequence[Layer], differing: Sequence[Layer], coverage: Coverage) -> Verdict:
    seen = f"{coverage.layers_compared} of {coverage.layers_total} layers"
    if differing:
        detail = f"{seen}; {len(differing)} beyond limits, but every op is right on the board's own inputs"
        return Verdict("consistent_accumulated", detail, GOOD)
    within = sum(layer.verdict == "within" for layer in compared)
    if within:
        others = "" if within == len(compared) else ", the others exact"
        return Verdict("consistent_within", f"{seen}; {within if others else 'all'} within limits{others}", GOOD)
    return Verdict("consistent", f"{seen}, all exact", GOOD)


_STRANGERS = {"no dump", "no reference"}  # all there is to say of a reference and dumps of two models
MAP_OFFERED = "where names differ, --map FILE maps them, --map-template FILE proposes a mapping"


def _nothing(layers: Sequence[Layer]) -> str:
    """`no layer could be compared: 67 no dump, 66 no reference`, the most frequent reason first; a mapping is offered
    whatever the reasons are, as files of other names may lie beside the damaged ones."""
    counts = Counter(layer.reason.replace("_", " ") for layer in layers)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    strangers = "no common names: the reference may be of another model; " if set(counts) == _STRANGERS else ""
    return f"no layer could be compared: {reasons or 'no tensors'}; {strangers}{MAP_OFFERED}"


def _origin_sentence(origins: Sequence[Origin], differing: Sequence[Layer]) -> str:
    if not origins:
        return f"{len(differing)} layers differ, first {differing[0].name}"
    inputs = [o for o in origins if o.op_kind == "input" and o.fingerprint and o.fingerprint.kind == "input_order"]
    if len(inputs) == len(origins) == 2:
        return f"the board's inputs {inputs[0].tensor} and {inputs[1].tensor} are swapped"
    exchanged = dict(_exchanged(origins))
    named = list(dict.fromkeys(exchanged.get(origin.tensor) or _name(origin) for origin in origins))
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return "; ".join(named[:3]) + more


def _exchanged(origins: Sequence[Origin]) -> Iterator[tuple[str, str]]:
    """(tensor, sentence) of every pair of dumps of which each holds the other's values."""
    marks = {origin.tensor: origin.fingerprint for origin in origins}
    holds = {name: str(mark.figures["holds"]) for name, mark in marks.items() if mark and "holds" in mark.figures}
    for name, other in holds.items():
        if holds.get(other) == name:
            yield (
                name,
                f"the dumps of {' and '.join(sorted((name, other)))} are exchanged: each holds the other's values",
            )


def _name(origin: Origin) -> str:
    if origin.op_kind == "input":
        mark = origin.fingerprint
        kind = f": {mark.kind}" if mark is not None and mark.kind != "other_input" else ""
        return f"the board's input {origin.tensor} differs from the reference's{kind}"
    kind = f" ({origin.op_kind})" if origin.op_kind else ""
    place = f"{origin.op or origin.tensor}{kind}"
    if origin.unseen:
        span = f"between {origin.first or 'the inputs'} and {origin.tensor}"
        place = f"{span}: {origin.op}, {len(origin.unseen)} ops not compared"
    if not origin.certain:
        place = f"suspect {place}"
    what = origin.fingerprint.kind if origin.fingerprint else ""
    order = "first in file order: " if origin.how == "sequence" else ""
    return f"{order}{place}{f': {what}' if what else ''}"
