"""Entry points of installed packages, read when they are asked for; a broken package is a warning, not an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from harness.errors import ConfigError

_PROBLEMS: dict[str, None] = {}  # in the order they were met, each once


@dataclass(frozen=True)
class Given:
    """One thing that a package gives under a name."""

    name: str
    project: str  # as pip calls it
    package: str  # with its version, for people
    load: Callable[[], object]


@cache
def given(group: str) -> tuple[Given, ...]:
    """Everything that installed packages give in a group, by name; nothing of them is imported."""
    return tuple(sorted(_read(group), key=lambda one: (one.name, one.project)))


def _read(group: str) -> Iterator[Given]:
    from importlib import metadata  # here: it costs as much as a whole `harness --help`

    for entry in metadata.entry_points(group=group):
        project = entry.dist.name if entry.dist else entry.value.partition(".")[0]
        version = f" {entry.dist.version}" if entry.dist else ""
        yield Given(entry.name, project, f"{project}{version}", entry.load)


def load(one: Given, thing: str, contract: type) -> object:
    """What a package gives. Errors: ConfigError naming the package, where it cannot be had or is something else."""
    try:
        part = one.load()
    except Exception as error:  # a package of somebody else raises what it likes
        raise broken(one, thing, f"{type(error).__name__}: {error}") from error
    if not isinstance(part, contract):
        raise broken(one, thing, f"it is a {type(part).__name__}, expected a {contract.__name__}")
    return part


def broken(one: Given, thing: str, why: str) -> ConfigError:
    """The error of a package that does not give what it should."""
    hint = f"repair it (docs/extending.md says what a {thing} is), or: pip uninstall {one.project}"
    return ConfigError(f"package {one.package} cannot give {thing} {one.name!r}: {why}", hint)


def twice(those: list[Given], thing: str) -> ConfigError:
    """The error of one name from two packages."""
    packages = ", ".join(one.package for one in those)
    message = f"{thing} {those[0].name!r} is given by {len(those)} packages: {packages}"
    return ConfigError(message, f"keep one of them: pip uninstall {those[-1].project}")


def leave_out(error: ConfigError) -> None:
    """Go on without a package that this run may not need; a warning comes at the end of the command."""
    _PROBLEMS[f"left out: {error.message} ({error.hint})"] = None


def problems() -> tuple[str, ...]:
    """What was left out so far, in sentences."""
    return tuple(_PROBLEMS)


def forget() -> None:
    """Read anew what is installed at the next question."""
    given.cache_clear()
    _PROBLEMS.clear()
