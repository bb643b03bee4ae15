"""A registry: names, and the things behind them. Harness's own are files of a folder, others come from packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar, cast

from harness.errors import ConfigError
from harness.extensions import packages

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """One kind of thing, for example `Registry("transport", "harness.transports", Kind, "harness.transports.kinds")`.

    `home` is the package whose files are harness's own, each with the thing as `ENTRY`; `group` the entry points.
    """

    def __init__(self, thing: str, group: str, contract: type[Part], home: str) -> None:
        self.thing, self.group = thing, group
        self._contract, self._home = contract, home

    @cached_property
    def built_in(self) -> tuple[str, ...]:
        """Harness's own names; no file is imported for it."""
        folder = Path(__file__).parents[2].joinpath(*self._home.split("."))
        return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))

    def get(self, name: str) -> Part:
        """The thing of that name. Errors: ConfigError for a name that nobody gives, or whose package is broken."""
        if name in self.built_in:
            return cast(Part, import_module(f"{self._home}.{name}").ENTRY)
        those = [one for one in packages.given(self.group) if one.name == name]
        if not those:
            raise ConfigError(f"unknown {self.thing} {name!r}", self.hint(name))
        if len(those) > 1:
            raise packages.twice(those, self.thing)
        return cast(Part, packages.load(those[0], self.thing, self._contract))

    def names(self) -> tuple[str, ...]:
        """Every name that there is, harness's own first. A package that takes one of those is left out."""
        others = dict.fromkeys(one.name for one in packages.given(self.group))
        for one in packages.given(self.group):
            if one.name in self.built_in:
                packages.leave_out(packages.broken(one, self.thing, "harness already has one of that name"))
        return (*self.built_in, *(name for name in others if name not in self.built_in))

    def knows(self, name: str) -> bool:
        """Whether somebody gives that name; metadata is only read for one that is not harness's own."""
        return name in self.built_in or any(one.name == name for one in packages.given(self.group))

    def all(self) -> Mapping[str, Part]:
        """Everything that loads; what does not is left out, with a warning."""
        parts: dict[str, Part] = {}
        for name in self.names():
            try:
                parts[name] = self.get(name)
            except ConfigError as error:
                packages.leave_out(error)
        return parts

    def hint(self, name: str) -> str:
        """What to write instead of a name that is not known."""
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), self.names(), n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        return f"{meant}{self.thing}s: {', '.join(self.names())}; a package can add one, see docs/extending.md"
