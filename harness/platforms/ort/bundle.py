"""The runner as one file: the three Python files of agents/ in an archive that Python runs by itself.

Boards keep pushed files under their hash, so files that import each other must travel as one.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

from harness.assets import asset
from harness.files.user_folders import cache_folder

MEMBERS = {"__main__.py": "ort_runner.py", "ort_io.py": "ort_io.py", "ort_model.py": "ort_model.py"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same sources give the same bytes


def runner_archive() -> Path:
    """Path of the archive, written to the user's cache when its content is new."""
    content = _pack()
    target = cache_folder() / f"ort_runner-{hashlib.md5(content).hexdigest()[:12]}.pyz"
    if not target.is_file() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(target)
    return target


def _pack() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), asset(f"agents/{source}").read_bytes())
    return buffer.getvalue()
