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
from dataclasses import dataclass

from harness.toolchains.records import OutputAccuracy, PlannedNode
from harness.toolchains.same_nodes import filled, match_nodes
from harness.toolchains.text import Line, count_of, dtype_of, number_of

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
    """Nodes in printing order and what could not be read.

    Every row of a table is a node, also where two rows are equal in every cell: names are cut. Only a table that is
    repeated as a whole counts once; of two tables of one network the later one is the tool's last word.
    """
    tables = _tables(lines)
    problems: list[str] = []
    if len(tables) == 1 and tables[0].rows and not tables[0].header:
        problems.append("the node table has no header; columns were guessed")
    read = [nodes for table in tables if (nodes := table.read(problems))]
    different = list(dict.fromkeys(read))
    if len(different) < len(read):
        problems.append(f"the node table is printed {len(read) - len(different) + 1} times; it counts once")
    merged: tuple[PlannedNode, ...] = ()
    for nodes in different:
        merged = _updated(merged, nodes, problems)
    return merged, tuple(problems)


@dataclass
class _NodeTable:
    """The rows below one header. `copies`: how often each line was printed, as a console with two handlers does."""

    header: str
    rows: list[Line]
    copies: int = 1

    def read(self, problems: list[str]) -> tuple[PlannedNode, ...]:
        place = _place(self.rows, self.header)
        nodes = [node for line in self._rows_once() if (node := self._node(line, place, problems)) is not None]
        counts = Counter(node.name for node in nodes if not node.name_is_cut)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            problems.append(f"{len(repeated)} names with several rows in one node table, first: {repeated[0]}")
        return tuple(nodes)

    def _node(self, line: Line, place: int, problems: list[str]) -> PlannedNode | None:
        match = _row(line.text)
        if match is None or match.start("on") != place:
            problems.append(f"line {line.number}: a row of the node table is shifted or truncated, skipped")
            return None
        return _node(line, match, self.header, problems)

    def _rows_once(self) -> list[Line]:
        """Rows without the copies of a console that prints each line several times."""
        count = self.copies
        groups = [self.rows[start : start + count] for start in range(0, len(self.rows), count)]
        if count > 1 and all(len({line.text for line in group}) == 1 and len(group) == count for group in groups):
            return [group[0] for group in groups]
        return self.rows


def _tables(lines: Sequence[Line]) -> list[_NodeTable]:
    tables = [_NodeTable("", [])]
    for line in lines:
        if is_node_header(line.text):
            if tables[-1].header == line.text and not tables[-1].rows:
                tables[-1].copies += 1
            else:
                tables.append(_NodeTable(line.text, []))
        elif _row(line.text) is not None:
            tables[-1].rows.append(line)
    return [table for table in tables if table.rows]


def _updated(
    earlier: tuple[PlannedNode, ...], later: tuple[PlannedNode, ...], problems: list[str]
) -> tuple[PlannedNode, ...]:
    """Both tables in one, in the later one's words where they differ."""
    if not earlier:
        return later
    pairs = match_nodes(earlier, later)
    differing = [later[j].name for i, j in pairs.items() if _differ(earlier[i], later[j])]
    if differing:
        problems.append(f"{len(differing)} nodes have two different rows, first: {differing[0]}; the later one is used")
    nodes = [filled(later[pairs[i]], node) if i in pairs else node for i, node in enumerate(earlier)]
    met = set(pairs.values())
    return (*nodes, *(node for j, node in enumerate(later) if j not in met))


def _differ(one: PlannedNode, other: PlannedNode) -> bool:
    """Whether a cell that both rows have is not the same."""
    keys = ("unit", "subgraph", "cosine", "threshold", "input_dtype")
    values = [(getattr(one, key), getattr(other, key)) for key in keys]
    return any(mine not in (None, "") and theirs not in (None, "") and mine != theirs for mine, theirs in values)


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
        subgraph=None if subgraph == "--" else count_of(subgraph[3:-1]),
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
    """The output table: rows end where the next record with a time stamp begins; a repeated table counts once."""
    tables: list[list[OutputAccuracy]] = []
    problems: list[str] = []
    inside, place = False, 0
    for line in lines:
        if OUTPUT_HEADER.match(line.text):
            inside, place = True, line.text.index("Cosine Similarity")
            tables.append([])
            continue
        if not inside or not line.text.strip() or set(line.text.strip()) <= {"-", "="}:
            continue
        match = OUTPUT_ROW.match(line.text) if len(line.text) <= MAX_ROW_CHARACTERS else None
        if match and _in_place(match, place):
            tables[-1].append(_output(match))
        elif line.stamped:
            inside = False
        else:
            problems.append(f"line {line.number}: incomplete row of the output table: {line.text.strip()[:60]!r}")
    once = dict.fromkeys(tuple(table) for table in tables)
    return tuple(row for table in once for row in table), tuple(problems)


def _in_place(match: re.Match[str], place: int) -> bool:
    """The numbers begin below their header; behind a name too long for its column they begin later, never earlier."""
    start = match.start("numbers")
    return start == place or (start > place and start == match.end("name") + 2)


def _output(match: re.Match[str]) -> OutputAccuracy:
    cosine, l1, l2, chebyshev = (float(token) for token in match["numbers"].split())
    return OutputAccuracy(match["name"], cosine, l1, l2, chebyshev)
