"""What a Venus program prints, in the formats of its releases: INFO lines, the sample's lines, the profiler's tables.

Layouts of the tables: "0.8", "0.9.0", "0.9.3", "0.9.6", with their quirks: `DispatchProfiler` without a blank in the
detailed title, percent signs without width, names that push a row to the right or are cut to 15 characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LAYOUTS = ("0.8", "0.9.0", "0.9.3", "0.9.6")
GREEN, RED, PLAIN, END = "\033[1;32;40m", "\033[0;32;31m", "\033[m", "\033[0m"
VENUS = "[I/magik::venus]: "
_HEADER = (
    "LayerName OperatorType InputShape OutputShape FilterShape Stride Pad Dila "
    "Avg(ms) Max(ms) Min(ms) Last(ms) Avg(%) GOPs BandWidth(MB) ParamBandWidth(KB)"
)
_WIDTHS = (20, 18, 16, 16, 16, 9, 12, 9, 7, 7, 7, 8, 7, 7, 7, 7)
_COLUMNS = {"0.8": 14, "0.9.0": 15, "0.9.3": 16, "0.9.6": 16}
_STARTS_096 = (0, 19, 40, 57, 74, 89, 96, 107, 114, 123, 132, 141, 150, 159, 168, 179, 187)
_CONCISE_STARTS_096 = (0, 21, 29, 37, 45, 53, 62, 75)
CUT = 15  # characters of a name that 0.9.6 prints


@dataclass(frozen=True)
class Timed:
    """One op as the profiler knows it. Times in ms per run, warm-ups excluded."""

    name: str
    kind: str
    shapes: tuple[str, str, str, str, str, str]  # input, output, filter, stride, pad, dilation
    average_ms: float
    max_ms: float
    min_ms: float
    last_ms: float
    gops: float
    bandwidth_mb: float
    parameters_kb: float


def info(text: str) -> str:
    """A line of information as the tool colours it."""
    return f"{GREEN}INFO(magik): {text}{END}"


def error(text: str) -> str:
    """An error line as the library colours it."""
    return f"{RED}[E/magik::venus]: {PLAIN}{text}"


def shape(sizes: Sequence[int]) -> str:
    """Sizes as the tool prints them, `{1,16,20,3}`; `N/A` without any."""
    return "{" + ",".join(map(str, sizes)) + "}" if sizes else "N/A"


# --------------------------------------------------------------------------- tables


def tables(layout: str, ops: Sequence[Timed], cycles: int) -> list[str]:
    """Both tables as lines; the detailed one comes first but in 0.8.x, whose figures stand apart."""
    return [*detailed(layout, ops, cycles), "", *concise(layout, ops, cycles)]


def detailed(layout: str, ops: Sequence[Timed], cycles: int) -> list[str]:
    """`Exclude 5warm-ups` has no blank in the original; 0.8.x excludes none."""
    warm = 0 if layout == "0.8" else 5
    whole = sum(op.average_ms for op in ops) or 1.0
    lines = [VENUS, f"Timing cycle = {cycles}"]
    lines.append(f"===== Detailed DispatchProfiler Summary: N/A, Exclude {warm}warm-ups =====")
    lines.append(_detailed_header(layout))
    row = _short_row if layout == "0.9.6" else _long_row
    return [*lines, *(row(layout, op, op.average_ms / whole * 100.0) for op in ops)]


def _detailed_header(layout: str) -> str:
    words = _HEADER.split()[: _COLUMNS[layout]]
    if layout == "0.9.6":
        return _at(_STARTS_096, words)
    return " ".join(word.ljust(width) for word, width in zip(words, _WIDTHS, strict=False)).rstrip()


def _long_row(layout: str, op: Timed, percent: float) -> str:
    words = [op.name, op.kind, *op.shapes, f"{op.average_ms:.3f}", f"{op.max_ms:.3f}", f"{op.min_ms:.3f}"]
    words.append(f"{op.last_ms:.4f}")
    head = "".join(word.ljust(width) + " " for word, width in zip(words, _WIDTHS, strict=False))
    tail = [f"{op.gops:.3f}", f"{op.bandwidth_mb:.3f}", f"{op.parameters_kb:.2f}"][: _COLUMNS[layout] - 13]
    return f"{head}{percent:.2f}%   " + "".join(word.ljust(7) + " " for word in tail)


def _short_row(_layout: str, op: Timed, percent: float) -> str:
    name = op.name if len(op.name) <= CUT + 2 else op.name[:CUT] + ".."
    times = [f"{value:.2f}" for value in (op.average_ms, op.max_ms, op.min_ms, op.last_ms)]
    tail = [f"{percent:.2f}", f"{op.gops:.3f}", f"{op.bandwidth_mb:.3f}", f"{op.parameters_kb:.2f}"]
    return _at(_STARTS_096, [name, op.kind, *op.shapes, *times, *tail])


def _at(starts: Sequence[int], words: Sequence[str]) -> str:
    """Words at columns; one that is too long pushes the rest, with one blank kept."""
    line = ""
    for start, word in zip(starts, words, strict=False):
        line = line.ljust(start) if len(line) < start else line + " "
        line += word
    return line + " "


def concise(layout: str, ops: Sequence[Timed], cycles: int) -> list[str]:
    """The summary by kind of operator, in the columns of a tool's version (`layout`); times in ms."""
    warm = 0 if layout == "0.8" else 5
    whole = sum(op.average_ms for op in ops) or 1.0
    lines = [VENUS, f"Timing cycle = {cycles}"]
    lines.append(f"===== Concise Dispatch Profiler Summary: N/A, Exclude {warm} warm-ups =====")
    words = ["OperatorType", "Avg(ms)", "Max(ms)", "Min(ms)", "Avg(%)", "GOPs"]
    words += {"0.8": [], "0.9.0": [], "0.9.3": ["BandWidth(MB)"], "0.9.6": ["TotalBW(MB)"]}[layout]
    lines.append(_concise_line(layout, [*words, "CalledTimes"]))
    for kind in sorted({op.kind for op in ops}):
        lines.append(_concise_line(layout, _concise_words(layout, kind, [op for op in ops if op.kind == kind], whole)))
    if layout in ("0.9.3", "0.9.6"):
        lines += ["----------------", f"Total: {sum(op.average_ms for op in ops):.3f} ms"]
    return lines


def _concise_words(layout: str, kind: str, ops: Sequence[Timed], whole: float) -> list[str]:
    sums = [sum(getattr(op, name) for op in ops) for name in ("average_ms", "max_ms", "min_ms")]
    percent = sums[0] / whole * 100.0
    mark = {"0.8": f"{percent:.2f}%  ", "0.9.0": f"{percent:.2f}%  ", "0.9.3": f"{percent:<5.2f}% "}
    words = [kind, *(f"{value:.3f}" for value in sums), mark.get(layout, f"{percent:.2f}")]
    words.append(f"{sum(op.gops for op in ops):.3f}")
    if layout in ("0.9.3", "0.9.6"):
        words.append(f"{sum(op.bandwidth_mb for op in ops):.3f}")
    return [*words, str(len(ops))]


def _concise_line(layout: str, words: Sequence[str]) -> str:
    if layout == "0.9.6":
        return _at(_CONCISE_STARTS_096, words)
    widths = (20, 7, 7, 7, 7, 7, 12, 11) if len(words) == 8 else (20, 7, 7, 7, 7, 7, 11)
    return " ".join(word.ljust(width) for word, width in zip(words, widths, strict=True))


# --------------------------------------------------------------------------- nmem


def nmem_old(total_kb: int, used_kb: int) -> str:
    """The file of venus up to 0.9.3."""
    free = total_kb - used_kb
    share = used_kb / total_kb * 100.0
    return f"nmem total = {total_kb}K\nnmem used  = {used_kb}K\nnmem free  = {free}K\n#### %{share:.2f} ####\n"


def nmem_new(total_kb: int, reference_kb: int, peak_kb: int, current_kb: int) -> str:
    """The later file. `free` and `peak %` count 64K more than `used peak` says."""
    with_margin = peak_kb + 64
    return (
        f"nmem total = {total_kb}K\nnmem reference peak  = {reference_kb}K\nnmem used peak  = {peak_kb}K\n"
        f"nmem current used  = {current_kb}K\nnmem free  = {total_kb - with_margin}K\n"
        f"#### peak %{with_margin / total_kb * 100.0:.2f} ####\n"
        f"#### real %{current_kb / total_kb * 100.0:.2f} ####\n"
    )


def overwritten(earlier: str, later: str) -> str:
    """A file opened with "r+" and never truncated: the tail of the longer text stays."""
    return later + earlier[len(later) :]
