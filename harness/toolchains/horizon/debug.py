"""Readers of the accuracy debuggers: sensitivity tables, QAT similarity, weight comparison, vec_diff."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from harness.toolchains.records import Artifact, Similarity
from harness.toolchains.text import Line, lines_of, number_of, pipe_tables

TITLE = re.compile(r"^=+\s*(?P<what>node|weight|activation|normal)?(?: sensitivity)?\s*=+$")
HEADER = re.compile(
    r"^[Nn]ode\s+(?:(?:threshold|bit)\s+)*(?P<metrics>(?:cosine-similarity|mse|mre|sqnr|chebyshev)\b.*)$"
)
METRIC_WORDS = {
    "Similarity": "cosine",
    "Acc Error (float atol)": "atol",
    "Acc Error (N out_qscale)": "error_out_scales",
    "Op Error with Same Input (N out_qscale)": "op_error_out_scales",
    "Atol": "atol",
    "cosine-similarity": "cosine",
    "Cosine Similarity": "cosine",
    "Relative Euclidean Distance": "relative_l2",
    "Max Absolute Error": "max_abs",
    "Mean Square Error": "mse",
}
QAT_TYPE = re.compile(r"<class '(?:[\w.]*\.)?(?P<name>\w+)'>")


def read_sensitivity(text: str) -> Artifact:
    """get_sensitivity_of_nodes: the printed table, or the returned dict. The first row is the most sensitive."""
    lines = list(lines_of(text))
    rows, problems, title = _table(lines)
    if not rows:
        rows, dict_problems = _dict(text)
        problems = dict_problems if rows else [*problems, *dict_problems]
    facts = {"of": title} if title else {}
    return Artifact("sensitivity", "sensitivity table", similarities=tuple(rows), facts=facts, problems=tuple(problems))


def _table(lines: Sequence[Line]) -> tuple[list[Similarity], list[str], str]:
    columns: list[str] = []
    rows: list[Similarity] = []
    problems: list[str] = []
    title, place = "", 0
    for line in lines:
        text = line.text.strip()
        if len(text) < 200 and (title_match := TITLE.match(text)):
            title = title_match["what"] or title
        elif HEADER.match(text):
            columns, place = text.split()[1:], _second_column(line.text)
        elif columns and text and set(text) - set("-="):
            row = _row(text, columns, line.whole) if _in_place(line.text, place) else None
            if row:
                rows.append(row)
            elif not line.stamped:
                problems.append(f"line {line.number}: incomplete row: {text[:50]!r}")
    return rows, problems, title


def _in_place(text: str, place: int) -> bool:
    """Behind a name that is too long for its column the numbers begin later, after one blank; never earlier."""
    start = _second_column(text)
    return start == place or (start > place and text[start - 2 : start - 1] != " ")


def _second_column(text: str) -> int:
    """Where the second cell begins: a row that is cut in front has it elsewhere than the header."""
    match = re.match(r"\s*\S+\s+", text)
    return match.end() if match else -1


def _row(text: str, columns: Sequence[str], whole: bool) -> Similarity | None:
    cells = text.split()
    numbers = [number_of(cell) for cell in cells[1:]]
    if len(numbers) != len(columns) or any(number is None for number in numbers) or not whole:
        return None
    values = {METRIC_WORDS.get(c, c): n for c, n in zip(columns, numbers, strict=True) if n is not None}
    return Similarity(cells[0], metrics=values)


def _dict(text: str) -> tuple[list[Similarity], list[str]]:
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return [], ["no sensitivity table and no dict in it"]
    try:
        value: Any = ast.literal_eval(text[start : end + 1])
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return [], ["the dict is truncated or damaged"]
    rows, problems = [], []
    for name, metrics in value.items() if isinstance(value, dict) else ():
        numbers = {
            METRIC_WORDS.get(str(key), str(key)): number_of(str(one))
            for key, one in (metrics.items() if isinstance(metrics, dict) else ())
        }
        if not numbers or any(one is None for one in numbers.values()):
            problems.append(f"entry {name!r} holds no numbers")
            continue
        rows.append(Similarity(str(name), metrics={k: v for k, v in numbers.items() if v is not None}))
    return rows, problems


def read_qat_table(text: str) -> Artifact:
    """similarity.txt, ordered_op_error_similarity.txt and weight_comparsion.txt of horizon_plugin_pytorch."""
    rows: list[Similarity] = []
    damaged = 0
    for table in pipe_tables(list(lines_of(text))):
        damaged += table.damaged
        name_at = next((i for i, c in enumerate(table.columns) if c in ("Module Name", "Weight Name")), -1)
        if name_at < 0:
            continue
        for row in table.rows:
            rows.append(_qat_row(table.columns, row, name_at))
    problems = [f"{damaged} truncated table rows skipped"] if damaged else []
    if not rows:
        problems.append("no table with Module Name or Weight Name in it")
    return Artifact("qat_similarity", "QAT comparison table", similarities=tuple(rows), problems=tuple(problems))


def _qat_row(columns: Sequence[str], row: Sequence[str], name_at: int) -> Similarity:
    metrics = {METRIC_WORDS.get(c, c): number_of(cell) for c, cell in zip(columns, row, strict=True)}
    kind = next((m["name"] for cell in row if (m := QAT_TYPE.match(cell))), "")
    known = {*METRIC_WORDS.values(), "qscale"}  # a header that is damaged gives unknown names: not taken
    good = {key: value for key, value in metrics.items() if value is not None and key in known}
    return Similarity(row[name_at], kind, metrics=good)


def read_vec_diff(text: str) -> Artifact:
    """The csv that vec_diff writes (two dump folders compared). Header cells have uneven blanks."""
    rows: list[Similarity] = []
    problems: list[str] = []
    columns: list[str] = []
    for line in lines_of(text):
        cells = [cell.strip() for cell in line.text.split(",")]
        if cells[0] == "Left Files":
            columns = cells[2:]
            continue
        if not line.text.strip():
            continue
        numbers = [number_of(cell) for cell in cells[2:]]
        if not columns or len(numbers) != len(columns) or None in numbers or not line.whole:
            problems.append(f"line {line.number}: incomplete row")
            continue
        values = {METRIC_WORDS.get(c, c): n for c, n in zip(columns, numbers, strict=True) if n is not None}
        rows.append(Similarity(cells[0], tensor=cells[1], metrics=values))
    if not rows:
        problems.append("no rows")
    return Artifact("vec_diff", "vec_diff table", similarities=tuple(rows), problems=tuple(problems))
