"""One room per vendor; each runtime family is a file in it with a `PLATFORM`."""

from __future__ import annotations

import importlib
from typing import cast

from harness.errors import ConfigError
from harness.platforms.base import Platform

_MODULES = {"hbdnn": "horizon.hbdnn", "ucp": "horizon.ucp", "magik": "magik.platform", "ort": "ort.platform"}
NAMES = tuple(_MODULES)


def load(name: str) -> Platform:
    """The platform of that name. Errors: ConfigError for a name that no file here has."""
    if name not in NAMES:
        raise ConfigError(f"unknown platform {name!r}", f"platforms: {', '.join(NAMES)}")
    return cast(Platform, importlib.import_module(f"harness.platforms.{_MODULES[name]}").PLATFORM)
