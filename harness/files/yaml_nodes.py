"""A YAML text as nodes that know their lines, for files that people write: what is wrong is said with its line."""

from __future__ import annotations

import yaml

from harness.errors import ConfigError


def compose(text: str, name: str) -> yaml.Node | None:
    """The root of the only document in `text`, None where it is empty.

    Errors: ConfigError with `name`, line and column for what is no YAML.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{name}{line}: not valid YAML: {error.problem or error.context}",
            "check brackets, quotes and indentation there and above",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}", "give a text file in UTF-8") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply") from error


def dumped(plain: object) -> str:
    """YAML text of plain values, in their order. JSON will not do: its 1e-09 is text to a reader of YAML 1.1."""
    return str(yaml.safe_dump(plain, sort_keys=False))


def pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping, in the order of the file; none of anything else."""
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def line_of(node: yaml.Node) -> int:
    """The line on which a node begins, 1-based."""
    return int(node.start_mark.line) + 1
