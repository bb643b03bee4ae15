"""Installed packages for tests: a folder with a module and its metadata, as pip leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, project: str, entries: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]) -> Path:
    """Put a package into `folder`: `entries` are its entry points by group, `modules` texts by name."""
    message = folder / f"{project.replace('-', '_')}-1.0.dist-info"
    message.mkdir(parents=True)
    (message / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
    lines = []
    for group, named in entries.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in named.items()), ""]
    (message / "entry_points.txt").write_text("\n".join(lines))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder
