"""md5 of the valid bytes of padded tensor files, where they lie. Python 3.6 or later, nothing but its own library.

stdin: one file a line, words between tabs:  name  file-bytes  body-bytes  step,keep  step,keep ...
The body is rows of `step` bytes of which the first `keep` are valid; these again are rows of the next pair, and so on,
outermost first. Bytes after the body are padding. Bytes of a name that are not plain are written \\0ooo.

stdout: `valid=<line number from 0> <md5>`. A file that is not as told, or that changes while it is read, has no line.
"""

import functools
import hashlib
import os
import re
import stat
import struct
import sys

PIECE_BYTES = 256 * 1024  # read and packed at a time: stays in the cache of a small core
FEW_BYTES = 16  # valid bytes of a row up to which a slice for each beats a word for each row, as measured
ESCAPE = re.compile(rb"\\0([0-3][0-7]{2})")


def main():
    for index, line in enumerate(sys.stdin.buffer):
        try:
            digest = digest_of(line.rstrip(b"\n"))
        except (OSError, ValueError, MemoryError):
            continue
        sys.stdout.write(f"valid={index} {digest}\n")
        sys.stdout.flush()


def digest_of(line):
    """md5 of one file's valid bytes. Errors: ValueError for a file or a line that is not right, OSError."""
    name, size, body, levels = read_line(line)
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = marks(fd)
        if before[0] != size:
            raise ValueError("another size")
        digest = new_md5()
        feed(digest, fd, 0, body, levels)
        if marks(fd) != before:
            raise ValueError("changed while it was read")
        return digest.hexdigest()
    finally:
        os.close(fd)


def read_line(line):
    words = line.split(b"\t")
    name = ESCAPE.sub(lambda match: bytes([int(match.group(1), 8)]), words[0])
    size, body = int(words[1]), int(words[2])
    levels = [tuple(map(int, word.split(b","))) for word in words[3:]]
    holds = body
    for step, keep in levels:
        if not 0 < keep <= step or holds % step:
            raise ValueError("rows that do not fit")
        holds = keep
    if not 0 < body <= size:
        raise ValueError("a body that does not fit")
    return name, size, body, levels


def marks(fd):
    """What tells that a file was changed."""
    seen = os.fstat(fd)
    if not stat.S_ISREG(seen.st_mode):
        raise ValueError("no regular file")
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def new_md5():
    try:
        return hashlib.md5()
    except ValueError:  # a board in FIPS mode: this guards nothing
        return hashlib.new("md5", usedforsecurity=False)


def feed(digest, fd, offset, length, levels):
    """Hash the valid bytes of `length` bytes from `offset` on, in bounded memory."""
    if levels and levels[0][0] > PIECE_BYTES:
        step, keep = levels[0]
        for start in range(offset, offset + length, step):
            feed(digest, fd, start, keep, levels[1:])
        return
    step = levels[0][0] if levels else 1
    most = PIECE_BYTES // step * step
    for start in range(offset, offset + length, most):
        data = read_at(fd, start, min(most, offset + length - start))
        for row in levels:
            data = packed(data, *row)
        digest.update(data)


def read_at(fd, offset, count):
    parts = []
    while count:
        part = os.pread(fd, count, offset)
        if not part:
            raise ValueError("cut off while it was read")
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def packed(data, step, keep):
    """The first `keep` of every `step` bytes."""
    if step == keep:
        return data
    if keep > FEW_BYTES:
        return b"".join(rows(step, keep, len(data) // step).unpack(data))
    out = bytearray(len(data) // step * keep)
    for lane in range(keep):
        out[lane::keep] = data[lane::step]
    return out


@functools.lru_cache(maxsize=8)
def rows(step, keep, count):
    return struct.Struct(f"{keep}s{step - keep}x" * count)


if __name__ == "__main__":
    main()
