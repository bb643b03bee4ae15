"""What Magik's PC tools and Venus' programs print: transform log with its cosine tables, dump log, board console."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.platforms.magik.dumps import board_dumps, pc_dumps
from harness.platforms.magik.failures import known_failures
from harness.platforms.magik.profile import ProfileTables, read_profile
from harness.platforms.magik.text import read_boxes, read_nmem, read_times_us, read_versions, skew
from harness.records import Message
from harness.toolchains.base import FileProbe, FileReader, text_reader
from harness.toolchains.curves import Curve, evidence, symptom
from harness.toolchains.magik.curves import SIDES, losing_side, outliers
from harness.toolchains.records import Artifact, PlannedNode, Similarity
from harness.toolchains.text import Line, counts_of, lines_of

TOOL = re.compile(r"INFO\((magik\w*)\): (magik[\w -]*?) version:([0-9][\w.]*)\(([0-9a-f]+_\w+)\)")
RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}: ([IWE]) (\S+?):(\d+) ?-(\w+)\] (.+)$")
BANNER = re.compile(r"<<<.*?\b(\w+?)_compute_distance\b.*>>>")
HEADER = re.compile(r"^feature name\s+(\S.*)$")
FIGURE = re.compile(r"^-?[0-9]{1,40}\.[0-9]{5}$")
DUMPED = re.compile(r"Data dumping to:\S*?([^/\s]+\.bin)--->shape:\[([0-9,]+)\]")
SUCCESS = "Convert successfully, Enjoy it"
# The column's words in the tables, cut at ten letters in the newer one.
COLUMNS = {
    "cosine_avg": "cosine",
    "cosine_min": "cosine_min",
    "cosine_max": "cosine_max",
    "euc_distan": "euclid",
    "euclidean": "euclid",
    "stand_devi": "deviation",
    "max_absolu": "max_abs",
    "max_abs_0~1": "max_abs_normalised",
}
RULES = {"A": "M-601", "B": "M-602", "C": "M-603"}
MEANINGS = (
    ("Invalid json", "the json of --ptq_config_path is damaged, or the path is wrong: see harness lint FILE"),
    ("Not found QuantizeOperation function", "this op has no quantizing function and stays as it is"),
    ("Multiple output NOp exists", "the network has several outputs on one path; harmless where all are named"),
    ("weight_quantize_devices is empty", "no device is set for weights; harmless"),
    ("Succeedly Generate Model Config File", "./magik.cfg was written; nothing was converted"),
)


@dataclass(frozen=True)
class DistanceTable:
    """One cosine table: quantized against float, per feature, in the network's order. `kind` is "ptq_model",
    "feature_fake_quant", "weight_fake_quant", or "" where no banner stands above it."""

    kind: str
    rows: tuple[Similarity, ...]
    damaged: int = 0


def distance_tables(lines: Sequence[Line]) -> tuple[DistanceTable, ...]:
    """Every cosine table of a log. Columns are found by the header's words; a row of another form is counted."""
    tables: list[DistanceTable] = []
    kind, columns, rows, damaged = "", (), [], 0  # type: str, tuple[str, ...], list[Similarity], int
    for line in lines:
        if banner := BANNER.search(line.text):
            tables += _table(kind, rows, damaged)
            kind, columns, rows, damaged = banner[1], (), [], 0
        elif header := HEADER.match(line.text.strip()):
            tables += _table(kind, rows, damaged)
            columns, rows, damaged = tuple(COLUMNS.get(word, word) for word in header[1].split()), [], 0
        elif columns and (row := _row(line, columns)):
            rows.append(row)
        elif columns and any(map(FIGURE.match, line.text.split())):
            damaged += 1
    return (*tables, *_table(kind, rows, damaged))


def _table(kind: str, rows: list[Similarity], damaged: int) -> list[DistanceTable]:
    return [DistanceTable(kind, tuple(row for row in rows), damaged)] if rows else []


def _row(line: Line, columns: tuple[str, ...]) -> Similarity | None:
    words = line.text.split()
    figures = words[-len(columns) :]
    name = line.text.strip().rsplit(None, len(columns))[0] if len(words) > len(columns) else ""
    if not name or not all(map(FIGURE.match, figures)) or FIGURE.match(name.split()[-1]):
        return None
    metrics = {column: float(figure) for column, figure in zip(columns, figures, strict=True)}
    if abs(metrics.get("cosine", 0.0)) > 1.00001:
        return None
    return Similarity(name, metrics=metrics)


# --------------------------------------------------------------------------- transform log


def read_transform_log(text: str) -> Artifact:
    """Versions, messages, tables and the end of magik-transform-tools; a cosine table alone is read too."""
    lines = list(lines_of(text))
    tables = distance_tables(lines)
    main = next((t for t in tables if t.kind in ("ptq_model", "")), tables[0] if tables else None)
    messages = [message for line in lines if (message := _message(line))]
    damaged = sum(table.damaged for table in tables)
    failed = any(message.severity == "error" for message in messages)
    return Artifact(
        kind="magik_transform_log",
        title="output of magik-transform-tools",
        versions={m[2].strip(): m[3] for line in lines if (m := TOOL.search(line.text))},
        finished=True if SUCCESS in text else False if failed else None,
        nodes=tuple(_node(row) for row in main.rows) if main else (),
        similarities=tuple(
            Similarity(row.name, kind=table.kind, metrics=row.metrics) for table in tables for row in table.rows
        ),
        messages=tuple(dict.fromkeys(messages)),
        facts=_symptoms(main, tables) if main else {},
        problems=(f"{damaged} rows of the cosine tables are damaged, left out",) if damaged else (),
    )


def _curve(table: DistanceTable) -> Curve:
    rows = [row for row in table.rows if "cosine" in row.metrics]
    return Curve(tuple(row.name for row in rows), tuple(row.metrics["cosine"] for row in rows))


def _symptoms(main: DistanceTable, tables: Sequence[DistanceTable]) -> dict[str, object]:
    """The symptom of the vendor's guide, with the rule that a run shows it by, and what the other tables add."""
    curve = _curve(main)
    facts: dict[str, object] = {"tables": ", ".join(f"{t.kind or 'cosine'}: {len(t.rows)} rows" for t in tables)}
    if kind := symptom(curve):
        facts["symptom"] = f"{kind} ({RULES[kind]}): {evidence(curve)}"
    sides = {table.kind: _curve(table) for table in tables if table.kind in SIDES}
    differences = [(row.name, row.metrics["max_abs"]) for row in main.rows if "max_abs" in row.metrics]
    more = {
        "losing_side": losing_side(curve, sides),
        "outlier": outliers([name for name, _ in differences], [one for _, one in differences], curve),
    }
    return facts | {key: text for key, text in more.items() if text}


def _node(row: Similarity) -> PlannedNode:
    return PlannedNode(name=row.name, unit="", kind="", cosine=row.metrics.get("cosine"))


def _message(line: Line) -> Message | None:
    match = RECORD.match(line.text)
    if match is None or not line.whole:
        return None
    severity = {"I": "note", "W": "warning", "E": "error"}[match[1]]
    meaning = next((meaning for mark, meaning in MEANINGS if mark in match[5]), "")
    return Message(severity, match[5], meaning, line.number) if meaning or severity != "note" else None


def _is_transform_log(text: str) -> bool:
    lines = text.splitlines()
    return any(
        (HEADER.match(line.strip()) and any(column in line for column in COLUMNS))
        or RECORD.match(line)
        or "magik-transform-tools version:" in line
        for line in lines
    )


# --------------------------------------------------------------------------- dump log, bits, board


def read_dump_log(text: str) -> Artifact:
    """Shapes by file name of magik_executor's log."""
    read = {match[1]: counts_of(match[2]) for match in DUMPED.finditer(text)}
    shapes = {name: list(sizes) for name, sizes in read.items() if sizes}
    return Artifact(
        kind="magik_dump_log",
        title="log of magik_executor (shapes of MAGIK_DATA_DUMP)",
        versions={m[2].strip(): m[3] for line in lines_of(text) if (m := TOOL.search(line.text))},
        facts={"files": len(read), "shapes": shapes},
        problems=tuple(f"{name}: shape cannot be read" for name, sizes in read.items() if not sizes),
    )


def _is_bits(text: str) -> bool:
    return text.lstrip().startswith("{") and '"QUANT_FEATURE_BIT"' in text


def read_bits(text: str) -> Artifact:
    """magik_node_quant_bit_info.json: bits and range per node."""
    title = "magik_node_quant_bit_info.json"
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Artifact("magik_bits", title, problems=(f"not readable as JSON: {error}",))
    rows = [(str(name), row) for name, row in loaded.items() if isinstance(row, Mapping)]
    nodes = tuple(
        PlannedNode(name, "", "", output_dtypes=(f"u{bits}",) if isinstance(bits, int) else ())
        for name, row in rows
        for bits in (row.get("QUANT_FEATURE_BIT"),)
    )
    return Artifact("magik_bits", title, nodes=nodes, facts={"nodes": len(nodes)})


def _is_board(text: str) -> bool:
    marks = (
        "INFO(magik): venus version:",
        "===== Concise Dispatch",
        "===== Detailed Dispatch",
        "[I/magik::venus]",
        "[E/magik::venus]",
    )
    return any(mark in text for mark in marks) or read_nmem(text) is not None


def _partial(tables: ProfileTables) -> list[str]:
    if not tables.rows or not tables.is_partial:
        return []
    return [f"the profiler's table has no total line: the sum of its {len(tables.rows)} rows is partial"]


def _figures(row: Mapping[str, object]) -> dict[str, object]:
    """A row without columns that this layout does not have; shapes are only of use with the model."""
    return {key: value for key, value in row.items() if value is not None and key != "shapes"}


def read_board(text: str) -> Artifact:
    """Console of a Venus program, or nmem_memory.txt: what a run would read of it."""
    tables, nmem = read_profile(text), read_nmem(text)
    facts = {
        "times_us": read_times_us(text),
        "boxes": [vars(box) for box in read_boxes(text)],
        "profile_layout": tables.layout,
        "profile_rows": len(tables.rows),
        "profile_sum_ms": None if tables.sum_ms is None else round(tables.sum_ms, 6),
        "profile_gops": round(sum(row.gops for row in tables.rows or tables.kinds), 6),
        "profile_kinds": [_figures(vars(kind)) for kind in tables.kinds],
        "profile_ops": [_figures(vars(row)) for row in tables.rows],
        "nmem": nmem.values if nmem else {},
    }
    return Artifact(
        kind="venus_log",
        title="output of a Magik program",
        versions=read_versions(text),
        messages=(*(Message("warning", text_of_skew, "") for text_of_skew in skew(text)), *_failures(text)),
        facts={key: value for key, value in facts.items() if value},
        problems=(*tables.problems, *(_partial(tables)), *(nmem.problems if nmem else ())),
    )


def _failures(text: str) -> tuple[Message, ...]:
    """Errors that the libraries' own words name, with what to do."""
    return tuple(
        Message("error", failure.evidence, "; ".join(part for part in (failure.message, failure.hint) if part))
        for failure in known_failures(text)
    )


def _is_dumps(probe: FileProbe) -> bool:
    return probe.path.is_dir() and bool(board_dumps(probe.path) or pc_dumps(probe.path))


def _read_dumps(probe: FileProbe) -> Artifact:
    """A board's debug dumps or a PC's: how many of what, shapes where the executor's log tells them."""
    board = board_dumps(probe.path)
    dumps = board or pc_dumps(probe.path)
    shapes = {dump.name: f"{dump.spec.dtype} {list(dump.spec.shape)}" for dump in dumps if dump.spec is not None}
    facts = {
        "side": "board" if board else "PC",
        **Counter(dump.role for dump in dumps),
        "tensors": shapes,
    }
    untold = sum(dump.spec is None for dump in dumps if dump.role == "output")
    problems = (f"{untold} layers of unknown shape (only magik_executor's log has it)",) if untold else ()
    kind = "magik_board_dumps" if board else "magik_pc_dumps"
    return Artifact(kind, "dumps of a Magik debug program" if board else "dumps of Magik's PC tools",
                    facts={key: value for key, value in facts.items() if value}, problems=problems)  # fmt: skip


READERS = (
    FileReader("magik_dumps", "folder of Magik dumps", _is_dumps, _read_dumps),
    text_reader("magik_bits", "magik_node_quant_bit_info.json", _is_bits, read_bits),
    text_reader("venus_log", "output of a Magik program", _is_board, read_board),
    text_reader("magik_dump_log", "log of magik_executor", lambda text: DUMPED.search(text) is not None, read_dump_log),
    text_reader("magik_transform_log", "output of magik-transform-tools", _is_transform_log, read_transform_log),
)
