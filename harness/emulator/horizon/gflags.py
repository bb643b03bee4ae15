"""Command lines as gflags reads them: the last of a repeated flag wins, stray words are ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_TRUE = ("1", "t", "true", "y", "yes")
_FALSE = ("0", "f", "false", "n", "no")

Value = str | int | bool


class FlagError(Exception):
    """What gflags prints before it ends the program with code 1."""


@dataclass
class CommandLine:
    """Flags with their defaults filled in, and the words that were no flags."""

    flags: dict[str, Value]
    words: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """A flag's value as text."""
        return str(self.flags[name])

    def number(self, name: str) -> int:
        """A flag's value as a whole number."""
        return int(self.flags[name])

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(self.flags[name])


def parse(argv: Sequence[str], defaults: Mapping[str, Value]) -> CommandLine:
    """`--flag=v`, `--flag v`, `-flag v`, `--flag` and `--noflag` for booleans. Errors: FlagError in gflags' words."""
    line = CommandLine(dict(defaults))
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.words += rest
            break
        if not word.startswith("-") or word == "-":
            line.words.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name, value = _resolve(name, value if equals else None, rest, defaults)
        line.flags[name] = _convert(name, value, defaults[name])
        line.given.add(name)
    return line


def _resolve(name: str, value: str | None, rest: list[str], defaults: Mapping[str, Value]) -> tuple[str, str]:
    if name not in defaults and name.startswith("no") and isinstance(defaults.get(name[2:]), bool) and value is None:
        return name[2:], "false"
    if name not in defaults:
        raise FlagError(f"ERROR: unknown command line flag '{name}'")
    if value is not None:
        return name, value
    if isinstance(defaults[name], bool):
        literal = bool(rest) and rest[0].lower() in ("true", "false")
        return name, rest.pop(0) if literal else "true"
    if not rest:
        raise FlagError(f"ERROR: flag '{name}' is missing its argument")
    return name, rest.pop(0)


def _convert(name: str, value: str, default: Value) -> Value:
    if isinstance(default, bool):
        if value.lower() not in (*_TRUE, *_FALSE):
            raise FlagError(f"ERROR: illegal value '{value}' specified for bool flag '{name}'")
        return value.lower() in _TRUE
    if isinstance(default, int):
        try:
            return int(value)
        except ValueError:
            raise FlagError(f"ERROR: illegal value '{value}' specified for int32 flag '{name}'") from None
    return value
