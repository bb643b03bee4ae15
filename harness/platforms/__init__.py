"""One file per runtime family; the file's name is the platform's name."""

from __future__ import annotations

import importlib
from typing import cast

from harness.errors import ConfigError
from harness.platforms.base import Platform

NAMES = ("hbdnn", "ucp", "magik", "ort")


def load(name: str) -> Platform:
    """The platform of that name. Errors: ConfigError for a name that no file here has."""
    if name not in NAMES:
        raise ConfigError(f"unknown platform {name!r}", f"platforms: {', '.join(NAMES)}")
    return cast(Platform, importlib.import_module(f"harness.platforms.{name}").PLATFORM)
