"""HTML pages of hb_perf and hbm_perf, and what an HMCT tuning leaves: its report and its folder.

A page's tables are read by their labels, wherever they stand: `Model Latency(ms)` beside its figure or above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

from harness.toolchains.base import FileProbe, FileReader, text_reader
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.records import Artifact
from harness.toolchains.text import lines_of, number_of, pipe_tables

LABEL = re.compile(
    r"^(?:Model|Total|Loaded|Stored|DDR|BPU|Frame|FPS|Latency|HBDK)[A-Za-z0-9 ]{0,60}?\s*(?:\([\w/%]+\))?\s*:?$"
)
PAGE = re.compile(r"Model Performance Summary|Model Latency\s*\(|hbm?_perf|Total DDR bytes per frame")
SEGMENT = re.compile(r"^\S*subgraph_\d+$")
REPORT_COLUMNS = ("phase", "output cosine similarity")
TUNING_FOLDER = re.compile(r"^(?:output_\w+|threshold_[\d.]+)$")
TUNING_FILES = ("quant_config.json", "hmct.log", "tuning_report.md", "final_quant_config.json")
MOST_FOLDERS = 64


class _Cells(HTMLParser):
    """Rows of cells, as text; what stands outside of tables is one cell per piece of text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = [[]]
        self.cell: list[str] | None = None
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("tr", "p", "div", "li", "br", "table"):
            self.rows.append([])
        self.hidden += tag in ("script", "style")
        if tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")
        if tag in ("td", "th") and self.cell is not None:
            self.rows[-1].append(" ".join(" ".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.hidden > 0 or not data.strip():
            return
        if self.cell is not None:
            self.cell.append(data)
        else:
            self.rows[-1] += [" ".join(piece.split()) for piece in data.split("\n") if piece.strip()]


def _is_page(text: str) -> bool:
    return re.search(r"<(?:html|table|!doctype)", text[:4000], re.IGNORECASE) is not None and bool(PAGE.search(text))


def _read_page(text: str) -> Artifact:
    """Figures by label, and one row per subgraph; a page without its summary says so."""
    parser = _Cells()
    facts: dict[str, object] = {}
    problems: list[str] = []
    try:
        parser.feed(text)
        is_whole = "<" not in parser.rawdata  # what waits for an end that never came
    except (AssertionError, ValueError):  # html.parser on `<![foo[`, and on a character's number of 5,000 digits
        is_whole = False
    if not is_whole:
        problems.append(f"damaged: not read from line {parser.getpos()[0]} on")
    rows = [row for row in parser.rows if row]
    for label, value in _labelled(rows):
        if facts.setdefault(label, value) != value:
            problems.append(f"{label} stands there twice, with other values; the first is shown")
    segments = list(_segments(rows))
    if segments:
        facts["subgraphs"] = segments
    if not any("atency" in label for label in facts):
        problems.append("no latency in it: damaged, or a page of another version")
    return Artifact("hb_perf_page", "hb_perf page", facts=facts, problems=tuple(dict.fromkeys(problems)))


def _labelled(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, object]]:
    """Label and figure, side by side or one above the other."""
    for place, row in enumerate(rows):
        labels = [LABEL.match(cell) for cell in row]
        below = rows[place + 1] if place + 1 < len(rows) else ()
        if len(row) > 1 and all(labels) and len(below) == len(row):
            yield from ((cell.rstrip(" :"), _value(value)) for cell, value in zip(row, below, strict=True))
            continue
        for cell, match, value in zip(row, labels, row[1:], strict=False):
            if match is not None and not LABEL.match(value):
                yield cell.rstrip(" :"), _value(value)


def _value(text: str) -> object:
    number = number_of(text.replace(",", ""))
    return text[:200] if number is None else number


def _segments(rows: Sequence[Sequence[str]]) -> Iterator[dict[str, object]]:
    """Rows that begin with a subgraph's name, under the header above them."""
    header: Sequence[str] = ()
    for row in rows:
        if len(row) > 1 and SEGMENT.match(row[0]) and len(header) == len(row):
            yield {name: _value(cell) for name, cell in zip(header, row, strict=True)}
        elif len(row) > 1 and not SEGMENT.match(row[0]):
            header = row


# --------------------------------------------------------------------------- tuning


def _is_report(text: str) -> bool:
    return any({*REPORT_COLUMNS} <= {c.lower() for c in table.columns} for table in pipe_tables(list(lines_of(text))))


def _read_report(text: str) -> Artifact:
    """tuning_report.md: one row per phase, with its cosine and whether it met the threshold."""
    rows: list[dict[str, object]] = []
    damaged = 0
    for table in pipe_tables(list(lines_of(text))):
        names = [column.lower() for column in table.columns]
        if {*REPORT_COLUMNS} <= {*names}:
            rows += [{name: _value(cell) for name, cell in zip(names, row, strict=True) if name} for row in table.rows]
            damaged += table.damaged
    problems = (f"{damaged} truncated table rows skipped",) if damaged else ()
    return Artifact("tuning_report", "HMCT tuning report", facts={"phases": rows}, problems=problems)


def _is_tuning_folder(probe: FileProbe) -> bool:
    if not probe.path.is_dir():
        return False
    phases = [path for path in probe.path.iterdir() if path.is_dir() and TUNING_FOLDER.match(path.name)]
    own = {path.name for path in probe.path.iterdir() if path.is_file()} & {*TUNING_FILES}
    return any((path / name).is_file() for path in phases for name in TUNING_FILES) or len(own) > 1


def _read_tuning_folder(probe: FileProbe) -> Artifact:
    """One row per phase folder (and its threshold rounds): what it holds, and the outputs' cosines of its log."""
    inside = sorted(path for path in probe.path.rglob("*") if path.is_dir() and TUNING_FOLDER.match(path.name))
    folders = [probe.path, *inside[:MOST_FOLDERS]]
    rows = [row for folder in folders if (row := _phase(folder, probe)) is not None]
    problems = [f"{len(inside) - MOST_FOLDERS} more folders were not read"] if len(inside) > MOST_FOLDERS else []
    problems += [f"{row['phase']}: no cosine in its hmct.log" for row in rows if row["cosine"] == "" and row["log"]]
    facts: dict[str, object] = {"phases": rows}
    return Artifact("tuning_folder", "folder of an HMCT tuning", facts=facts, problems=tuple(problems))


def _phase(folder: Path, probe: FileProbe) -> dict[str, object] | None:
    files = [name for name in TUNING_FILES if (folder / name).is_file()]
    if not files:
        return None
    log = folder / "hmct.log"
    outputs = read_build_log(FileProbe(log).text).outputs if log.is_file() else ()
    cosines = [one.cosine for one in outputs if one.cosine is not None]
    return {
        "phase": str(folder.relative_to(probe.path)),
        "files": ", ".join(files),
        "log": log.is_file(),
        "outputs": len(cosines),
        "cosine": min(cosines) if cosines else "",
    }


READERS = (
    FileReader("tuning_folder", "folder of an HMCT tuning", _is_tuning_folder, _read_tuning_folder),
    text_reader("hb_perf_page", "hb_perf page (html)", _is_page, _read_page),
    text_reader("tuning_report", "HMCT tuning report", _is_report, _read_report),
)
