"""One module writes where others may have been (harness/files/safe.py). Whatever else writes is listed, with why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache

import pytest

from tests.house.sources import PACKAGE, modules, tree_of

# Folders of this user and of this process only: nobody else lays a link there. "FILE CALL", as patterns -> why.
ALLOWED = {
    "files/safe.py *": "the one",
    "emulator/* *": "plays a board and its tools: writes in the board's own root, which emulator/ made",
    "transports/askpass.py *": "a private folder of this process, mode 0700",
    "transports/known_hosts.py *": "the user's own file of host keys",
    "transports/local.py *": "the home of a board that is this PC",
    "session/board_hashes.py *": "empty stand-ins in a temporary folder of this process",
    "platforms/ort/bundle.py *": "the user's own cache",
    "notebook/board_tests.py *": "the user's own state: which test of this PC has a board",
    "boards/lease.py *": "the user's own state: leases that this PC holds",
    "boards/adding.py *": "a trial file in a temporary folder of this process",
    "reference/runtime.py *": "a temporary folder of this process, for a runtime beside harness",
    "reference/*.py onnx.save_model": "a model over 2 GiB, in a temporary folder of this process",
    "transports/openssh.py *": "a private folder of this process, mode 0700",
    "session/samples/batches.py tarfile.open": "into a file that safe.py opened",
    "files/archives.py tarfile.open": "into a file that safe.py opened",
    "files/archives.py archive.open": "a member of an archive that safe.py opened",
    "files/samples.py np.save": "into a file that safe.py opened",
    "reference/outputs.py np.save": "into a file that safe.py opened",
    "precision/on_board.py np.save": "into memory, which safe.py writes",
    "precision/explore/explore.py np.save": "into memory, which safe.py writes",
    "cli/endings.py *": "standard output and error, by descriptor",
}
# Where a name of the allowed list must not reach: these write what a user named, or what is given on.
HELD_ALL_THE_SAME = ("emulator/build.py", "emulator/*/build.py", "emulator/model/compiled.py", "emulator/*/compiled.py")

METHODS = {
    "write_text",
    "write_bytes",
    "touch",
    "mkdir",
    "symlink_to",
    "hardlink_to",
    "tofile",
    "extractall",
    "extract",
}
FUNCTIONS = {
    "os": {"replace", "rename", "renames", "mkdir", "makedirs", "symlink", "link", "truncate", "mkfifo"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "unpack_archive"},
    "np": {"save", "savez", "savez_compressed", "savetxt"},
    "onnx": {"save", "save_model"},
}


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every call that makes or changes a file or folder."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, owner = _named(call.func)
        if name in METHODS or name in FUNCTIONS.get(owner, ()):
            yield call.lineno, f"{owner}.{name}"
        elif (
            name == "open" and owner == "os" and any(flag in ast.unparse(call) for flag in ("WRONLY", "RDWR", "CREAT"))
        ):
            yield call.lineno, "os.open"
        elif name == "open" and owner != "os" and _writing_mode(call):
            yield call.lineno, f"{owner}.open"


def _named(function: ast.expr) -> tuple[str, str]:
    if isinstance(function, ast.Attribute):
        return function.attr, function.value.id if isinstance(function.value, ast.Name) else "?"
    return (function.id, "") if isinstance(function, ast.Name) else ("", "")


def _writing_mode(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    words = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return any(len(word) <= 3 and set(word) & set("wax+") and not set(word) - set("rwaxbt+") for word in words)


def allowed(inside: str, call: str) -> bool:
    if any(fnmatch(inside, held) for held in HELD_ALL_THE_SAME):
        return False
    return any(fnmatch(f"{inside} {call}", pattern) for pattern in ALLOWED)


@pytest.mark.parametrize(
    "line",
    [
        "path.write_text('x')",
        "open(path, 'w')",
        "path.open('wb')",
        "path.open(mode='r+')",
        "os.open(path, os.O_WRONLY)",
        "np.save(path, a)",
        "shutil.copyfile(a, b)",
        "onnx.save(m, p)",
        "(folder / 'a').mkdir()",
        "archive.extractall(folder)",
    ],
)
def test_a_write_is_seen(line: str) -> None:
    assert list(writes(ast.parse(line)))


@pytest.mark.parametrize("line", ["path.open('rb')", "open(path)", "text.replace('a', 'b')", "np.load(path, 'r')"])
def test_what_only_reads_is_no_write(line: str) -> None:
    assert not list(writes(ast.parse(line)))


@cache
def writers() -> list[tuple[str, int, str]]:
    """File, line and call of every write of the package."""
    return [
        (path.relative_to(PACKAGE).as_posix(), line, what) for path in modules() for line, what in writes(tree_of(path))
    ]


def test_files_are_written_in_one_place_or_where_it_says_why() -> None:
    strangers = [f"{file}:{line} {what}" for file, line, what in writers() if not allowed(file, what)]
    assert strangers == [], "write through harness/files/safe.py, or say in ALLOWED why nobody else can have been there"


def test_no_permission_stands_that_nothing_needs() -> None:
    calls = [f"{file} {what}" for file, _, what in writers()]
    assert [pattern for pattern in ALLOWED if not any(fnmatch(call, pattern) for call in calls)] == []
