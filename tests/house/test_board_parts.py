"""A board is handed on in parts: a transport gets its endpoint, a platform its identity, power its supply."""

from __future__ import annotations

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from harness.records import Board
from tests.house.sources import PACKAGE, nodes_of

LOWER = ("agent", "platforms", "transports", "boards/power.py")  # below boards/, and what is handed one part only

# Above boards/, those that reach a board and hand out its parts.
WHOLE = {
    "session/__init__.py": {"run_case", "resumable", "resume_case", "_reopened", "_answers"},
    "session/judged.py": {"run_and_judge"},
    "session/steps.py": {"__init__", "run"},
    # Lists and checks of the inventory, and a board as hosts.yaml takes it.
    "cli/boards.py": {"_check", "_from_wheels", "_set_up"},
    "cli/farm/boards_list.py": {"_Line", "_holder", "_holders", "_lines", "_place", "_tags"},
    "cli/emulator.py": {"_hosts_entry"},
    "cli/farm/several_boards.py": {"_measured", "one", "run_several"},
    "cli/run.py": {"_prepared", "with_faults"},
}
ABOVE = ("session", "cli")
BESIDE = (
    "report",
    "review",
    "diagnosis",
    "consistency",
    "reference",
    "runs",
    "dumps",
    "toolchains",
    "lint",
    "profiling",
)

# Likewise a whole Case: the run's files are named by one, its record and its reference are made from one.
WHOLE_CASE = {
    "session/__init__.py": {"run_case", "check_case"},
    "session/judged.py": {"run_and_judge", "judged", "measured", "MeasuredRun", "refuse_noise"},
    "session/record.py": {"new_record"},
    "session/unchanged.py": {"files_of", "named_files"},
}


def takers(path: Path, noun: str = "Board") -> set[str]:
    """Functions that take, give or keep a whole noun."""
    takers = set()
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef):
            notes = [one.annotation for one in (*node.args.args, *node.args.kwonlyargs)] + [node.returns]
            if any(names(note, noun) for note in notes):
                takers.add(node.name)
        if isinstance(node, ast.ClassDef):
            takers |= {node.name for one in node.body if isinstance(one, ast.AnnAssign) and names(one.annotation, noun)}
    return takers


def test_a_board_is_its_parts() -> None:
    """A value stands in one part; the name, by which people are told of a board, in two."""
    parts = [get_type_hints(Board)[one.name] for one in fields(Board)]
    values = [one.name for part in parts if is_dataclass(part) for one in fields(part)]
    assert {name for name in values if values.count(name) > 1} == {"name"}
    assert {one.name for one in fields(Board)} - {"tags"} == {
        *("identity", "endpoint", "environment", "folders", "commands", "power", "limits", "lending"),
    }


def names(note: ast.expr | None, noun: str) -> bool:
    return note is not None and any(isinstance(n, ast.Name) and n.id == noun for n in ast.walk(note))


def files(room: str) -> list[Path]:
    path = PACKAGE / room
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def test_below_the_inventory_nobody_takes_a_whole_board() -> None:
    result = {str(path.relative_to(PACKAGE)): takers(path) for room in LOWER for path in files(room)}
    assert {name: who for name, who in result.items() if who} == {}


def test_who_only_reads_what_a_run_left_takes_no_board() -> None:
    result = {str(path.relative_to(PACKAGE)): takers(path) for room in BESIDE for path in files(room)}
    assert {name: who for name, who in result.items() if who} == {}


def test_above_the_inventory_parts_are_handed_out() -> None:
    result = {str(path.relative_to(PACKAGE)): takers(path) for room in ABOVE for path in files(room)}
    assert {name: who for name, who in result.items() if who} == WHOLE


def test_a_session_hands_out_parts_of_a_case() -> None:
    result = {str(path.relative_to(PACKAGE)): takers(path, "Case") for path in files("session")}
    assert {name: who for name, who in result.items() if who} == WHOLE_CASE
