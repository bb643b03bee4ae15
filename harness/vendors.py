"""Which vendors there are: harness's own by their folders, others by installed packages. No shared file names one.

A wing (lint, toolchains, ...) says in a base class what it wants of a vendor; a vendor's room in that wing answers in
`vendor.py`, whose VENDOR is of that class. A vendor that has nothing to say in a wing has no room there. A package
hands out all its answers as one `Vendor`, under the entry points `harness.vendors` (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from harness.errors import ConfigError
from harness.extensions import packages

Part = TypeVar("Part")
Answer = TypeVar("Answer")
PACKAGE = Path(__file__).parent
GROUP = "harness.vendors"


@dataclass(frozen=True)
class Vendor:
    """A vendor in a package of its own: what it answers to each wing, in that wing's class; None where nothing.

    Modules that a part names are whole names here (`acme_harness`), as they are not in a room of harness.
    """

    platforms: object = None  # platforms.base.PlatformVendor
    toolchains: object = None  # toolchains.base.ToolchainVendor
    lint: object = None  # lint.base.LintVendor
    diagnosis: object = None  # diagnosis.rules.DiagnosisVendor
    emulator: object = None  # emulator.base.EmulatorVendor
    export: object = None  # export.base.ExportVendor
    precision: object = None  # precision.base.PrecisionVendor


@cache
def names(wing: str) -> tuple[str, ...]:
    """Harness's own vendors with a room in that wing, by name."""
    return tuple(sorted(path.parent.name for path in (PACKAGE / wing).glob("*/vendor.py")))


def built_in(wing: str, contract: type[Part]) -> dict[str, Part]:
    """What each of harness's own vendors answers to the wing's contract, by the vendor's name; imported now.

    Errors: TypeError for a room that does not keep the contract, which is a fault of the room.
    """
    parts = {name: import_module(f"harness.{wing}.{name}.vendor").VENDOR for name in names(wing)}
    strangers = [name for name, part in parts.items() if not isinstance(part, contract)]
    if strangers:
        raise TypeError(f"harness/{wing}/{strangers[0]}/vendor.py: VENDOR is not a {contract.__name__}")
    return parts


def added(wing: str, contract: type[Part]) -> dict[str, Part]:
    """The same of installed packages; one that does not load or keep the contract is left out, with a warning."""
    parts: dict[str, Part] = {}
    for one in packages.given(GROUP):
        try:
            part = getattr(_vendor(one), wing)
            if isinstance(part, contract):
                parts[one.name] = part
            elif part is not None:
                raise packages.broken(
                    one, "vendor", f"its {wing} is a {type(part).__name__}, expected a {contract.__name__}"
                )
        except ConfigError as error:
            packages.leave_out(error)
    return parts


def parts(wing: str, contract: type[Part]) -> dict[str, Part]:
    """What every vendor answers, harness's own first."""
    return built_in(wing, contract) | added(wing, contract)


def _vendor(one: packages.Given) -> object:
    """Errors: ConfigError for one that is broken, or whose name another has."""
    those = [other for other in packages.given(GROUP) if other.name == one.name]
    if len(those) > 1:
        raise packages.twice(those, "vendor")
    if any((PACKAGE / wing / one.name / "vendor.py").exists() for wing in Vendor.__match_args__):
        raise packages.broken(one, "vendor", "harness already has one of that name")
    return packages.load(one, "vendor", Vendor)


def careful(name: str, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """What a vendor's own code answers; where a package's fails, `otherwise`, with a warning."""
    those = [one for one in packages.given(GROUP) if one.name == name]
    if not those:
        return ask()
    try:
        return ask()
    except Exception as error:  # a package of somebody else raises what it likes
        packages.leave_out(packages.broken(those[0], "vendor", f"{type(error).__name__}: {error}"))
        return otherwise
