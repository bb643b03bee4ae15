"""What many origins have in common: one habit of the board's kernels, or another calibration of the whole build."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import yaml

from harness.records import Layer, Metrics, Origin

LEAST = 3  # ops that make a habit
STEPS = ("rounding", "truncation")  # kinds that a policy may let pass
SCALES = ("scale", "channel_scale", "shift")
MOST_SHARE = 0.5  # of the origins, from which the build is the likelier cause
SHOWN = 4


def habits(layers: Sequence[Layer], origins: Sequence[Origin]) -> Iterator[str]:
    """Sentences for the notes; `origins` with their fingerprints."""
    rows = {layer.name: layer for layer in layers}
    of_ops = [origin for origin in origins if origin.op_kind != "input" and origin.fingerprint is not None]
    yield from _calibration(of_ops)
    groups: dict[tuple[str, str], list[Origin]] = defaultdict(list)
    for origin in of_ops:
        if origin.fingerprint is not None and origin.fingerprint.kind in STEPS and not origin.unseen:
            groups[origin.op_kind, origin.fingerprint.kind].append(origin)
    for (op_kind, kind), members in groups.items():
        if len(members) >= LEAST:
            yield _habit(op_kind, kind, members, rows)


def is_habit(origins: Sequence[Origin]) -> bool:
    """Whether all of them only round otherwise."""
    return all(origin.fingerprint is not None and origin.fingerprint.kind in STEPS for origin in origins)


def _habit(op_kind: str, kind: str, members: Sequence[Origin], rows: Mapping[str, Layer]) -> str:
    metrics = [m for origin in members if (m := rows[origin.tensor].single or rows[origin.tensor].metrics)]
    limits = _limits(metrics)
    rule = {"name": f"{kind} of {op_kind}", "op_kinds": [op_kind], "limits": limits}
    line = yaml.safe_dump([rule], default_flow_style=True, sort_keys=False, width=math.inf).strip()[1:-1]
    named = ", ".join(origin.op for origin in members[:SHOWN])
    more = f" and {len(members) - SHOWN} more" if len(members) > SHOWN else ""
    return (
        f"{len(members)} origins show one habit, {kind} of {op_kind} ({named}{more}): the board's kernel rather than "
        f"as many faults; if it is accepted, this rule of a policy file allows it: - {line}"
    )


def _limits(metrics: Sequence[Metrics]) -> dict[str, float]:
    """Upper bounds that all of them keep, with two digits."""
    if all(m.max_step is not None for m in metrics):
        share = max((m.mismatch_share for m in metrics), default=0.0)
        return {
            "max_step": math.ceil(max((m.max_step or 0.0 for m in metrics), default=1.0)),
            "mismatch_share": _up(share),
        }
    return {
        "relative_l2": _up(max((m.relative_l2 or 0.0 for m in metrics), default=0.0)),
        "max_abs_over_range": _up(max((m.max_abs_over_range or 0.0 for m in metrics), default=0.0)),
    }


def _up(value: float) -> float:
    """The next number of two digits that is not below."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.2g}")


def _calibration(origins: Sequence[Origin]) -> Iterator[str]:
    """Scales that differ all over are one cause: the build was calibrated with other data."""
    scaled = [origin for origin in origins if origin.fingerprint is not None and origin.fingerprint.kind in SCALES]
    if len(scaled) >= LEAST and len(scaled) > MOST_SHARE * len(origins):
        named = ", ".join(origin.op for origin in scaled[:SHOWN]) + (", ..." if len(scaled) > SHOWN else "")
        yield (
            f"{len(scaled)} of {len(origins)} origins have another scale ({named}): another calibration of the whole "
            "build rather than as many faults; compare the calibration data, and the model's md5, on both sides"
        )
