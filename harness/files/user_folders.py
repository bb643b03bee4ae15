"""Where the user's own files lie: cache, configuration, state, by the XDG base directories. The only place for that."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """harness's own folder: $HARNESS_HOME, else below the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    home = os.environ.get("HARNESS_HOME")
    return Path(home).absolute() if home else _of_user("XDG_CACHE_HOME", ".cache").absolute()


def config_folder() -> Path:
    """The user's config folder for harness ($XDG_CONFIG_HOME/harness, else ~/.config/harness)."""
    return _of_user("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """What is kept between commands and is no configuration ($XDG_STATE_HOME/harness, else ~/.local/state/harness)."""
    return _of_user("XDG_STATE_HOME", ".local/state")


def data_folder(program: str) -> Path:
    """Where another program of this user keeps its data ($XDG_DATA_HOME, else ~/.local/share)."""
    return _of_user("XDG_DATA_HOME", ".local/share").parent / program


def _of_user(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "harness"
