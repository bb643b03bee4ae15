"""Sums of files: md5, as boards and the vendors' manuals compare them, and sha256 for records that others keep.

md5 is never used where security depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 2**20


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...


def md5_of_file(path: Path) -> str:
    """Hexadecimal md5 of a whole file, read in pieces. Errors: OSError.

    `hashlib.file_digest` does the same from Python 3.11 on.
    """
    digest = hashlib.md5(usedforsecurity=False)
    _feed(path, (digest,))
    return digest.hexdigest()


def sums_of_file(path: Path) -> tuple[str, str]:
    """Hexadecimal md5 and sha256 of a whole file, read once. Errors: OSError."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    _feed(path, (md5, sha256))
    return md5.hexdigest(), sha256.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a whole file, read in pieces. Errors: OSError."""
    digest = hashlib.sha256()
    _feed(path, (digest,))
    return digest.hexdigest()


def _feed(path: Path, digests: Sequence[_Hash]) -> None:
    piece = memoryview(bytearray(PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            for digest in digests:
                digest.update(piece[:count])
