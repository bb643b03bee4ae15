"""The arrows of docs/architecture.md: imports only point down, and a vendor is named in its own files only."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness import platforms, vendors
from harness.emulator import rooms as emulated
from harness.toolchains.base import ToolchainVendor
from tests.house.sources import PACKAGE, ROOT, modules, nodes_of, tree_of

# Lowest first. A room (a package or a loose module at the top) imports from lower rows and from itself, nothing else.
LEVELS = [
    ["assets", "complaints", "errors", "names", "records"],
    ["extensions"],
    ["vendors"],
    ["files"],
    ["config", "images", "profiling", "regressions", "tasks"],
    ["platforms", "runs", "transports"],
    ["agent", "dumps", "toolchains"],
    ["reference"],
    ["consistency"],
    ["diagnosis", "emulator"],
    ["boards", "lint", "report", "review"],
    ["export", "history", "session"],
    ["handover", "nightly", "precision"],
    ["farm"],
    ["answers"],
    ["cli", "notebook"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
MOST_FILES = 20  # in one folder of code
MOST_LOOSE = 6  # modules at the top


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module_name(path) for path in modules()}


def imported_modules(path: Path) -> set[str]:
    """Modules of harness that a file imports, inside functions too."""
    names = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {a.name: f"{node.module}.{a.name}" for a in node.names}
            names |= {name if name in NAMES else node.module for name in whole.values()}
    return (names & NAMES) - {module_name(path)}


@cache
def imports() -> dict[str, set[str]]:
    return {module_name(path): imported_modules(path) for path in modules()}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_point_down(path: Path) -> None:
    room = part_of(path)
    if room == "__init__":
        return
    assert room in LEVEL, f"{room} has no level: add it to LEVELS and to docs/architecture.md"
    for other in {name.split(".")[1] for name in imports()[module_name(path)] if "." in name} - {room}:
        assert LEVEL[other] < LEVEL[room], f"{room} imports {other}"


def test_no_circle_of_imports() -> None:
    remaining = {name: set(others) for name, others in imports().items()}
    while leaves := {name for name, others in remaining.items() if not others & remaining.keys()}:
        remaining = {name: others for name, others in remaining.items() if name not in leaves}
    circles = {name: sorted(others & remaining.keys()) for name, others in remaining.items()}
    assert circles == {}


def test_folders_stay_small() -> None:
    folders = {path.parent for path in modules()} | {p.parent for p in (ROOT / "tests").rglob("*.py")}
    crowded = {str(f.relative_to(ROOT)): n for f in folders if (n := len(list(f.glob("*.py")))) > MOST_FILES}
    assert crowded == {}
    loose = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert len(loose) <= MOST_LOOSE, loose


def test_the_tree_in_the_documents_is_the_tree() -> None:
    text = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    shown: set[str] = set()
    room = ""
    for line in text.strip("\n").split("\n"):
        indented = line.startswith(" ")
        names = re.findall(r"[a-z_]+", line[:26])
        room = room if indented else names[0]
        shown |= {f"{room}/{name}" if indented else name for name in names}
    packages = {str(p.parent.relative_to(PACKAGE)) for p in PACKAGE.rglob("__init__.py") if p.parent != PACKAGE}
    assert shown == packages | {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")}


def test_every_package_is_linted_and_typed(tmp_path: Path) -> None:
    """An exclude meant for a folder at the top must not hide a package of the same name, harness/runs/ for example."""
    ruff = [sys.executable, "-m", "ruff", "check", "--show-files", "harness"]
    shown = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {Path(name).resolve() for name in shown} >= set(modules())
    mypy = (ROOT / "pyproject.toml").read_text().split("[tool.mypy]")[1]  # tomllib is newer than Python 3.10
    patterns = ast.literal_eval(mypy.split("\nexclude = ")[1].split("\n")[0])
    names = [str(path.relative_to(ROOT)) for path in modules()]
    assert [name for name in names if any(re.search(pattern, name) for pattern in patterns)] == []


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("paramiko", {"transports", "boards"}),
        ("keyring", {"transports"}),
        (
            "onnxruntime",
            {"reference", "emulator"},
        ),  # emulator: its calibrator, see tests/reference/test_telemetry_off.py
        ("rich", set()),
        ("click", {"cli"}),
        ("jinja2", {"report"}),
        ("sqlalchemy", {"history"}),
        ("distributed", {"farm"}),
        ("dask", {"farm"}),
        ("yaml", {"boards", "config", "consistency", "files", "lint", "toolchains"}),
    ],
)
def test_a_library_is_imported_in_its_own_place_only(library: str, homes: set[str]) -> None:
    pattern = re.compile(rf"^\s*(?:from|import) {library}\b", re.MULTILINE)
    users = {part_of(path) for path in modules() if pattern.search(path.read_text())}
    assert users <= homes


# Names are parted at underscores, too: `horizon_estimates`, `HB_MODEL`.
VENDOR_WORDS = re.compile(
    r"(?<![a-zA-Z])(horizon|robotics|magik|venus|ingenic|hrt|hb|hbdk|libdnn|hbdnn|ucp|nna|bpu|hbm|hobot|rdk|sophgo|bmrt|rknn|rockchip)(?![a-zA-Z])",
    re.IGNORECASE,
)
# Words that people type or read, and would miss: each has its reason.
ALLOWED = {
    "--on-bpu": "the name of an option; scripts hold it",
}
VENDOR_ROOM = re.compile(r"/(horizon|magik|ort|rockchip|sophgo)/")


def test_rooms_of_a_vendor_are_imported_by_its_own_rooms_only() -> None:
    """What all vendors share asks for a room by its name (harness/vendors.py); no vendor knows another's files."""
    vendors = {path.parent.name for path in PACKAGE.glob("*/*/vendor.py")}
    assert vendors == {"horizon", "magik", "ort", "rockchip", "sophgo"}
    strangers: dict[str, list[str]] = {}
    for path in modules():
        own = vendors & set(path.relative_to(PACKAGE).parts)
        others = [name for name in imports()[module_name(path)] if (vendors & set(name.split("."))) - own]
        if others:
            strangers[str(path.relative_to(PACKAGE))] = sorted(others)
    assert strangers == {}


def names_a_vendor(text: str) -> bool:
    """Whether a name or a string holds a vendor's word besides those that are allowed."""
    for allowed in ALLOWED:
        text = text.replace(allowed, "")
    return bool(VENDOR_WORDS.search(text))


PROSE = {"help", "short_help", "epilog"}  # what people read of a command may name a vendor as an example
PROSE_NAMES = {"EPILOG", "COMMANDS"}  # constants of such texts


def names_handed_out() -> set[str]:
    """Platforms, chips and units as the vendors' rooms name them: a literal of one decides for a vendor."""
    rooms = tuple(platforms.ROOMS.values())
    own = {name for room in rooms for name in room.modules}
    units = {unit for name in own for unit in platforms.load(name).units}
    planned = {unit for room in vendors.built_in("toolchains", ToolchainVendor).values() for unit in room.same_units}
    chips = {chip for room in rooms for names in room.socs.values() for chip in names}
    marches = {soc.march for soc in emulated.socs().values()}
    return (own | units | planned | chips | marches) - {"CPU"}


def test_a_vendor_is_named_in_its_own_files_only() -> None:
    """Code outside a vendor's rooms holds no word of a vendor and no name that a room hands out; prose may."""
    named = names_handed_out()
    assert named >= {"hbdnn", "magik", "BPU", "NNA", "JIT", "x5", "t41", "bayes-e"}
    strangers = [
        f"{path.relative_to(ROOT)}:{line}: {text[:60]!r}"
        for path in modules()
        if not VENDOR_ROOM.search(str(path.relative_to(PACKAGE)))
        for line, text, is_literal in words_of_code(tree_of(path))
        if names_a_vendor(text) or (is_literal and text in named)
    ]
    assert strangers == []


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("def horizon_estimates(x): ...", True),
        ("if dump.unit == 'NNA': ...", True),
        ("from harness.platforms.magik import dumps", True),
        ("raise ValueError('not a config of hb_mapper')", True),
        ("def f():\n    'Horizon, in prose.'", False),
        ("option('--tool', help='hb_mapper or ptq')", False),
        ("option('hb_mapper', help='a tool')", True),
        ("EPILOG = 'harness lint --tool hb_mapper'", False),
        ("unit = 'CPU'  # or the BPU", False),
        ("if unit == 'BPU': ...", True),
        ("BPU = 1", True),
        ("def bpu_us(): ...", True),
        ("step.work == 'bpu'", True),
        ("re.compile('/bpu[0-9]+/')", True),
        ("subpus = 1", False),
        ("option('--on-bpu')", False),
        ("cpu_hb = 'thbx'", True),
        ("path = 'thbx/venusian'", False),
    ],
)
def test_what_counts_as_naming_a_vendor(code: str, result: bool) -> None:
    words = words_of_code(ast.parse(code))
    assert any(names_a_vendor(text) or (is_literal and text == "NNA") for _, text, is_literal in words) is result


def words_of_code(source: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Names and strings of the code: line, text, whether it is a string. Docstrings, comments and texts of commands are
    left out."""
    prose = {id(node) for part in _prose(source) for node in ast.walk(part)}
    for node in ast.walk(source):
        if id(node) in prose:
            continue
        for text in _texts(node):
            yield getattr(node, "lineno", 0), text, isinstance(node, ast.Constant)


def _prose(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            yield first.value
        if isinstance(node, ast.keyword) and node.arg in PROSE:
            yield node.value
        if isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} <= PROSE_NAMES:
            yield node.value


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    for key in ("id", "attr", "name", "arg", "module", "asname"):
        value = getattr(node, key, None)
        if isinstance(value, str):
            yield value


def test_no_file_is_over_400_lines_and_no_function_over_50() -> None:
    long_files = [f"{p}: {n}" for p in modules() if (n := len(p.read_text().splitlines())) > 400]
    long_functions = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 50
    ]
    assert long_files == []
    assert long_functions == []


def test_the_median_function_is_short() -> None:
    sizes = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef)
    )
    assert sizes[len(sizes) // 2] < 10
