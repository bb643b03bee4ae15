"""All samples as squares, in their order; the mark carries the meaning, the colour repeats it."""

from __future__ import annotations

from harness.report.values import Row

SIDE, ACROSS = 14, 64
MOST = 4096  # drawn; the rest is counted


def squares(samples: Row | None) -> Row | None:
    """{"width", "height", "squares", "more"}; None without samples."""
    if samples is None or not samples["samples"]:
        return None
    shown = samples["samples"][:MOST]
    marks = [
        {
            "x": SIDE * (place % ACROSS),
            "y": SIDE * (place // ACROSS),
            "kind": row["verdict"],
            "title": f"{row['stem']}: {row['verdict'].replace('_', ' ')}",
        }
        for place, row in enumerate(shown)
    ]
    rows = -(-len(shown) // ACROSS)
    more = len(samples["samples"]) - len(shown)
    return {"width": SIDE * ACROSS, "height": SIDE * rows, "side": SIDE - 2, "squares": marks, "more": more}
