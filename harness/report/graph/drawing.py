"""The picture of the network: the folded graph in parts as wide as paper, side by side or below each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.report.graph import cells
from harness.report.graph.folding import Folded, GraphBox, fold
from harness.report.graph.layered import Layout, layout
from harness.report.tables.layers import WORDS
from harness.report.values import Row, shortened, time_us

PART_PX = 590  # a part of the picture: fits A4, two stand side by side on a screen
GAP_PX = 24  # between columns
EDGE_PX = 20  # beside the first and the last column of a part
BAND_PX = 16  # for the name of a subgraph above it
MOST_BANDS = 24  # subgraphs with a band of their own
MOST_ENDS = 12  # inputs or outputs that are drawn; more are counted
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WRONG = ("origin", "suspect", "differs", "propagated")


@dataclass(frozen=True)
class Shape:
    """A box with what is in it, before it has a place."""

    label: str
    title: str
    squares: list[Row]
    width_px: float
    height_px: float
    stage: int | None
    sort: str  # "module", "op", "input" or "output"
    unit: str = ""
    wrong: bool = False  # what leaves it
    ops: tuple[int, ...] = ()


def network_drawing(network: Row | None) -> Row | None:
    """Parts with their boxes, lines and bands; None where there is no graph."""
    if network is None:
        return None
    ops = network["ops"]
    folded = fold(ops)
    shapes, common = _shapes(network, folded)
    shapes, readers = _with_ends(network, folded, shapes)
    stages = [shape.stage for shape in shapes]
    placed = layout([shape.height_px for shape in shapes], readers, stages)
    widths = _column_widths(placed, shapes)
    parts = [_Part(network, shapes, placed, widths, columns).drawn() for columns in _cuts(placed, widths)]
    return {
        "parts": parts,
        "boxes": len(folded.boxes),
        "ops": len(ops),
        "common": common,
        "folded": len(folded.boxes) < len(ops),
        "left_out": placed.left_out,
        "ends_left_out": _unseen_ends(network),
        "leads": frozenset(op["timed"] for op in ops if not op["layers"] and op["timed"] is not None),
        "views": _views(network),
        "legend": _legend(network),
    }


def _views(network: Row) -> list[str]:
    """Ways of colouring that tell something here."""
    ops = network["ops"]
    known = {
        "verdict": any(op["standing"] for op in ops),
        "error": any(op["sqnr_db"] is not None or op["nonfinite"] for op in ops),
        "unit": any(op["unit"] for op in ops),
        "time": any(op["time_us"] is not None for op in ops),
    }
    return [name for name, has in known.items() if has] or ["verdict"]


def _legend(network: Row) -> Row:
    """What stands in the picture in each way of colouring: class, words, how many ops."""
    held = Counter(mark for op in network["ops"] for mark in cells.marks(op))
    return {
        view: [{"mark": mark, "word": word, "count": held[view, mark]} for mark, word in words if held[view, mark]]
        for view, words in cells.KEYS.items()
    }


def _shapes(network: Row, folded: Folded) -> tuple[list[Shape], str]:
    ops = network["ops"]
    every = len(ops) <= cells.MOST_DRAWN
    names, common = cells.labels(folded.boxes)
    banded = len(network["segments"]) <= MOST_BANDS
    shapes = []
    for box, label in zip(folded.boxes, names, strict=True):
        squares = cells.squares(box, ops, every)
        width, height = cells.size_px(label, squares)
        stage = box.segment if banded else None
        sort = "op" if len(box.ops) == 1 else "module"
        unit = _unit(network, box)
        wrong = any(ops[place]["standing"] in _WRONG for place in box.ops)
        shapes.append(Shape(label, _title(box, ops), squares, width, height, stage, sort, unit, wrong, box.ops))
    return shapes, common


def _unit(network: Row, box: GraphBox) -> str:
    """Where a box runs: by its stretch, else by the first op of which it is known."""
    of_stretch = network["segments"][box.segment]["unit"] if box.segment is not None else ""
    return of_stretch or next((unit for place in box.ops if (unit := network["ops"][place]["unit"])), "")


def _title(box: GraphBox, ops: Sequence[Row]) -> str:
    """`/model.4: 12 ops, 8 exact, 4 propagated`."""
    own = [ops[place] for place in box.ops]
    if len(own) == 1:
        return f"{shortened(own[0]['name'], 120)} ({shortened(own[0]['kind'], 40)})"
    name = box.path or f"{own[0]['name']} to {own[-1]['name']}"
    held = Counter(op["standing"] for op in own)
    words = "".join(f", {count} {WORDS[standing]}" for standing, count in held.items() if standing)
    return f"{shortened(name, 120)}: {len(own)} ops{words}"


def _ends(network: Row, side: str) -> list[Row]:
    rows: list[Row] = network[side]
    return rows if len(rows) <= MOST_ENDS else []


def _unseen_ends(network: Row) -> list[Row]:
    return [{"side": side, "count": len(network[side])} for side in ("inputs", "outputs") if not _ends(network, side)]


def _with_ends(network: Row, folded: Folded, shapes: list[Shape]) -> tuple[list[Shape], list[list[int]]]:
    """Inputs before the boxes that read them, outputs behind those that make them."""
    home = {place: n for n, box in enumerate(folded.boxes) for place in box.ops}
    shapes, readers = list(shapes), [list(row) for row in folded.readers]
    for end in _ends(network, "inputs"):
        using = {home[n] for n, op in enumerate(network["ops"]) if end["name"] in op["inputs"]}
        shapes.append(_end(end, "input"))
        readers.append(sorted(using))
    making = {name: home[n] for n, op in reversed(list(enumerate(network["ops"]))) for name in op["outputs"]}
    for end in _ends(network, "outputs"):
        if end["name"] in making:
            readers[making[end["name"]]].append(len(shapes))
            shapes.append(_end(end, "output"))
            readers.append([])
    return shapes, readers


def _end(end: Row, sort: str) -> Shape:
    label = cells.short(end["name"])
    href = "" if end["layer"] is None else f"L{end['layer']}"
    square = {"x": 0, "y": 0, "href": href, "label": label, "classes": "", "count": 0}
    title = f"{sort} {shortened(end['name'], 120)}"
    return Shape(label, title, [square], cells.text_px(label) + 6, cells.LABEL_PX, None, sort)


def _column_widths(placed: Layout, shapes: Sequence[Shape]) -> list[float]:
    return [
        max((shapes[box].width_px for n in column if (box := placed.nodes[n].box) is not None), default=0.0)
        for column in placed.columns
    ]


def _cuts(placed: Layout, widths: Sequence[float]) -> list[range]:
    """Columns of each part: as many as fit, cut where the fewest lines pass in the last quarter of that."""
    passing = [0] * (len(widths) + 1)
    for line in placed.lines:
        for one in line[:-1]:
            passing[placed.nodes[one].column + 1] += 1
    parts, start = [], 0
    while start < len(widths):
        end, wide = start, 2.0 * EDGE_PX - GAP_PX
        while end < len(widths) and (end == start or wide + widths[end] + GAP_PX <= PART_PX):
            wide += widths[end] + GAP_PX
            end += 1
        if end < len(widths):
            early = start + max(1, (3 * (end - start)) // 4)
            end = min(range(early, end + 1), key=lambda cut: (passing[cut], -cut))
        parts.append(range(start, end))
        start = end
    return parts


class _Part:
    """Some columns of the layout, drawn from 0."""

    def __init__(
        self, network: Row, shapes: Sequence[Shape], placed: Layout, widths: Sequence[float], columns: range
    ) -> None:
        self.network, self.shapes, self.placed, self.columns = network, shapes, placed, columns
        self.left_px: dict[int, float] = {}
        at = float(EDGE_PX)
        for column in columns:
            self.left_px[column] = at
            at += widths[column] + GAP_PX
        self.widths, self.width_px = widths, at - GAP_PX + EDGE_PX
        own = [n for column in columns for n in placed.columns[column]]
        nodes = [placed.nodes[n] for n in own]
        self.top_px = min((node.middle_px - node.height_px / 2 for node in nodes), default=0.0) - BAND_PX - 4
        self.own_lines = [line for line in placed.lines if self._passes(line)]
        low = max((node.middle_px + node.height_px / 2 for node in nodes), default=0.0)
        self.height_px = low - self.top_px + 4

    def drawn(self) -> Row:
        """Everything of this part, in whole pixels."""
        return {
            "width": round(self.width_px),
            "height": round(self.height_px),
            "bands": self._bands(),
            **self._lines(),
            "tags": [*self._tags(self.columns.stop, True), *self._tags(self.columns.start, False)],
            "boxes": [self._box(n) for column in self.columns for n in self.placed.columns[column] if self._is_box(n)],
        }

    def _passes(self, line: list[int]) -> bool:
        """Whether a line is seen in these columns, or ends at their border."""
        begin, end = (self.placed.nodes[n].column for n in (line[0], line[-1]))
        return begin < self.columns.stop and end >= self.columns.start

    def _is_box(self, n: int) -> bool:
        return self.placed.nodes[n].box is not None

    def _shape(self, n: int) -> Shape | None:
        box = self.placed.nodes[n].box
        return None if box is None else self.shapes[box]

    def _y(self, n: int) -> int:
        return round(self.placed.nodes[n].middle_px - self.top_px)

    def _x(self, n: int, right: bool) -> int:
        """Where lines meet a node on one of its sides."""
        column = self.placed.nodes[n].column
        shape = self._shape(n)
        wide = self.widths[column]
        left = self.left_px[column] + (0 if shape is None else (wide - shape.width_px) / 2)
        return round(left + (wide if shape is None else shape.width_px) * right)

    def _box(self, n: int) -> Row:
        shape = self._shape(n)
        assert shape is not None
        ops = [self.network["ops"][place] for place in shape.ops]
        counted = any(square["count"] for square in shape.squares)
        return {
            "x": self._x(n, False),
            "y": round(self._y(n) - shape.height_px / 2),
            "w": round(shape.width_px),
            "h": round(shape.height_px),
            "label": shape.label,
            "title": shape.title,
            "sort": shape.sort,
            "off": _is_off(shape.unit),
            "squares": shape.squares,
            "origin": any(op["standing"] in ("origin", "suspect") for op in ops),
            "rows": _ranges([position for op in ops for position in op["layers"]]) if counted else "",
        }

    def _lines(self) -> Row:
        """Lines as paths: right and wrong ones, and triangles where a line goes into an accelerator or out of one."""
        timed = {border["kind"] for border in self.network["borders"]}
        pieces: dict[str, list[str]] = {"lines": [], "wrong": [], "quantize": [], "dequantize": []}
        for line in self.own_lines:
            source, reader = self.shapes[line[0]], self.shapes[line[-1]]
            path = pieces["wrong" if source.wrong else "lines"]
            for one, other in pairwise(line):
                path += self._piece(one, other)
            border = _border(source, reader)
            if border in timed and self.placed.nodes[line[-1]].column in self.columns:
                x, y = self._x(line[-1], False) - 10, self._y(line[-1])
                pieces[border].append(
                    f"M{x} {y - 4}l8 4l-8 4z" if border == "quantize" else f"M{x + 8} {y - 4}l-8 4l8 4z"
                )
        return {sort: "".join(dict.fromkeys(paths)) for sort, paths in pieces.items()}

    def _tags(self, cut: int, leaving: bool) -> list[Row]:
        """Letters at the ends of lines that are cut before the column `cut`, where there are several."""
        pairs = {pair for line in self.own_lines for pair in pairwise(line)}
        cut_pairs = [pair for pair in pairs if self.placed.nodes[pair[1]].column == cut]
        sources = sorted({one for one, _ in cut_pairs}, key=lambda n: self.placed.nodes[n].middle_px)
        if not 1 < len(sources) <= len(_LETTERS):
            return []
        letter = dict(zip(sources, _LETTERS, strict=False))
        if leaving:
            return [{"x": round(self.width_px) - 8, "y": self._y(one) - 3, "text": letter[one]} for one in sources]
        ends: dict[int, str] = {}
        for one, other in sorted(cut_pairs, key=lambda pair: letter[pair[0]]):
            ends[other] = ends.get(other, "") + letter[one]
        return [{"x": 1, "y": self._y(other) - 3, "text": text} for other, text in ends.items()]

    def _piece(self, one: int, other: int) -> list[str]:
        """A line between two columns, with its way through the first of them."""
        before, behind = (self.placed.nodes[n].column in self.columns for n in (one, other))
        above, below = self._y(one), self._y(other)
        if before and behind:
            begin, end = self._x(one, True), self._x(other, False)
            middle = (begin + end) // 2
            through = f"H{self._x(other, True)}" if self._shape(other) is None else ""
            return [f"M{begin} {above}C{middle} {above} {middle} {below} {end} {below}{through}"]
        if before:
            return [f"M{self._x(one, True)} {above}H{round(self.width_px)}"]
        return [f"M0 {below}H{self._x(other, self._shape(other) is None)}"] if behind else []

    def _bands(self) -> list[Row]:
        """The columns that a stretch on one unit takes."""
        reach: dict[int, list[int]] = {}
        for column in self.columns:
            for n in self.placed.columns[column]:
                shape = self._shape(n)
                if shape is not None and shape.stage is not None:
                    reach.setdefault(shape.stage, []).append(column)
        return [self._band(stage, min(columns), max(columns)) for stage, columns in sorted(reach.items())]

    def _goes_on(self, stage: int, first: int) -> bool:
        """Whether an earlier band is of the same subgraph: one stretch over several parts, or two of one name."""
        segments = self.network["segments"]
        if segments[stage]["name"] and segments[stage]["name"] in [one["name"] for one in segments[:stage]]:
            return True
        before = (self._shape(n) for column in range(first) for n in self.placed.columns[column])
        return any(shape is not None and shape.stage == stage for shape in before)

    def _band(self, stage: int, first: int, last: int) -> Row:
        segment = self.network["segments"][stage]
        left = self.left_px[first] - GAP_PX / 2
        wide = self.left_px[last] + self.widths[last] + GAP_PX / 2 - left
        return {
            "x": round(left),
            "w": round(wide),
            "off": _is_off(segment["unit"]),
            "label": _band_label(segment, wide, self._goes_on(stage, first)),
        }


def _band_label(segment: Row, wide_px: float, goes_on: bool = False) -> str:
    """Unit, name and time of a stretch, as much as its band has room for; the time stands at its first band only."""
    time = "goes on" if goes_on else "" if segment["time_us"] is None else time_us(segment["time_us"])
    unit = shortened(segment["unit"], 12)
    for words in ((unit, shortened(segment["name"], 40), time), (unit, time), (unit,), ()):
        label = " ".join(word for word in words if word)
        if cells.text_px(label) < wide_px - 6:
            break
    return label


def _is_off(unit: str) -> bool:
    """Whether a unit is no accelerator."""
    return unit.upper().startswith("CPU")


def _border(source: Shape, reader: Shape) -> str:
    """What stands on a line between two units: "quantize" into an accelerator, "dequantize" out of it, else ""."""
    before = source.sort == "input" or _is_off(source.unit)
    behind = reader.sort == "output" or _is_off(reader.unit)
    if before and reader.unit and not behind:
        return "quantize"
    return "dequantize" if source.unit and not before and behind else ""


def _ranges(positions: Sequence[int]) -> str:
    """`3-7 12`: rows of a box, for a search."""
    parts: list[list[int]] = []
    for row in sorted(set(positions)):
        if parts and row == parts[-1][1] + 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    return " ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in parts)
