"""The sources of this tree as Python reads them: each file parsed once per worker, when the first test asks for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "harness"


@cache
def modules() -> tuple[Path, ...]:
    """Every file of the package, in the order of their names."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of one file as the oldest Python reads it, in the order of `ast.walk`: the module itself first."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))))


def tree_of(path: Path) -> ast.Module:
    tree = nodes_of(path)[0]
    assert isinstance(tree, ast.Module)
    return tree


def nodes(folder: str = "") -> Iterator[tuple[Path, ast.AST]]:
    """Every node of the package, or of one folder of it, with its file."""
    return ((path, node) for path in modules() if path.is_relative_to(PACKAGE / folder) for node in nodes_of(path))
