"""Files to and from a board through its agent: a content-addressed cache, and one tar stream for many files."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from harness.agent.packing import inflate, maybe_inflated
from harness.agent.words import Answer, FileFacts, Put, Refused, escape, unescape, whole_number
from harness.archive import Quotas, Unpacker, member_name, stored_name
from harness.errors import BoardError, InputError, LinkError
from harness.transports.base import PIECE_BYTES, STREAM_LIMIT_BYTES, Done, Progress, printable

if TYPE_CHECKING:
    from harness.agent import Agent

SLOWEST_BYTES_PER_S = 50_000  # a link slower than this is given up: time limits of transfers are made from it
BUSY_PATIENCE_S = 120.0  # how long another host's push of the same file is waited for
BYTES_PER_NAME = 600  # of a hash answer: two lines for each file


# --------------------------------------------------------------------------- to the board


@dataclass(frozen=True)
class _Wanted:
    path: Path
    size: int
    md5: str

    @property
    def cache_name(self) -> str:
        """The md5 and the suffix: vendors' tools judge files by their suffix."""
        suffix = self.path.suffix
        return self.md5 + (suffix if re.fullmatch(r"\.[A-Za-z0-9_]{1,12}", suffix) else "")


def put_files(agent: Agent, paths: Sequence[Path], progress: Progress | None) -> list[Put]:
    wanted = [_look(path) for path in paths]
    total = sum(file.size for file in wanted)
    there = _ask_have(agent, wanted)
    puts, before = [], 0
    for file in wanted:
        sent = 0
        if file.cache_name not in there:
            sent = _put(agent, file, _Shift(progress, before, total))
            there.add(file.cache_name)
        before += file.size
        puts.append(Put(file.path.name, file.md5, file.size, f"{agent.work}/cache/{file.cache_name}", sent))
    return puts


@dataclass(frozen=True)
class _Shift:
    """Progress of one file as progress of the whole."""

    inner: Progress | None
    before: int
    total: int

    def tell(self, now: int) -> None:
        if self.inner:
            self.inner(self.before + now, self.total)


def _look(path: Path) -> _Wanted:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            return _Wanted(path, os.fstat(file.fileno()).st_size, digest)
    except OSError as error:
        raise InputError(f"{path}: cannot read it: {error.strerror}") from error


def _ask_have(agent: Agent, wanted: Sequence[_Wanted]) -> set[str]:
    names = "".join(f"{name} {size}\n" for name, size in {w.cache_name: w.size for w in wanted}.items())
    return set(agent.ask("have", str(agent.cache_bytes), stdin=names.encode(), timeout_s=600.0).all("have"))


def _put(agent: Agent, file: _Wanted, shift: _Shift) -> int:
    """Send what the board lacks of a file, over broken links too; returns the bytes that were sent."""
    counter = _Counter()
    ends_at = time.monotonic() + BUSY_PATIENCE_S
    damaged = 0
    while True:
        offset = _offset(agent, file)
        if offset is None:
            return counter.sent
        try:
            agent.patiently(lambda at=offset: _send(agent, file, at, counter, shift))  # type: ignore[misc]
        except Refused as error:
            if error.word == "busy" and time.monotonic() < ends_at:
                time.sleep(0.5)
            elif error.word == "damaged" and damaged < 1:
                damaged += 1
            elif error.word not in ("offset", "partial"):
                raise


class _Counter:
    def __init__(self) -> None:
        self.sent = 0


def _offset(agent: Agent, file: _Wanted) -> int | None:
    """How much of a file the board has in part; None when it has it all."""
    line = f"{file.cache_name} {file.size}\n".encode()
    answer = agent.ask("have", str(agent.cache_bytes), stdin=line, timeout_s=600.0)
    if file.cache_name in answer.all("have"):
        return None
    for text in answer.all("part"):
        name, _, size = text.partition(" ")
        if name == file.cache_name:
            return min(whole_number(size) or 0, file.size)
    return 0


def _send(agent: Agent, file: _Wanted, offset: int, counter: _Counter, shift: _Shift) -> Answer:
    if offset and (now := _offset(agent, file)) != offset:  # an earlier attempt got further than its answer
        offset = now if now is not None else file.size
        if now is None:
            return Answer((), b"", True)
    with file.path.open("rb") as source:
        return agent.ask_stream(
            "put",
            file.cache_name,
            str(file.size),
            str(offset),
            _owner(),
            stdin=_pieces(source, offset, file.size, counter, shift),
            timeout_s=120.0 + file.size / SLOWEST_BYTES_PER_S,
        )


def _pieces(source: BinaryIO, start: int, size: int, counter: _Counter, shift: _Shift) -> Iterator[bytes]:
    """One stream's worth of the file from `start`; what is left goes with the next."""
    source.seek(start)
    at, end = start, min(size, start + STREAM_LIMIT_BYTES)
    while at < end and (piece := source.read(min(PIECE_BYTES, end - at))):
        yield piece
        at += len(piece)
        counter.sent += len(piece)
        shift.tell(at)


def _owner() -> str:
    """Who pushes: a later attempt of this process may end an earlier one that hangs on a frozen link."""
    text = f"{socket.gethostname()} {os.getuid()} {os.getpid()}"
    with suppress(OSError):
        text += Path("/etc/machine-id").read_text()
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]


# --------------------------------------------------------------------------- looking


def hash_folder(agent: Agent, folder: str, timeout_s: float) -> dict[str, FileFacts]:
    limit = agent.max_files * BYTES_PER_NAME
    argv = agent.command("hash", escape(folder), "gzip")

    def look() -> Done:
        with agent.transport.stream(argv, timeout_s=timeout_s) as stream:
            out = bytearray()
            for piece in maybe_inflated(stream):
                out += piece
                if len(out) > limit:  # counted after decompressing: a little gzip can hold any amount of zeros
                    raise BoardError(
                        f"{agent.where}: more than {agent.max_files} files in {folder}", "raise `limits: max_files`"
                    )
            code = -1 if stream.code is None else stream.code
            return Done(code, bytes(out), stream.err)

    done = agent.patiently(look)
    agent.check(done, "hash")
    return read_hashes(done.out)


def read_hashes(out: bytes) -> dict[str, FileFacts]:
    """Read the three sections of a `hash` answer; lines that make no sense are left out, never guessed."""
    sizes: dict[str, int] = {}
    sums: dict[str, str] = {}
    section = b""
    for line in out.split(b"\n"):
        if line.startswith(b"section="):
            section = line[8:]
        elif section == b"size":
            _read_size(line, sizes)
        elif section == b"md5":
            _read_sum(line, sums)
        elif section == b"odd":
            _read_odd(line, sizes, sums)
    return {name: FileFacts(size, sums.get(name, "")) for name, size in sorted(sizes.items())}


def _read_size(line: bytes, sizes: dict[str, int]) -> None:
    size, _, name = line.partition(b" ")
    if name and size.isdigit():
        _keep(sizes, name, int(size))


def _read_sum(line: bytes, sums: dict[str, str]) -> None:
    digest, _, name = line.partition(b"  ./")
    if re.fullmatch(rb"[0-9a-f]{32}", digest) and name:
        _keep(sums, name, digest.decode())


def _read_odd(line: bytes, sizes: dict[str, int], sums: dict[str, str]) -> None:
    size, _, rest = line.partition(b" ")
    digest, _, name = rest.partition(b" ")
    if size.isdigit() and re.fullmatch(rb"[0-9a-f]{32}", digest):
        raw = os.fsencode(unescape(name)).removeprefix(b"./")
        _keep(sizes, raw, int(size))
        _keep(sums, raw, digest.decode())


def _keep(where: dict[str, int] | dict[str, str], name: bytes, value: int | str) -> None:
    with suppress(BoardError):  # a name that leads out of the folder can only be made up: it is not asked for
        where[member_name(os.fsdecode(name))] = value  # type: ignore[assignment]


# --------------------------------------------------------------------------- from the board


@dataclass(frozen=True)
class Landing:
    """Where files come to, within which quotas."""

    folder: Path
    quotas: Quotas
    progress: Progress | None = None


def fetch(
    agent: Agent, folder: str, names: Sequence[str], known: Mapping[str, FileFacts], landing: Landing
) -> dict[str, str]:
    missing = [name for name in names if name not in known]
    if missing:
        raise BoardError(f"{agent.where}: there is no file {printable(missing[0])!r} in {folder} on the board")
    _hold_quotas(agent, names, known, landing.quotas)
    landing.folder.mkdir(parents=True, exist_ok=True)
    got = _collect(agent, folder, dict.fromkeys(names), known, landing)
    bad = [name for name in dict.fromkeys(names) if got.get(name, ("", ""))[1] != known[name].md5]
    if bad:  # written while it was read: look again, once
        known = dict(known) | agent.hash(folder)
        got |= _collect(agent, folder, dict.fromkeys(bad), known, landing)
        _refuse_changing(agent, folder, bad, got, known, landing)
    return {name: stored for name, (stored, _) in got.items()}


def _hold_quotas(agent: Agent, names: Sequence[str], known: Mapping[str, FileFacts], quotas: Quotas) -> None:
    total = sum(known[name].size_bytes for name in names)
    if len(names) > quotas.max_files:
        raise BoardError(f"{agent.where}: {len(names)} files, at most {quotas.max_files}", "raise `limits: max_files`")
    if total > quotas.max_bytes:
        raise BoardError(f"{agent.where}: {total} bytes, at most {quotas.max_bytes}", "raise `limits: max_bytes`")


def _refuse_changing(
    agent: Agent,
    folder: str,
    names: Sequence[str],
    got: Mapping[str, tuple[str, str]],
    known: Mapping[str, FileFacts],
    landing: Landing,
) -> None:
    """Errors: BoardError for a file that did not come, or not as the board hashed it; what came of it is deleted."""
    for name in names:
        if name not in got:
            raise BoardError(f"{agent.where}: {printable(name)!r} was deleted from {folder} while it was pulled")
        stored, md5 = got[name]
        if md5 != known[name].md5:
            (landing.folder / stored).unlink(missing_ok=True)
            raise BoardError(
                f"{agent.where}: {printable(name)!r} in {folder} changes while it is pulled (md5 "
                f"{known[name].md5 or 'unreadable'} on the board, {md5} here)",
                "is a tool still running on the board?",
            )


def _collect(
    agent: Agent, folder: str, names: Mapping[str, None], known: Mapping[str, FileFacts], landing: Landing
) -> dict[str, tuple[str, str]]:
    """Fetch files in batches of one stream each; (stored name, md5) of those that came."""
    total = sum(known[name].size_bytes for name in names)
    got: dict[str, tuple[str, str]] = {}
    done, left = 0, list(names)
    while left:
        batch = _next_batch(left, known, agent.packing.batch_bytes)
        left = left[len(batch) :]
        carried = sum(known[name].size_bytes for name in batch)
        shift = _Shift(landing.progress, done, total)
        if carried > STREAM_LIMIT_BYTES:
            got |= _fetch_large(agent, folder, batch[0], known, landing, shift)
        else:
            began = time.monotonic()
            got |= _fetch_batch(agent, folder, batch, known, landing, shift)
            agent.packing.measured(carried, time.monotonic() - began)
        done += carried
    return got


def _next_batch(names: Sequence[str], known: Mapping[str, FileFacts], limit: int) -> Sequence[str]:
    """The first names that fit into one stream; at least one."""
    size = 0
    for index, name in enumerate(names):
        size += known[name].size_bytes
        if size > limit and index:
            return names[:index]
    return names


def _fetch_batch(
    agent: Agent,
    folder: str,
    names: Sequence[str],
    known: Mapping[str, FileFacts],
    landing: Landing,
    shift: _Shift,
) -> dict[str, tuple[str, str]]:
    """One tar stream, taken up again where it was when the link breaks."""
    unpacker = Unpacker(landing.folder, landing.quotas, {n: known[n].size_bytes for n in names}, shift.tell)

    zipped = agent.packing.zipped
    words = [escape(folder), *(["gzip"] if zipped else [])]

    def sink(pieces: Iterable[bytes]) -> None:
        unpacker.read(inflate(pieces) if zipped else pieces)

    def attempt() -> None:
        left = [name for name in names if name not in unpacker.files]
        if left:
            limit_s = _time(left, known)
            agent.read_stream("pack", *words, stdin=_name_list(left), sink=sink, timeout_s=limit_s)

    agent.patiently(attempt)
    return {name: (file.file, file.md5) for name, file in unpacker.files.items()}


def _time(names: Sequence[str], known: Mapping[str, FileFacts]) -> float:
    return 300.0 + sum(known[name].size_bytes for name in names) / SLOWEST_BYTES_PER_S


def _name_list(names: Sequence[str]) -> list[bytes]:
    raw = b"".join(b"./" + os.fsencode(name) + b"\0" for name in names)
    return [raw[at : at + PIECE_BYTES] for at in range(0, len(raw), PIECE_BYTES)]


def _fetch_large(
    agent: Agent, folder: str, name: str, known: Mapping[str, FileFacts], landing: Landing, shift: _Shift
) -> dict[str, tuple[str, str]]:
    stored = stored_name(name)
    target = landing.folder / stored
    target.parent.mkdir(parents=True, exist_ok=True)
    limit_s = _time([name], known)
    source = f"{folder}/{name}"
    agent.patiently(
        lambda: agent.transport.pull(source, target, timeout_s=limit_s, progress=lambda now, _: shift.tell(now))
    )
    try:
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise LinkError(f"{target}: cannot read what was just pulled: {error}") from error
    return {name: (stored, digest)}
