"""What stands in a box: a square for each op with the marks that every way of colouring it needs, or counts."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, takewhile

from harness.report.graph.folding import GraphBox
from harness.report.tables.layers import STANDINGS, WORDS
from harness.report.values import Row, number, shortened

STRIDE_PX = 13
SQUARE_PX = 11
PAD_PX = 4
LABEL_PX = 14
LETTER_PX = 7.0  # of a label, on average; a wide letter takes two
MOST_SQUARES = 48  # in a box; more ops are counted
MOST_DRAWN = 600  # ops of a network whose every op has a square
_MOST_LETTERS = 10
# Standings, errors and times as classes of the style sheet; what is usual has none.
_STANDINGS = {"origin": "vo", "suspect": "vs", "differs": "vd", "propagated": "vp", "cleared": "vc",
              "not_compared": "vn", "within": "vw", "exact": "", "": "vx"}  # fmt: skip
ERRORS_DB = (40.0, 20.0, 10.0)  # from which SQNR on an error is small, middle, large; below it is the largest
TIMES = (0.01, 0.05, 0.15)  # shares of the time of all ops


KEYS = {
    "verdict": [(_STANDINGS[name], WORDS.get(name, "not in the comparison")) for name in (*STANDINGS, "")],
    "error": [
        ("e4", "SQNR below 10 dB, or NaN"),
        ("e3", "10 to 20 dB"),
        ("e2", "20 to 40 dB"),
        ("e1", "40 dB and above"),
        ("ex", "not known"),
        ("", "exact"),
    ],
    "unit": [("uc", "CPU"), ("uq", "quantize, dequantize"), ("ux", "not known"), ("", "accelerator")],
    "time": [
        ("t4", "15 % of the ops' time or more"),
        ("t3", "5 to 15 %"),
        ("t2", "1 to 5 %"),
        ("t1", "below 1 %"),
        ("", "not timed alone"),
    ],
}


def marks(op: Row, share: float | None = None) -> list[tuple[str, str]]:
    """The class of an op in each way of colouring."""
    return [
        ("verdict", _STANDINGS.get(op["standing"], "vn")),
        ("error", _error(op)),
        ("unit", _unit(op)),
        ("time", _time(op["share"] if share is None else share)),
    ]


def classes(op: Row, share: float | None = None) -> str:
    """`vp e3 uc t2`: verdict, error, unit and time of an op, or of several that take `share` together."""
    return " ".join(mark for _, mark in marks(op, share) if mark)


def _error(op: Row) -> str:
    if op["standing"] == "exact":
        return ""
    if op["nonfinite"]:
        return "e4"
    level = number(op["sqnr_db"])
    if op["standing"] in ("", "not_compared") or level is None or math.isnan(level):
        return "ex"
    return f"e{1 + sum(level < limit for limit in ERRORS_DB)}"


def _unit(op: Row) -> str:
    if op["kind"].lower().lstrip("hz").startswith(("quantize", "dequantize")):
        return "uq"
    return "ux" if not op["unit"] else "uc" if op["unit"].upper().startswith("CPU") else ""


def _time(share: float | None) -> str:
    return "" if share is None else f"t{1 + sum(share >= limit for limit in TIMES)}"


def squares(box: GraphBox, ops: Sequence[Row], every: bool) -> list[Row]:
    """One row a square: its place in the box, where it leads, its mark; `count` of several ops in one, else 0."""
    own = [ops[place] for place in box.ops]
    if len(own) == 1 or (every and len(own) <= MOST_SQUARES):
        across = _across(len(own))
        return [_square(op, n % across, n // across) for n, op in enumerate(own)]
    by_standing = sorted(own, key=lambda op: STANDINGS.index(op["standing"] or "exact"))
    grouped = [list(same) for _, same in groupby(by_standing, key=lambda op: op["standing"])]
    return [_counted(same, row) for row, same in enumerate(grouped)]


def _across(count: int) -> int:
    return max(1, math.ceil(math.sqrt(count)))


def _square(op: Row, across: int, down: int) -> Row:
    word = "" if op["standing"] in ("exact", "") else f" {WORDS[op['standing']]}"
    own = f"{op['layers'][0]}" if op["layers"] else shortened(op["name"] or op["kind"], 60)
    return {
        "x": PAD_PX + across * STRIDE_PX,
        "y": LABEL_PX + down * STRIDE_PX,
        "href": link(op),
        "label": f"{own}{word}",
        "classes": classes(op),
        "count": 0,
    }


def _counted(ops: list[Row], down: int) -> Row:
    """Several ops of one standing: the largest error, and their time together."""
    worst = min(ops, key=lambda op: -math.inf if op["nonfinite"] else number(op["sqnr_db"]) or math.inf)
    shares = [op["share"] for op in ops if op["share"] is not None]
    units = {_unit(op) for op in ops}
    shown = worst | {"unit": "CPU" if "uc" in units else worst["unit"]}
    word = WORDS.get(worst["standing"], "not in the comparison")
    return {
        "x": PAD_PX,
        "y": LABEL_PX + down * STRIDE_PX,
        "href": link(ops[0]),
        "label": f"{len(ops)} {word}",
        "classes": classes(shown, sum(shares) if shares else None),
        "count": len(ops),
    }


def link(op: Row) -> str:
    """The row that tells more of an op: of the table of layers, else of the table of ops; "" for none."""
    if op["layers"]:
        return f"L{op['layers'][0]}"
    return f"O{op['timed']}" if op["timed"] is not None else ""


def size_px(label: str, cells: Sequence[Row]) -> tuple[float, float]:
    """Width and height of a box with its label above."""
    inside = max(
        (cell["x"] + SQUARE_PX + (4 + 6.5 * len(str(cell["count"])) if cell["count"] else 0) for cell in cells),
        default=0.0,
    )
    wide = max(inside + PAD_PX, text_px(label) + 4)
    return math.ceil(wide), max((cell["y"] + SQUARE_PX + PAD_PX for cell in cells), default=LABEL_PX)


def text_px(text: str) -> float:
    """About how wide a label is."""
    return LETTER_PX * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def labels(boxes: Sequence[GraphBox]) -> tuple[list[str], str]:
    """A short label for each box, and the beginning that all modules have in common and that is left out of theirs.

    Modules of one name have a mark of their parents' names before it: `1/blocks.0`.
    """
    own = [box.label for box in boxes if box.path]
    ends = zip(min(own, default=""), max(own, default=""), strict=False)
    common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    common = common[: max(common.rfind(sign) for sign in "._-") + 1] if len(own) > 2 else ""
    often = Counter(own)
    return [
        short(f"{_mark(box)}{box.label[len(common) :]}" if often[box.label] > 1 else box.label[len(common) :])
        if box.path
        else short(box.label)
        for box in boxes
    ], common


def _mark(box: GraphBox) -> str:
    """What tells a module's parent from others: the number at its end, or its first letters."""
    parent = box.path.removesuffix(box.path.rpartition("/")[2]).rstrip("/").rpartition("/")[2]
    number_ = parent[len(parent.rstrip("0123456789")) :]
    return f"{number_ or parent[:3]}/" if parent and not box.label.startswith(parent) else ""


def short(label: str) -> str:
    """A name of at most ten letters."""
    return label if len(label) <= _MOST_LETTERS else f"{label[:5]}\u2026{label[-4:]}"
