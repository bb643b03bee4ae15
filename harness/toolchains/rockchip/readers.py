"""rknn-toolkit2's files: error_analysis.txt, map_name_to_file.txt, the verbose build's layer table, heads of .rknn."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence

from harness.records import Message
from harness.toolchains.base import FileProbe, FileReader, text_reader
from harness.toolchains.records import Artifact, PlannedNode, Similarity
from harness.toolchains.text import Line, count_of, dtype_of, lines_of, number_of

VERSION = re.compile(r"rknn-toolkit2 version: (\S+)")
COMPILER = re.compile(r"librknnc version: (\S+)")

# --------------------------------------------------------------------------- error_analysis.txt

_LAYER = re.compile(r"^\[(\w+)\] (\S.*?)(?:\s{2,}(.*))?$")
_PAIR = re.compile(r"(-?[0-9.]+|nan|inf) \| (-?[0-9.]+|nan|inf)")
COLUMNS = ("simulator_entire", "simulator_single", "runtime_entire", "runtime_single")


def is_error_analysis(text: str) -> bool:
    """By its heading and its columns."""
    return "layer_name" in text and "simulator_error" in text and "euc" in text


def read_error_analysis(text: str) -> Artifact:
    """Cosine and Euclidean error per layer, whole network and layer alone, of simulator and, where there is one, board.

    A layer without figures lies inside of a fused op: it is dumped, but the chip never holds it.
    """
    nodes, similarities, damaged = [], [], 0
    for line in lines_of(text):
        match = _LAYER.match(line.text)
        if match is None:
            continue
        pairs = _PAIR.findall(match[3] or "")
        if not line.whole or (match[3] and not pairs):
            damaged += 1
            continue
        nodes.append(PlannedNode(match[2], unit="", kind=match[1], fused=not pairs, cosine=_cosine(pairs)))
        for column, (cosine, distance) in zip(COLUMNS, pairs, strict=False):
            named = {"cosine": number_of(cosine), "euclid": number_of(distance)}
            metrics = {key: value for key, value in named.items() if value is not None}
            similarities.append(Similarity(match[2], column, metrics=metrics))
    return Artifact(
        kind="rknn_error_analysis",
        title="accuracy_analysis of rknn-toolkit2",
        nodes=tuple(nodes),
        similarities=tuple(similarities),
        facts={"fused": sum(node.fused for node in nodes)},
        problems=(f"{damaged} rows are damaged, left out",) if damaged else (),
    )


def _cosine(pairs: Sequence[tuple[str, str]]) -> float | None:
    return number_of(pairs[0][0]) if pairs else None


# --------------------------------------------------------------------------- map_name_to_file.txt

_MAP_HEAD = re.compile(r"^layer_name[ \t]+file_name[ \t]*$", re.MULTILINE)


def layers_by_file(text: str) -> dict[str, tuple[str, int]]:
    """File name -> (layer, place in the order of execution)."""
    rows = [line.rsplit(None, 1) for line in text.splitlines() if line.rstrip().endswith((".txt", ".npy"))]
    named = [row for row in rows if len(row) == 2]
    return {file: (name.strip(), i) for i, (name, file) in enumerate(named)}


def read_map(text: str) -> Artifact:
    """The layers of a snapshot in the order of their execution."""
    rows = layers_by_file(text)
    return Artifact(
        kind="rknn_layer_files",
        title="layers of a snapshot of rknn-toolkit2",
        nodes=tuple(PlannedNode(name, unit="", kind="") for name, _ in rows.values()),
        facts={"layers": len(rows)},
    )


# --------------------------------------------------------------------------- verbose build

_RECORD = re.compile(r"^[DIWE] (?:RKNN: (?:\[[0-9:.]+\] )?)?")
_HEAD = re.compile(r"^ID\s+OpType\s+DataType\s+Target\s+")
# Cells are wide apart; a shape list holds no blanks. Columns are found by the heading, whose order differs by version.
_CELLS = re.compile(r"\S+(?: \S+)*?(?=\s{2,}|$)|\S+")


def layer_rows(lines: Sequence[Line]) -> Iterator[dict[str, str]]:
    """Rows of the layer table (of a build, or of PERF_DETAIL), by the words of its heading."""
    heads: list[str] = []
    for line in lines:
        text = _RECORD.sub("", line.text).strip()
        if _HEAD.match(text):
            heads = re.findall(r"\S+(?:\([^)]*\))?", text)
        elif heads and set(text) <= {"-"}:
            continue
        elif heads and re.match(r"^[0-9]+\s", text):
            cells = text.split()
            if len(cells) == len(heads) and line.whole:
                yield dict(zip(heads, cells, strict=True))
        elif heads and text:
            heads = []


def read_build(text: str) -> Artifact:
    """Placement and estimated cycles of every op of the compiled model; errors and warnings of the build.

    A script that calls accuracy_analysis behind the build prints its table into the same log: its figures, too.
    """
    analysis = read_error_analysis(text).similarities if is_error_analysis(text) else ()
    lines = list(lines_of(text))
    rows = list(layer_rows(lines))
    messages = [message for line in lines if (message := _message(line))]
    versions = {"rknn-toolkit2": VERSION.search(text), "compiler": COMPILER.search(text)}
    memory = re.findall(r"Total (\w+) Memory Size: ([0-9]{1,12})KB", text)
    return Artifact(
        kind="rknn_build",
        title="build of rknn-toolkit2",
        versions={key: match[1][:100] for key, match in versions.items() if match},
        finished=True if "rknn building done" in text else None,
        nodes=tuple(_node(row) for row in rows),
        similarities=(*_estimates(rows), *analysis),
        messages=tuple(dict.fromkeys(messages)),
        facts={f"{kind.lower()}_memory_bytes": int(size) * 1024 for kind, size in memory},
        problems=() if rows else ("no layer table: build with RKNN(verbose=True) for placement and cycles",),
    )


def _estimates(rows: Sequence[dict[str, str]]) -> Iterator[Similarity]:
    for row in rows:
        cycles = _total_cycles(row)
        if cycles is not None:
            yield Similarity(_name(row), "estimate", metrics={"cycles": float(cycles)})


def _name(row: dict[str, str]) -> str:
    return row.get("FullName", "").partition(":")[2] or row.get("FullName", "")


def _node(row: dict[str, str]) -> PlannedNode:
    dtype = row.get("DataType", "").lower()
    return PlannedNode(
        _name(row), unit=row.get("Target", ""), kind=row.get("OpType", ""), output_dtypes=(dtype_of(dtype) or dtype,)
    )


def _total_cycles(row: dict[str, str]) -> int | None:
    figures = next((value for head, value in row.items() if head.startswith("Cycles")), "")
    return count_of(figures.rpartition("/")[2])


def _message(line: Line) -> Message | None:
    match = re.match(r"^([WE]) (?:RKNN: (?:\[[0-9:.]+\] )?)?(\S.*)$", line.text)
    if match is None or not line.whole:
        return None
    return Message({"W": "warning", "E": "error"}[match[1]], match[2][:400], "", line.number)


# --------------------------------------------------------------------------- .rknn

_MAGIC = b"RKNN\0\0\0\0"
_FACTS = {
    "target_platform": re.compile(rb'"target_platform": ?\[?"([\w-]+)"'),
    "compiler": re.compile(rb'"(?:compiler_version|version)": ?"([\w.@():, -]{1,100})"'),
}


def read_model(probe: FileProbe) -> Artifact:
    """What stands in a model's head and as text in its first 256 KiB; the format is not published."""
    head = probe.head
    version, length = struct.unpack_from("<I4xQ", head, 8) if len(head) >= 24 else (None, None)
    facts = {
        key: match[1].decode("ascii", "replace") for key, pattern in _FACTS.items() if (match := pattern.search(head))
    }
    cut = length is not None and length + 24 > probe.size_bytes
    return Artifact(
        kind="rknn_model",
        title="Rockchip model",
        march=facts.get("target_platform", ""),
        facts={**facts, "format": version},
        problems=("the file is shorter than its head says: it is cut",) if cut else (),
    )


def inputs_of_model(data: bytes) -> list[dict[str, object]]:
    """The inputs that a model's JSON lists; empty where it lists none that can be read."""
    start = data.find(b'"inputs"')
    end = data.find(b"]", start)
    try:
        rows = json.loads(data[data.index(b"[", start) : end + 1]) if start >= 0 < end else []
    except ValueError:
        return []
    return [row for row in rows if isinstance(row, dict)]


READERS = (
    FileReader("rknn_model", "Rockchip model (.rknn)", lambda probe: probe.head.startswith(_MAGIC), read_model),
    text_reader("rknn_build", "log of a build of rknn-toolkit2", lambda text: bool(VERSION.search(text)), read_build),
    text_reader("rknn_error_analysis", "error_analysis.txt of rknn-toolkit2", is_error_analysis, read_error_analysis),
    text_reader("rknn_layer_files", "map_name_to_file.txt", lambda text: bool(_MAP_HEAD.search(text)), read_map),
)
