"""Files that a config names: a name may be too long, of an unknown user or in a closed folder, and is then not here."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def beside(folder: Path, text: str) -> Path:
    """Where `text` lies for a config in `folder`; a `~name` of nobody stands for itself."""
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        return folder / text


def is_file(path: Path) -> bool:
    """Whether a file is there; False, without an error, for every path that cannot be looked at."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def is_folder(path: Path) -> bool:
    """The same for a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """The same for anything."""
    return os.path.exists(path)  # noqa: PTH110


def files_in(folder: Path) -> list[Path] | None:
    """All that lies in a folder, by name; None for one that cannot be read."""
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError):
        return None


def for_shell(text: str) -> str:
    """A path as one word of a shell, with its `~/` still at work."""
    home = text.startswith("~/") and len(text) > 2
    return "~/" + shlex.quote(text[2:]) if home else shlex.quote(text)
