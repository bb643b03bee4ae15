"""`lint_table`: rows of `LAYER TYPE`, against the names that the compiler gives the layers.

A layer is called `<ONNX tensor>_<op type>`; an activation that follows at once takes the op in, and gives the name.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.names import near_name
from harness.lint.network import read_network
from harness.lint.sophgo.rules import TABLE_RULES

MODES = ("INT8", "UINT8", "INT4", "F16", "BF16", "F32", "W8F16", "W8BF16", "W4F16", "W4BF16", "F8E4M3", "F8E5M2")
OTHER_WORDS = {"FP16": "F16", "FLOAT16": "F16", "FP32": "F32", "FLOAT": "F32", "BFLOAT16": "BF16", "S8": "INT8"}
MOST_BYTES = 2**22
MOST_NEAR = 20  # unknown names for which a near one is looked up: each is held against all names
_LOC = re.compile(r'^#loc\w* = loc\("(.*)"\)', re.MULTILINE)
_TYPE_ENDING = re.compile(r"_([A-Z][A-Za-z0-9]*)$")


@dataclass(frozen=True)
class TableRow:
    """One row of the table. `line` counts from 1."""

    line: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Layers:
    """Names that are known, and where they come from; `by_onnx` where the compiler's op type is not told."""

    names: frozenset[str] = frozenset()
    source: str = ""
    by_onnx: bool = False

    @cached_property
    def by_tensor(self) -> dict[str, str]:
        """The first layer that is called after a tensor, by the tensor's name."""
        return {_TYPE_ENDING.sub("", one): one for one in sorted(self.names, reverse=True)}


def rows_of(text: str) -> list[TableRow]:
    """Rows without remarks, which are whole lines: behind a row the compiler takes no `#`."""
    parts = ((i, line.split()) for i, line in enumerate(text.lstrip("\ufeff").splitlines(), 1))
    return [TableRow(line, tuple(words)) for line, words in parts if words and not words[0].startswith("#")]


def is_table(text: str) -> bool:
    """Whether a text is meant as such a table, damaged or not: a type as the second word of some row, and no YAML."""
    rows = rows_of(text)
    if any(row.words[0][-1:] in ":{" or row.words[0].startswith(("{", "[", "-")) for row in rows):
        return False
    return any(len(row.words) > 1 and row.words[1].upper() in (*MODES, *OTHER_WORDS) for row in rows)


def lint_file(path: Path, model: Path | None = None) -> tuple[LintFinding, ...]:
    """Findings by line. Errors: ConfigError for a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "give the quantize table") from None
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{path}: over {MOST_BYTES >> 20} MB, no quantize table", "give the table alone")
    return lint_table(text, _known(path.absolute().parent, model))


def lint_table(text: str, layers: Layers) -> tuple[LintFinding, ...]:
    """Findings by line."""
    rows = rows_of(text)
    looks = iter(range(MOST_NEAR))
    findings = [one for row in rows for one in _of_row(row, layers, looks)]
    findings += _twice([row for row in rows if len(row.words) > 1])
    if not rows:
        findings.append(_finding("S-701", 1, "no row in it", "conv1_relu_Relu BF16"))
    elif not layers.names:
        why = "no .mlir and no calibration table lies beside it, and no --model was given"
        findings.append(_finding("S-707", 1, why, "harness lint TABLE --model MODEL.onnx"))
    return tuple(sorted(findings, key=lambda one: (one.line, one.rule)))


def _finding(rule: str, line: int, message: str, fix: str) -> LintFinding:
    one = TABLE_RULES[rule]
    return LintFinding(rule, one.severity, line, message, one.source, fix)


def _of_row(row: TableRow, layers: Layers, looks: Iterator[int]) -> Iterator[LintFinding]:
    if len(row.words) != 2:
        what = "no type" if len(row.words) == 1 else f"{len(row.words)} words"
        yield _finding("S-701", row.line, f"{' '.join(row.words)[:200]!r}: {what}", f"{row.words[0]} BF16")
        return
    name, mode = row.words
    if mode not in MODES:
        upper = mode.upper()
        near = OTHER_WORDS.get(upper) or next(iter(get_close_matches(upper, MODES, n=1)), "")
        known = f"{name} {near}" if near else f"one of {', '.join(MODES)}"
        if upper not in MODES:  # the compiler itself does not mind the case
            yield _finding("S-702", row.line, f"type {mode!r} of {name}", known)
    yield from _of_name(row, name, layers, looks)
    kind = _TYPE_ENDING.search(name)
    if mode.upper() == "INT4":
        yield _finding(
            "S-706", row.line, f"{name}: INT4 of {kind[1] if kind else 'an op'} may be built as INT8 with scale 1",
            "look at the op's type and scale in *_tpu.mlir after the build",
        )  # fmt: skip


def _of_name(row: TableRow, name: str, layers: Layers, looks: Iterator[int]) -> Iterator[LintFinding]:
    if not layers.names or name in layers.names:
        return
    bare = _TYPE_ENDING.sub("", name)
    if layers.by_onnx and bare in layers.names and bare != name:
        return
    if longer := layers.by_tensor.get(name, ""):
        yield _finding("S-705", row.line, f"{name!r} is the tensor's name in the ONNX", f"{longer} {row.words[1]}")
        return
    near = near_name(name, layers.names) if next(looks, None) is not None else ""
    fix = f"did you mean {near}?" if near else f"layers are in {layers.source}"
    yield _finding("S-704", row.line, f"{name!r} is not in {layers.source}: the row has no effect", fix)


def _twice(rows: Sequence[TableRow]) -> Iterator[LintFinding]:
    first: dict[str, TableRow] = {}
    for row in rows:
        before = first.setdefault(row.words[0], row)
        if before is not row:
            what = "another type" if before.words[1] != row.words[1] else "the same type"
            text = f"{row.words[0]} stands in line {before.line} already, with {what}: the last row counts"
            yield _finding("S-703", row.line, text, "keep one row")


# --------------------------------------------------------------------------- names


def _known(folder: Path, model: Path | None) -> Layers:
    """The compiler's own names, where they lie beside the table; else the tensors of the ONNX.

    Files of a model that was not meant tell nothing: with `model` its own, by its name, else the ONNX, go first.
    """
    own = _beside(folder, glob.escape(model.stem)) if model is not None else Layers()
    network = read_network(model) if model is not None and not own.names else None
    if network is not None:
        return Layers(network.tensors | frozenset(network.inputs), network.path.name, by_onnx=True)
    return own if own.names else _beside(folder, "")


def _beside(folder: Path, begin: str) -> Layers:
    """Names in the compiler's files of a name that begins so."""
    for path in sorted(folder.glob(f"{begin}*.mlir"), key=lambda one: len(one.name)):
        names = frozenset(_LOC.findall(_text(path)))
        if names:
            return Layers(names, path.name)
    for path in sorted(folder.glob(f"{begin}*_cali_table*")):
        rows = [line.rsplit(None, 3) for line in _text(path).splitlines() if not line.startswith("#")]
        names = frozenset(row[0] for row in rows if len(row) == 4)
        if names:
            return Layers(names, path.name)
    return Layers()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(64 * 2**20).decode("utf-8", "replace")
    except OSError:
        return ""
