"""The arrows of docs/architecture.md: imports only point down, and a vendor is named in its own files only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "harness"

# Lowest first. A module may import from lower rows and from its own package, nothing else.
LEVELS = [
    ["complaints", "errors", "packed", "records"],
    ["digests", "onnx_runtime", "safe_files"],
    ["arrays", "assets", "convert", "convert_images", "store"],
    ["transports", "platforms", "toolchains"],
    ["archive", "config", "hosts_checks", "dumps", "hostkeys", "onnx_file", "recovery"],
    ["graph"],
    ["agent", "reference_folder", "reference_inputs", "reference_runtime", "reference_target"],
    ["reference_results"],
    ["reference_beside"],
    ["reference"],
    ["consistency", "profiling"],
    ["emulator"],
    ["diagnosis"],
    ["expectation", "inputs", "inventory", "report"],
    ["boards", "holding", "identity", "previous", "resume", "run_record"],
    ["prepare", "review", "session"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# Allowed sideways: one noun builds on another of its row.
SIDEWAYS = {
    ("packed", "errors"),
    ("records", "errors"),
    ("prepare", "session"),
    ("config", "hosts_checks"),
    ("toolchains", "platforms"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "harness" else [f"harness.{a.name}" for a in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("harness.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_point_down(path: Path) -> None:
    here = part_of(path)
    if here == "__init__":
        return
    assert here in LEVEL, f"{here} has no level: add it to LEVELS and to docs/architecture.md"
    for other in imported_parts(path) - {here}:
        if other.startswith("__"):
            continue
        assert LEVEL[other] < LEVEL[here] or (here, other) in SIDEWAYS, f"{here} imports {other}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("paramiko", {"transports", "hostkeys"}),
        ("keyring", {"transports"}),
        ("rich", {"cli"}),
        ("click", {"cli"}),
        ("jinja2", {"report"}),
        (
            "onnxruntime",
            {"onnx_runtime", "emulator"},
        ),  # emulator: its calibrator, see tests/reference/test_telemetry_off.py
        ("sqlalchemy", {"store", "farm"}),
        ("yaml", {"config", "consistency", "toolchains"}),
    ],
)
def test_a_library_is_imported_in_its_own_place_only(library: str, homes: set[str]) -> None:
    pattern = re.compile(rf"^\s*(?:from|import) {library}\b", re.MULTILINE)
    users = {part_of(path) for path in modules() if pattern.search(path.read_text())}
    assert users <= homes


VENDOR_WORDS = re.compile(
    r"\b(hrt_model_exec|horizon|d-robotics|magik|venus|ingenic|hb_mapper|libdnn)\b", re.IGNORECASE
)


VENDOR_FILE = re.compile(r"(magik|horizon)_")  # a vendor's own file in a shared room


def test_a_vendor_is_named_in_its_own_files_only() -> None:
    own = {"platforms", "toolchains", "emulator"}
    # The list of platform names that people may write, and the help of commands about them.
    allowed = {PACKAGE / "config.py", *(PACKAGE / "cli").glob("*.py")}
    strangers = [
        str(path.relative_to(ROOT))
        for path in modules()
        if part_of(path) not in own
        and path not in allowed
        and not VENDOR_FILE.match(path.name)
        and VENDOR_WORDS.search(_code_without_docs(path))
    ]
    assert strangers == [], strangers


def _code_without_docs(path: Path) -> str:
    """Source without docstrings and comments: prose may name a vendor as an example, code may not."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0] = ast.copy_location(ast.Pass(), body[0])
    return ast.unparse(tree)


def test_no_file_is_over_400_lines_and_no_function_over_50() -> None:
    long_files = [f"{p}: {n}" for p in modules() if (n := len(p.read_text().splitlines())) > 400]
    long_functions = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 50
    ]
    assert long_files == []
    assert long_functions == []


def test_the_median_function_is_short() -> None:
    sizes = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    )
    assert sizes[len(sizes) // 2] < 10
