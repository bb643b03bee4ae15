"""What `md5sum` printed, on a board or a PC: GNU, busybox and BSD forms, among prompts and other lines."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROW = re.compile(r"^\s*\\?(?P<md5>[0-9a-fA-F]{32})[ \t]+\*?(?P<name>\S.*)$")
_BSD = re.compile(r"^\s*MD5 \((?P<name>.+)\) = (?P<md5>[0-9a-fA-F]{32})$")
LONGEST_NAME_BYTES = 255  # of a file on Linux
LARGEST_BYTES = 2**26  # of a list; one of 200,000 files takes 20 MB


@dataclass(frozen=True)
class Md5List:
    """md5 by the file's last name, in the list's order, and what could not be used."""

    md5s: Mapping[str, str]
    problems: tuple[str, ...] = ()


def read_list(text: str) -> Md5List:
    """Rows of `md5sum` (GNU, busybox, BSD) in a text that may hold a prompt and other lines; empty where none is."""
    md5s: dict[str, str] = {}
    problems: list[str] = []
    for line in text.splitlines():
        match = _ROW.match(line.rstrip()) or _BSD.match(line.rstrip())
        if match is None:
            continue
        name, md5 = PurePosixPath(match["name"]).name, match["md5"].lower()
        if name in ("", "..") or len(os.fsencode(name)) > LONGEST_NAME_BYTES:
            problems.append(f"{name[:40]!r} is no file's name; it is not compared")
            continue
        if md5s.get(name, md5) != md5:
            problems.append(f"{name} stands there twice with different md5s; it is not compared")
            md5s[name] = ""
        else:
            md5s.setdefault(name, md5)
    return Md5List({name: md5 for name, md5 in md5s.items() if md5}, tuple(dict.fromkeys(problems)))


def is_list(path: Path) -> bool:
    """Whether a file is text with rows of md5sum and no tensor. Errors: OSError."""
    if not path.is_file() or path.suffix in (".npz", ".npy", ".bin") or path.stat().st_size > LARGEST_BYTES:
        return False
    data = path.read_bytes()
    return b"\0" not in data and bool(read_list(data.decode("utf-8", "replace")).md5s)
