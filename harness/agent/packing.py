"""Whether compressing pays on this board and link: measured once, on files that are wanted anyway."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from harness.errors import BoardError
from harness.transports.base import PIECE_BYTES, STREAM_LIMIT_BYTES

GZIP_MAGIC = b"\x1f\x8b"
PROBE_BYTES = 4 * 2**20  # enough to outweigh the start of the programs, little enough to lose nothing
FAST_BYTES_PER_S = 20e6  # from here on a small board's gzip only slows a pull down
GAIN = 1.1  # compressing must be this much faster to be worth the board's CPU


class LinkPacking:
    """The decision for one agent: "" while it is being measured, then "plain" or "gzip"."""

    def __init__(self) -> None:
        self.decided = ""
        self.plain_bytes_per_s = 0.0
        self.gzip_bytes_per_s = 0.0

    @property
    def batch_bytes(self) -> int:
        """How much the next stream should carry."""
        return STREAM_LIMIT_BYTES if self.decided else PROBE_BYTES

    @property
    def zipped(self) -> bool:
        """Whether the next stream is to be compressed."""
        return self.decided == "gzip" or (not self.decided and self.plain_bytes_per_s > 0)

    def measured(self, carried_bytes: int, seconds: float) -> None:
        """Learn from a stream. Streams that carried little tell nothing."""
        if self.decided or carried_bytes < PROBE_BYTES / 2:
            return
        rate = carried_bytes / max(seconds, 1e-6)
        if not self.plain_bytes_per_s:
            self.plain_bytes_per_s = rate
            self.decided = "plain" if rate >= FAST_BYTES_PER_S else ""
            return
        self.gzip_bytes_per_s = rate
        self.decided = "gzip" if rate > GAIN * self.plain_bytes_per_s else "plain"


def inflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream piece by piece; what a piece blows up to is handed on in small parts.

    Errors: BoardError when it is no gzip stream, ends early, or is followed by something else.
    """
    unzip = zlib.decompressobj(31)
    for piece in pieces:
        if unzip.eof:  # zlib would keep what follows, without end
            raise BoardError("the board sent data after the end of a compressed stream", "check the board's `gzip`")
        while piece:
            try:
                out = unzip.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                raise BoardError(f"the board sent a damaged compressed stream ({error})") from error
            if out:
                yield out
            piece = unzip.unconsumed_tail
    if not unzip.eof:
        raise BoardError("the compressed stream from the board ended early")


def maybe_inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A stream as it is, or decompressed when it begins as gzip does (boards without gzip send it plain)."""
    source = iter(pieces)
    head = b""
    while len(head) < len(GZIP_MAGIC) and (piece := next(source, b"")):
        head += piece
    whole = chain([head], source)
    return inflate(whole) if head.startswith(GZIP_MAGIC) else whole
