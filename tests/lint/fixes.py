"""A fix of `harness lint`, applied to the config as a person would who takes it at its word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from harness.lint.findings import LintFinding
from harness.lint.horizon.schema import HB_COMPILE, HB_MAPPER
from harness.lint.yaml_tree import Node, read_tree

Path = tuple[str, ...]
KEYED = re.compile(r"^'?(?P<key>[\w./-]+)'?: (?P<value>[^\n]*)$", re.ASCII)
GROUP = re.compile(r"^(?P<group>\w+):\n(?P<rest>(?:  .*\n?)+)$")


def apply(text: str, finding: LintFinding) -> str | None:
    """The config with this fix; None for a fix that only a person can carry out (data to make, a model to export)."""
    config: dict[str, Any] = yaml.safe_load(text)
    places = list(_places(read_tree(text, "config")))
    changed = _change(config, places, finding)
    return yaml.safe_dump(config, sort_keys=False) if changed else None


def _places(node: Node, front: Path = ()) -> Iterator[tuple[int, Path]]:
    """(line, path) of every key, deeper ones after theirs."""
    for key, value in node.items:
        yield key.line, (*front, key.text)
        yield from _places(value, (*front, key.text))


def _change(config: dict[str, Any], places: list[tuple[int, Path]], finding: LintFinding) -> bool:
    fix = finding.fix
    at_line = [path for line, path in places if line == finding.line]
    at_place = at_line[-1] if at_line else ()
    if match := GROUP.match(fix):
        name = match["group"]
        _put(config, _find(places, name, finding.line) or (name,), yaml.safe_load(fix)[name])
    elif match := re.match(r"leave (\S+(?: and \S+)*) out", fix):
        for name in match[1].split(" and "):
            _drop(config, at_place if name == "it" else _find(places, name, finding.line))
    elif match := re.match(r"one of ([^,]+)", fix):
        named = re.search(r"\b(\w+_parameters)\.(\w+)", finding.message)
        march = ("model_parameters", "march")
        path = (named[1], named[2]) if named else march if "march" in finding.message else at_place
        _put(config, path, match[1])
    elif match := re.match(r"did you mean (.+)\?", fix):
        _put(config, (*at_place[:-1], match[1]), _drop(config, at_place))
    elif match := re.match(r"move it (?:to|under) (\w+)", fix):
        _put(config, (match[1], at_place[-1]), _drop(config, at_place))
    elif match := KEYED.match(fix):
        path = _find(places, match["key"], finding.line) or _home(match["key"])
        _put(config, path, yaml.safe_load(match["value"]))
    else:
        return False
    return True


def _find(places: list[tuple[int, Path]], name: str, line: int) -> Path:
    """The key of that name at this line or the nearest above, else the first; () for none."""
    same = [(at, path) for at, path in places if path[-1] == name or (path[-1] == "True" and name == "ON")]
    above = [path for at, path in same if at <= line]
    nearest = above[-1] if above else same[0][1] if same else ()
    return (*nearest[:-1], name) if nearest else ()


def _home(key: str) -> Path:
    tables = (HB_MAPPER, HB_COMPILE)
    return next((group, key) for table in tables for group, keys in table.items() if key in keys)


def _key(parent: dict[Any, Any], name: str) -> Any:
    """The key as the dict has it: True for an unquoted ON, a number for a name of digits."""
    return next((key for key in parent if str(key) == name), name)


def _drop(config: dict[str, Any], path: Path) -> Any:
    parent: Any = config
    for name in path[:-1]:
        parent = parent[_key(parent, name)]
    if not path:
        return None
    return parent.pop(_key(parent, path[-1]), None)


def _put(config: dict[str, Any], path: Path, value: object) -> None:
    parent: Any = config
    for name in path[:-1]:
        if not isinstance(parent.get(_key(parent, name)), dict):
            parent[name] = {}
        parent = parent[_key(parent, name)]
    if path[-1] == "ON" and True in parent:
        del parent[True]
    parent[_key(parent, path[-1])] = value
