"""The fixed-width tables of hb_mapper logs: nodes and outputs, in their three generations.

| era        | title                                   | columns after Node, ON, Subgraph, Type        |
| 2021-2023  | The converted model node information:   | [Cosine Similarity, Threshold]                |
| 2024       | The converted model node information:   | Cosine Similarity, Threshold, In/Out DataType |
| 1.x (2025) | The main quantized node information:    | Cosine Similarity, Threshold, DataType        |

A missing cell is blank in old logs and `--` later. Cells are read by their form and, where one is missing, by the
header's position; a cell that may be cut is left out and reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from harness.toolchains.records import OutputAccuracy, PlannedNode
from harness.toolchains.text import Line, dtype_of, number_of

ROW = re.compile(
    r"^(?P<indent>\s*)(?P<name>\S.*?)\s+(?P<on>BPU|CPU)\s+(?P<sub>id\(\d+\)|--)(?:\s+(?P<kind>\S+)(?P<rest>.*))?$"
)
MAX_ROW_CHARACTERS = 2000
HEADER = re.compile(r"^\s*Node\s+ON\s+Subgraph\s+Type\b")
OUTPUT_HEADER = re.compile(r"^\s*(?:Node|Output)\s+Cosine Similarity\s+L1 Distance\s+L2 Distance\s+Chebyshev Distance")
OUTPUT_ROW = re.compile(r"^\s*(?P<name>\S.*?)\s+(?P<numbers>-?\d+\.\d{6}(?:\s+-?\d+\.\d{6}){3})$")
SIX_DECIMALS = re.compile(r"^-?\d+\.\d{6}$")
COSINE = re.compile(r"^-?[01]\.\d{6}$")
DTYPE_PAIR = re.compile(r"^[a-z]+\d*(?:/[a-z]+\d*)?$")


def is_node_header(text: str) -> bool:
    """Whether a line of the log is the heading of the table of nodes."""
    return HEADER.match(text) is not None


def is_node_row(text: str) -> bool:
    """Whether a line of the log is a row of the table of nodes."""
    return _row(text) is not None


def _row(text: str) -> re.Match[str] | None:
    """A dump of arrays on one line is no row, and would take a pattern with blanks in it long to refuse."""
    return ROW.match(text) if len(text) <= MAX_ROW_CHARACTERS and (" BPU " in text or " CPU " in text) else None


def read_node_table(lines: Sequence[Line]) -> tuple[tuple[PlannedNode, ...], tuple[str, ...]]:
    """Nodes in printing order, each row once, and what could not be read."""
    header = next((line.text for line in lines if is_node_header(line.text)), "")
    place = _place(lines, header)
    nodes: dict[PlannedNode, None] = {}
    problems: list[str] = []
    seen_rows = doubled = 0
    for line in lines:
        if is_node_header(line.text):
            header, place = line.text, line.text.index(" ON ") + 1
            continue
        match = _row(line.text)
        if match is None:
            continue
        seen_rows += 1
        if match.start("on") != place:
            problems.append(f"line {line.number}: a row of the node table is shifted or truncated, skipped")
            continue
        node = _node(line, match, header, problems)
        if node is None:
            continue
        doubled += node in nodes
        nodes[node] = None
    if seen_rows and not header:
        problems.append("the node table has no header; columns were guessed")
    if doubled:
        problems.append(f"{doubled} duplicate rows in the node table")
    return _without_conflicts(tuple(nodes), problems), tuple(problems)


def _place(lines: Sequence[Line], header: str) -> int:
    """Where the ON column begins: as the header says, else as most rows do; a row cut in front begins earlier.

    One row alone without a header tells nothing: its name may be cut, so no place fits it.
    """
    if header:
        return header.index(" ON ") + 1
    starts = Counter(match.start("on") for line in lines if (match := _row(line.text)))
    if starts.total() < 2:
        return -1
    return max(starts, key=lambda start: (starts[start], start))


def _without_conflicts(nodes: tuple[PlannedNode, ...], problems: list[str]) -> tuple[PlannedNode, ...]:
    """A name with two different rows: the later one is the tool's last word; cut names may truly repeat."""
    by_name: dict[str, PlannedNode] = {}
    for node in nodes:
        if node.name in by_name and not node.name_is_cut:
            problems.append(f"node {node.name} has two different rows; the later one is used")
        by_name[node.name if not node.name_is_cut else f"{node.name}#{len(by_name)}"] = node
    return tuple(by_name.values())


def _node(line: Line, match: re.Match[str], header: str, problems: list[str]) -> PlannedNode | None:
    name, kind = match["name"], match["kind"] or ""
    if not kind or (not line.whole and not match["rest"]):
        problems.append(f"line {line.number}: node {name} is truncated after its placement ({match['on']}), skipped")
        return None
    cells = _cells(line, match, header, problems)
    if cells is None:
        problems.append(f"line {line.number}: the row of node {name} has more than one row, skipped")
        return None
    inputs, outputs = _dtypes(cells.get("dtype", ""), header)
    subgraph = match["sub"]
    return PlannedNode(
        name=name,
        unit=match["on"],
        kind=kind,
        subgraph=None if subgraph == "--" else int(subgraph[3:-1]),
        input_dtype=inputs,
        output_dtypes=outputs,
        cosine=number_of(cells.get("cosine", "")),
        threshold=number_of(cells.get("threshold", "")),
    )


def _cells(line: Line, match: re.Match[str], header: str, problems: list[str]) -> dict[str, str] | None:
    """Cells after Type, by form and position. None when the row cannot be one row."""
    tokens = [(m.start(), m.group()) for m in re.finditer(r"\S+", line.text) if m.start() >= match.start("rest") >= 0]
    if not match["rest"]:
        return {}
    if len(tokens) > 3 or any(token in ("BPU", "CPU") for _, token in tokens):
        return None
    columns = _columns(header)
    cells: dict[str, str] = {}
    for index, (start, token) in enumerate(tokens):
        if columns and len(tokens) == len(columns):  # nothing is missing: an overlong cell may have pushed the rest
            column = list(columns)[index]
        else:
            column = _column_of(start, token, index, len(tokens), columns)
        if column and (column in cells or not _complete(column, token, index == len(tokens) - 1, columns)):
            column = ""
        if not column:
            problems.append(f"line {line.number}: cell {token!r} of node {match['name']} is truncated or in no column")
            continue
        cells[column] = token
    return cells


def _columns(header: str) -> dict[str, int]:
    names = (("Cosine Similarity", "cosine"), ("Threshold", "threshold"), ("DataType", "dtype"))
    columns = {key: header.find(label) for label, key in names}
    if "In/Out DataType" in header:
        columns["dtype"] = header.find("In/Out DataType")
    return {key: start for key, start in columns.items() if start >= 0}


def _column_of(start: int, token: str, index: int, count: int, columns: dict[str, int]) -> str:
    if DTYPE_PAIR.match(token):
        return "dtype" if not columns or "dtype" in columns else ""
    for key, position in columns.items():
        if abs(start - position) <= 1:
            return key
    if columns:
        return ""
    return ("cosine", "threshold", "dtype")[index] if count == 3 or index == 0 else ""


def _complete(column: str, token: str, last: bool, columns: dict[str, int]) -> bool:
    """A cosine has six decimals in every era. A threshold has six where it is the last column, else any."""
    if token == "--":
        return True
    if column == "cosine":
        return COSINE.match(token) is not None
    if column == "dtype":
        return all(dtype_of(word) for word in token.split("/"))
    if not last:
        return number_of(token) is not None
    return "dtype" not in columns and SIX_DECIMALS.match(token) is not None


def _dtypes(cell: str, header: str) -> tuple[str, tuple[str, ...]]:
    if cell in ("", "--"):
        return "", ()
    words = [dtype_of(word) for word in cell.split("/")]
    return words[0], tuple(words[1:])


def read_output_table(lines: Sequence[Line]) -> tuple[tuple[OutputAccuracy, ...], tuple[str, ...]]:
    """The output table: rows end where the next record with a time stamp begins."""
    rows: dict[OutputAccuracy, None] = {}
    problems: list[str] = []
    inside, place = False, 0
    for line in lines:
        if OUTPUT_HEADER.match(line.text):
            inside, place = True, line.text.index("Cosine Similarity")
            continue
        if not inside or not line.text.strip() or set(line.text.strip()) <= {"-", "="}:
            continue
        match = OUTPUT_ROW.match(line.text) if len(line.text) <= MAX_ROW_CHARACTERS else None
        if match and _in_place(match, place):
            rows[_output(match)] = None
        elif line.stamped:
            inside = False
        else:
            problems.append(f"line {line.number}: incomplete row of the output table: {line.text.strip()[:60]!r}")
    return tuple(rows), tuple(problems)


def _in_place(match: re.Match[str], place: int) -> bool:
    """The numbers begin below their header; behind a name too long for its column they begin later, never earlier."""
    start = match.start("numbers")
    return start == place or (start > place and start == match.end("name") + 2)


def _output(match: re.Match[str]) -> OutputAccuracy:
    cosine, l1, l2, chebyshev = (float(token) for token in match["numbers"].split())
    return OutputAccuracy(match["name"], cosine, l1, l2, chebyshev)
