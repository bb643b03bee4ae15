"""One room per vendor; each runtime family is a file in it with a `PLATFORM`."""

from __future__ import annotations

import importlib
from typing import cast

from harness import vendors
from harness.errors import ConfigError
from harness.platforms.base import Platform, PlatformVendor

ROOMS = vendors.parts("platforms", PlatformVendor)
_MODULES = {name: f"{room}.{module}" for room, part in ROOMS.items() for name, module in part.modules.items()}
NAMES = tuple(_MODULES)


def load(name: str) -> Platform:
    """The platform of that name. Errors: ConfigError for a name that no file here has."""
    if name not in NAMES:
        raise ConfigError(f"unknown platform {name!r}", f"platforms: {', '.join(NAMES)}")
    return cast(Platform, importlib.import_module(f"harness.platforms.{_MODULES[name]}").PLATFORM)
