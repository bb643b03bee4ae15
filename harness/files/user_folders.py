"""Where the user's own files lie: cache and configuration."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """harness's own folder: $HARNESS_HOME, else below the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    home = os.environ.get("HARNESS_HOME")
    if home:
        return Path(home).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "harness"


def config_folder() -> Path:
    """The user's config folder for harness ($XDG_CONFIG_HOME/harness, else ~/.config/harness)."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "harness"
