"""The tables of Venus' profiler, in their four known layouts, to op times.

Columns are found by tokens, never by place: long names push a row to the right, percentages of ten and more by one.
All layouts keep one order of figures and differ in how many there are: 6 in 0.8.x, 7 with BandWidth (0.9.0), 8 with
ParamBandWidth (0.9.3 on, without `%` and with two decimals in 0.9.6.1). Rows are keyed by their place, because names
are cut and repeat. A row that does not have the exact form is counted and never read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.platforms.magik.text import lines, read_cycles
from harness.records import OpTime

_WORDS = """
Convolution DepthWiseConvolution GroupConvolution DeConvolution DepthWiseDeConvolution FullConnected SliceFullConnected
MatMul BatchNorm BiasAdd Pooling Relu Relu6 PRelu UpSample FormatConvert Concat Mul Add Lstm Normalize Eltwise Slice
Softmax Embedding Padding Permute Sum Gru Reshape Moments Attention Tsm SpaceBatch Activation NotSupport Unknown
"""
KINDS = frozenset(_WORDS.split())
LAYOUT_KINDS = frozenset(("FormatConvert", "Permute", "Reshape"))
_SHAPES = 6  # input, output, filter, stride, pad, dilation
_SHAPE = re.compile(r"^(?:N/A|\{[0-9]+(?:,[0-9]+)*\})$")
_TIME = r"[0-9]+\.[0-9]{3}"
_SHORT = r"[0-9]+\.[0-9]{2}"
# Avg Max Min, Last, Avg(%), GOPs, BandWidth(MB), ParamBandWidth(KB): decimals as each format prints them
_FIGURES = {
    "long": (_TIME, _TIME, _TIME, r"[0-9]+\.[0-9]{4}", r"[0-9]+\.[0-9]{2}%", _TIME, _TIME, _SHORT),
    "short": (_SHORT, _SHORT, _SHORT, _SHORT, _SHORT, _TIME, _TIME, _SHORT),
}
_LAYOUTS = {("long", 6): "0.8", ("long", 7): "0.9.0", ("long", 8): "0.9.3", ("short", 8): "0.9.6"}
_PATTERNS = {form: tuple(re.compile(f"^{p}$") for p in patterns) for form, patterns in _FIGURES.items()}
_LONE_PERCENT = re.compile(r"(?<=[0-9])\s+%(?=\s|$)")
_TITLE = re.compile(r"^===== (Detailed ?Dispatch ?Profiler|Concise Dispatch Profiler) Summary:")
_TOTAL = re.compile(r"^Total: ([0-9]+\.[0-9]{3}) ms$")
_CONCISE_FIGURES = (_TIME, _TIME, _TIME, r"[0-9]+\.[0-9]{2}%?", _TIME)
_CONCISE_END = (_TIME, r"[0-9]{1,9}")
ROUNDING = {"0.9.6": 0.0051}  # ms of one printed figure with two decimals; three decimals elsewhere
MB, KB = 2**20, 2**10  # the profiler's units, checked against its own parameter counts


@dataclass(frozen=True)
class Row:
    """One row of the detailed table. Times in ms; None where the layout has no such column."""

    name: str
    kind: str
    shapes: tuple[str, ...]
    average_ms: float
    max_ms: float
    min_ms: float
    last_ms: float
    share_percent: float
    gops: float
    bandwidth_mb: float | None = None
    parameters_kb: float | None = None


@dataclass(frozen=True)
class KindRow:
    """One row of the concise table: all ops of one kind."""

    kind: str
    average_ms: float
    max_ms: float
    min_ms: float
    share_percent: float
    gops: float
    bandwidth_mb: float | None
    calls: int


@dataclass(frozen=True)
class ProfileTables:
    """What one capture tells. `rows` are those of the last detailed table."""

    layout: str
    rows: tuple[Row, ...]
    kinds: tuple[KindRow, ...]
    cycles: int | None
    total_ms: float | None
    tables: int
    problems: tuple[str, ...]

    @property
    def sum_ms(self) -> float | None:
        """Sum of all ops: the profiler's own total where it prints one, else that of the rows."""
        if self.total_ms is not None:
            return self.total_ms
        return sum(row.average_ms for row in self.rows) if self.rows else None

    @property
    def is_partial(self) -> bool:
        """Whether the sum may lack ops: the total line is missing, and no concise table counts as many rows."""
        return self.total_ms is None and sum(kind.calls for kind in self.kinds) != len(self.rows)


class _ProfileReader:
    """The state of one pass over the lines."""

    def __init__(self) -> None:
        self.detailed: list[list[Row]] = []
        self.concise: list[list[KindRow]] = []
        self.totals: list[float] = []
        self.layouts: Counter[str] = Counter()
        self.damaged: list[str] = []
        self.inside = ""

    def take(self, line: str) -> None:
        text = line.strip()
        if title := _TITLE.match(text):
            self._open("detailed" if title[1].startswith("Detailed") else "concise")
        elif total := _TOTAL.match(text):
            self.totals.append(float(total[1]))
        elif not self._row(text) and self.inside and _looks_like_row(text):
            self.damaged.append(text[:40])

    def _open(self, what: str) -> None:
        self.inside = what
        (self.detailed if what == "detailed" else self.concise).append([])

    def _row(self, text: str) -> bool:
        tokens = _LONE_PERCENT.sub("%", text).split()
        if parsed := _detailed_row(tokens):
            layout, row = parsed
            self.layouts[layout] += 1
            self._table(self.detailed).append(row)
            return True
        if kind := _concise_row(tokens):
            self._table(self.concise).append(kind)
            return True
        return False

    @staticmethod
    def _table(tables: list[list[Row]] | list[list[KindRow]]) -> list[object]:
        if not tables:  # the capture begins inside a table
            tables.append([])
        return tables[-1]  # type: ignore[return-value]


def read_profile(text: str) -> ProfileTables:
    """The profiler's tables in a capture; empty tables where there is none."""
    reading = _ProfileReader()
    for line in lines(text):
        reading.take(line)
    rows = tuple(next((table for table in reversed(reading.detailed) if table), ()))
    kinds = tuple(next((table for table in reversed(reading.concise) if table), ()))
    layout = reading.layouts.most_common(1)[0][0] if reading.layouts else ""
    total = reading.totals[-1] if reading.totals else None
    problems = [*_damage(reading), *_contradictions(layout, rows, kinds, total)]
    return ProfileTables(layout, rows, kinds, read_cycles(text), total, len(reading.detailed), tuple(problems))


def _looks_like_row(text: str) -> bool:
    words = text.split()
    return any(word in KINDS for word in words[:2]) and any(ch.isdigit() for ch in text)


def _detailed_row(tokens: Sequence[str]) -> tuple[str, Row] | None:
    """The row and its layout; None for anything that is not exactly one."""
    shapes = next((i for i in range(2, len(tokens)) if all(map(_SHAPE.match, tokens[i : i + _SHAPES]))), 0)
    if not shapes or tokens[shapes - 1] not in KINDS:
        return None
    figures = tokens[shapes + _SHAPES :]
    form = next((f for f in _PATTERNS if _fits(figures, f) and (f, len(figures)) in _LAYOUTS), "")
    if not form:
        return None
    values = [float(figure.rstrip("%")) for figure in figures]
    if not values[2] <= values[0] <= values[1]:  # min, average, max
        return None
    name = " ".join(tokens[: shapes - 1])
    row = Row(name, tokens[shapes - 1], tuple(tokens[shapes : shapes + _SHAPES]), *values)
    return _LAYOUTS[form, len(figures)], row


def _fits(figures: Sequence[str], form: str) -> bool:
    return all(pattern.match(figure) for figure, pattern in zip(figures, _PATTERNS[form], strict=False))


def _concise_row(tokens: Sequence[str]) -> KindRow | None:
    patterns = {7: (*_CONCISE_FIGURES, _CONCISE_END[1]), 8: (*_CONCISE_FIGURES, *_CONCISE_END)}.get(len(tokens))
    if patterns is None or tokens[0] not in KINDS:
        return None
    if not all(re.fullmatch(pattern, token) for pattern, token in zip(patterns, tokens[1:], strict=True)):
        return None
    values = [float(token.rstrip("%")) for token in tokens[1:-1]]
    bandwidth = values[5] if len(values) > 5 else None
    return KindRow(tokens[0], values[0], values[1], values[2], values[3], values[4], bandwidth, int(tokens[-1]))


# --------------------------------------------------------------------------- what does not fit


def _damage(reading: _ProfileReader) -> list[str]:
    problems = []
    if reading.damaged:
        first = reading.damaged[0]
        problems.append(f"{len(reading.damaged)} damaged rows of the profiler's tables skipped, first {first!r}")
    if len(reading.layouts) > 1:
        problems.append(f"rows of several layouts in one capture: {', '.join(sorted(reading.layouts))}")
    if len([table for table in reading.detailed if table]) > 1:
        problems.append(f"{len(reading.detailed)} detailed tables (a summary per frame): the last one is used")
    return problems


def _contradictions(layout: str, rows: Sequence[Row], kinds: Sequence[KindRow], total_ms: float | None) -> list[str]:
    """The two tables and the total tell the same thing in three ways: what does not agree is said."""
    problems = []
    step_ms = ROUNDING.get(layout, 0.00051)
    counts = Counter(row.kind for row in rows)
    for kind in kinds if rows else ():
        if counts[kind.kind] != kind.calls:
            problems.append(
                f"the concise table counts {kind.calls} {kind.kind}, the detailed one has {counts[kind.kind]}"
            )
            continue
        summed = sum(row.average_ms for row in rows if row.kind == kind.kind)
        if abs(summed - kind.average_ms) > step_ms * (kind.calls + 1):
            problems.append(
                f"{kind.kind}: {summed:.3f} ms in the detailed table, {kind.average_ms:.3f} ms in the concise"
            )
    if total_ms is not None and kinds:
        summed = sum(kind.average_ms for kind in kinds)
        if abs(summed - total_ms) > 0.00051 * (len(kinds) + 1):
            problems.append(f"the concise table sums to {summed:.3f} ms, its total line says {total_ms:.3f} ms")
    return problems


# --------------------------------------------------------------------------- op times


def op_times(tables: ProfileTables) -> tuple[OpTime, ...]:
    """One OpTime per row, in the table's order, which is the execution order. GOPs are 2 * MAC / 1e9 of the op."""
    names = Counter(row.name for row in tables.rows)
    return tuple(_op_time(row, index, names[row.name] > 1) for index, row in enumerate(tables.rows))


def _op_time(row: Row, index: int, repeated: bool) -> OpTime:
    figures = {"gops": row.gops, "last_us": row.last_ms * 1000.0}
    if row.bandwidth_mb is not None:
        figures["bytes"] = row.bandwidth_mb * MB
    if row.parameters_kb is not None:
        figures["parameter_bytes"] = row.parameters_kb * KB
    return OpTime(
        name=f"{row.name}#{index}" if repeated else row.name,
        kind=row.kind,
        unit="NNA",
        category="layout" if row.kind in LAYOUT_KINDS else "compute",
        mean_us=row.average_ms * 1000.0,
        min_us=row.min_ms * 1000.0,
        max_us=row.max_ms * 1000.0,
        figures=figures,
        index=index,
    )
