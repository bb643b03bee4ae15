"""A class does one thing: what is large holds parts that do theirs (docs/decisions.md, link and sessions)."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.sources import PACKAGE, nodes

MOST_PUBLIC = 12  # methods of one class, properties too
MOST = 16  # private ones too, of the classes that were split

# Contracts that every vendor meets, and the formats of vendors' files: as many methods as there are questions.
CONTRACTS = {"EmulatorVendor", "Platform", "Hbdnn", "HbdnnTool", "UcpTool", "Magik", "Ort", "Sophgo", "Dialect"}
# A bag of numbers that rules ask by name.
BAGS = {"Errors"}
SPLIT = {
    "agent": {"Agent", "AgentLink", "BoardCache", "BoardFiles", "Jobs", "Lease"},
    "consistency": {"_Comparer", "RowComparer", "FaultSearch"},
    "reference": {"_Collapse", "NodeIndex", "GraphValues", "OpGroups"},
    "session": {"Session", "RunProgress", "Pusher", "Puller", "ModeRunner"},
}


def methods() -> dict[tuple[Path, str], list[str]]:
    return {
        (path.relative_to(PACKAGE), node.name): [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
        for path, node in nodes()
        if isinstance(node, ast.ClassDef)
    }


def test_a_class_has_few_public_methods() -> None:
    public = {key: sum(not one.startswith("_") for one in own) for key, own in methods().items()}
    assert {name for (_, name), n in public.items() if n > MOST_PUBLIC} == CONTRACTS | BAGS


def test_what_was_split_stays_split() -> None:
    for room, names in SPLIT.items():
        result = {name: len(own) for (path, name), own in methods().items() if path.parts[0] == room}
        assert names <= result.keys()
        assert {name: result[name] for name in names if result[name] > MOST} == {}
