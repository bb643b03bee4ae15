"""One way to hash a file on every supported Python, and no name that Python 3.10 does not have."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.files.digests import PIECE_BYTES, md5_of_file
from tests.house.sources import nodes_of

ROOT = Path(__file__).resolve().parents[2]
# Names of Python 3.11 and later: the vendors' images have 3.10, and `harness` is installed beside their runtimes.
NEWER = {
    "datetime": {"UTC"},
    "hashlib": {"file_digest"},
    "typing": {"Self", "LiteralString", "Never", "assert_never", "reveal_type", "override", "Unpack", "TypeVarTuple"},
    "enum": {"StrEnum", "verify", "global_enum"},
    "asyncio": {"TaskGroup", "timeout", "Runner"},
    "contextlib": {"chdir"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "sumprod"},
    "operator": {"call"},
}
NEWER_MODULES = {"tomllib", "wsgiref.types", "pathlib.types"}
NEWER_BUILTINS = {"ExceptionGroup", "BaseExceptionGroup", "PythonFinalizationError"}
NEWER_METHODS = {"add_note", "is_junction", "walk_up"}


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 3])
def test_a_file_is_hashed_whole(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "model.bin").write_bytes(data[:size])
    assert md5_of_file(tmp_path / "model.bin") == hashlib.md5(data[:size], usedforsecurity=False).hexdigest()


def test_a_file_that_cannot_be_read_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        md5_of_file(tmp_path / "missing")


def newer_names(nodes: Iterable[ast.AST]) -> list[str]:
    """What a source takes from a Python newer than 3.10, with its line."""
    too_new = []
    for node in nodes:
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names} & NEWER.get(node.module, set())
            too_new += [f"{line}: {node.module}.{name}" for name in sorted(names)]
            too_new += [f"{line}: {node.module}"] if node.module in NEWER_MODULES else []
        elif isinstance(node, ast.Import):
            too_new += [f"{line}: {alias.name}" for alias in node.names if alias.name in NEWER_MODULES]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            newer = node.attr in NEWER.get(node.value.id, set()) | NEWER_METHODS
            too_new += [f"{line}: {node.value.id}.{node.attr}"] if newer else []
        elif isinstance(node, ast.Name) and node.id in NEWER_BUILTINS:
            too_new.append(f"{line}: {node.id}")
    return too_new


def test_the_check_finds_what_it_is_for() -> None:
    text = "import tomllib\nfrom datetime import UTC\nhashlib.file_digest(f, 'md5')\nraise ExceptionGroup('', [])\n"
    assert newer_names(ast.walk(ast.parse(text))) == [
        "1: tomllib",
        "2: datetime.UTC",
        "3: hashlib.file_digest",
        "4: ExceptionGroup",
    ]


@pytest.mark.parametrize("folder", ["harness", "agents", "scripts", "benchmarks", "examples", "tests"])
def test_no_source_needs_a_python_newer_than_3_10(folder: str) -> None:
    sources = sorted((ROOT / folder).rglob("*.py"))
    newer = [f"{path.relative_to(ROOT)}:{name}" for path in sources for name in newer_names(nodes_of(path))]
    assert newer == []
