"""One room per vendor; each runtime family is a file in it with a `PLATFORM`. Packages add vendors: harness.vendors."""

from __future__ import annotations

import importlib

from harness import vendors
from harness.errors import ConfigError
from harness.extensions import packages
from harness.platforms.base import Platform, PlatformVendor

ROOMS = vendors.built_in("platforms", PlatformVendor)
_MODULES = {
    name: f"harness.platforms.{room}.{module}" for room, part in ROOMS.items() for name, module in part.modules.items()
}
NAMES = tuple(_MODULES)  # of harness itself; names() has all


def added() -> dict[str, PlatformVendor]:
    """The vendors that packages bring, by the name of each platform; a name that is there already is left out."""
    parts: dict[str, PlatformVendor] = {}
    for vendor, part in vendors.added("platforms", PlatformVendor).items():
        for name in part.modules:
            if name in parts or name in NAMES:
                message = f"vendor {vendor!r} gives platform {name!r}, which another has already"
                packages.leave_out(ConfigError(message, "uninstall one of them"))
            else:
                parts[name] = part
    return parts


def part_of(name: str) -> PlatformVendor | None:
    """What the vendor of a platform says, without loading it; packages are asked for a name that is not built in."""
    own = next((part for part in ROOMS.values() if name in part.modules), None)
    return own or added().get(name)


def is_known(name: str) -> bool:
    """Whether a platform may be meant; if a package is broken it may be its own, and loading reports it."""
    return part_of(name) is not None or any(problem.startswith("left out") for problem in packages.problems())


def load(name: str) -> Platform:
    """The platform of that name. Errors: ConfigError for a name that nobody has, or whose package is broken."""
    if name in _MODULES:
        platform: Platform = importlib.import_module(_MODULES[name]).PLATFORM
        return platform
    part = added().get(name)
    if part is None:
        broken = "".join(f"; {problem}" for problem in packages.problems())
        raise ConfigError(f"unknown platform {name!r}", f"platforms: {', '.join(names())}{broken}")
    return _of_package(name, part)


def _of_package(name: str, part: PlatformVendor) -> Platform:
    module = part.modules[name]
    try:
        platform = importlib.import_module(module).PLATFORM
    except Exception as error:  # a package of somebody else raises what it likes
        message = f"platform {name!r}: {module} cannot be loaded: {type(error).__name__}: {error}"
        raise ConfigError(message, f"repair or uninstall the package that has {module}") from error
    if not isinstance(platform, Platform):
        message = f"platform {name!r}: {module}.PLATFORM is a {type(platform).__name__}, a Platform is wanted"
        raise ConfigError(message, "derive it from harness.platforms.base.Platform, see docs/extending.md")
    return platform


def names() -> tuple[str, ...]:
    """Every platform that can be loaded, harness's own first."""
    all_names = list(NAMES)
    for name, part in added().items():
        try:
            _of_package(name, part)
            all_names.append(name)
        except ConfigError as error:
            packages.leave_out(error)
    return tuple(all_names)
