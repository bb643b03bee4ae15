"""Files of HMCT and the QAT plugin: quant_config.json, per-layer comparisons, sensitive ops."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.toolchains.base import text_reader
from harness.toolchains.horizon.files import load_json
from harness.toolchains.records import Artifact, Similarity
from harness.toolchains.text import lines_of, number_of, pipe_tables

PARTS = ("model_config", "op_config", "subgraph_config", "node_config")
NAME_COLUMNS = ("mod_name", "op_name")
WORDS = {"COSINE": "cosine", "MSE": "mse", "L1": "l1", "L2": "l2", "ATOL": "atol", "RTOL": "rtol", "SQNR": "sqnr"}
HEAD = re.compile(r"^[ \t]*(?:\|[ \t]*(?:\|[ \t]*)?)?(?:mod_name|op_name)[ \t]*[|,]", re.MULTILINE)


def _is_quant_config(text: str) -> bool:
    return text.lstrip("\ufeff").lstrip().startswith("{") and any(f'"{part}"' in text for part in PARTS)


def _read_quant_config(text: str) -> Artifact:
    """Settings per part; a node's or op's own is one row."""
    value, problems = load_json(text)
    parts = {part: value[part] for part in PARTS if part in value} if isinstance(value, dict) else {}
    settings = {part: _flat(one) for part, one in parts.items() if isinstance(one, dict)}
    wrong = [f"{part} is not an object" for part, one in parts.items() if not isinstance(one, dict)]
    unknown = [str(key) for key in value if key not in PARTS] if isinstance(value, dict) else []
    facts: dict[str, object] = {part: f"{len(one)} entries" for part, one in settings.items()}
    more = [f"unknown keys: {', '.join(unknown)}"] if unknown else []
    title = "quant_config.json; `harness lint` checks it with its yaml"
    return Artifact("quant_config", title, settings=settings, facts=facts, problems=(*problems, *wrong, *more))


def _flat(value: Mapping[str, object], front: str = "") -> dict[str, str]:
    rows: dict[str, str] = {}
    for key, one in value.items():
        name = f"{front}{key}"
        rows |= _flat(one, f"{name}.") if isinstance(one, dict) and one else {name: str(one)}
    return rows


def _is_per_layer(text: str) -> bool:
    return HEAD.search(text) is not None


def _read_per_layer(text: str) -> Artifact:
    """compare_per_layer_out.txt or .csv, and `*_sensitive_ops.txt`: one row per layer, in the tool's order."""
    rows: list[Similarity] = []
    problems: list[str] = []
    lines = list(lines_of(text))
    for table in pipe_tables(lines):
        rows += [_row(table.columns, cells) for cells in table.rows if _name_at(table.columns) >= 0]
        problems += [f"{table.damaged} truncated table rows skipped"] if table.damaged else []
    if not rows:
        columns: list[str] = []
        for line in lines:
            cells = _csv(line.text)
            if cells and cells[0] in NAME_COLUMNS:
                columns = cells
            elif line.text.strip() and columns:
                if len(cells) == len(columns) and line.whole:
                    rows.append(_row(columns, cells))
                else:
                    problems.append(f"line {line.number}: incomplete row")
    if not rows:
        problems.append("no rows")
    title = "per-layer comparison (QAT plugin)"
    return Artifact("per_layer", title, similarities=tuple(rows), problems=tuple(problems))


def _csv(text: str) -> list[str]:
    """Cells of one line; a quoted cell may hold commas."""
    return [cell.strip().strip('"') for cell in re.findall(r'(?:^|,)("[^"]*"|[^,]*)', text)] if text.strip() else []


def _name_at(columns: Sequence[str]) -> int:
    return next((index for index, column in enumerate(columns) if column in NAME_COLUMNS), -1)


def _row(columns: Sequence[str], cells: Sequence[str]) -> Similarity:
    named = dict(zip(columns, cells, strict=True))
    metrics = {WORDS.get(key, key): number_of(cell) for key, cell in named.items() if key and key not in NAME_COLUMNS}
    kind = named.get("base_op_type", named.get("op_type", ""))
    return Similarity(cells[_name_at(columns)], kind, metrics={k: v for k, v in metrics.items() if v is not None})


READERS = (
    text_reader("quant_config", "quant_config.json", _is_quant_config, _read_quant_config),
    text_reader("per_layer", "per-layer comparison (QAT plugin)", _is_per_layer, _read_per_layer),
)
