"""Names that may become file names, whatever a board or a manifest calls a thing."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata

_NAME_BYTES = 200  # file systems take 255 bytes, and a suffix may follow


def safe_name(text: str) -> str:
    """A file name made of a user's or board's text: readable, never empty, never a path."""
    name = re.sub(r"[^\w.\-]+", "_", text, flags=re.UNICODE).strip("._")[:80]
    name = name.encode("utf-8", "ignore")[:_NAME_BYTES].decode("utf-8", "ignore")
    return name or "unnamed"


def file_form(name: str) -> str:
    """A tensor's name as toolchains write it into file names: outside [A-Za-z0-9._-] becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


NAME_LIMIT_BYTES = 200  # of one stored path component; file systems allow 255


def stored_name(name: str) -> str:
    """Under which file name a board's file is kept: readable, without control and direction characters.

    Different names give different results, because `%` is escaped too.
    """
    return "/".join(_stored_part(part) for part in name.split("/"))


def _stored_part(part: str) -> str:
    text = "".join(char if _harmless(char) else _percent(char) for char in part)
    if text.startswith("-"):
        text = "%2D" + text[1:]
    if len(os.fsencode(text)) > NAME_LIMIT_BYTES:
        tag = hashlib.md5(os.fsencode(part), usedforsecurity=False).hexdigest()
        text = f"{text[:40]}%{tag}"
    return text


def _harmless(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in " !#$&'()+,-.:;=@[]^_{}~"
    return unicodedata.category(char)[0] in "LNP" and unicodedata.normalize("NFC", char) == char


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(char))
