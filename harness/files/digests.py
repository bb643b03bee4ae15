"""md5 sums of files, as boards and the vendors' manuals compare them; never used where security depends on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

PIECE_BYTES = 2**20


def md5_of_file(path: Path) -> str:
    """Hexadecimal md5 of a whole file, read in pieces. Errors: OSError.

    `hashlib.file_digest` does the same from Python 3.11 on.
    """
    digest = hashlib.md5(usedforsecurity=False)
    piece = memoryview(bytearray(PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
    return digest.hexdigest()
