"""Files from a board through its agent: hashed there first, then one tar stream for many files."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.agent.archive import Quotas, Unpacker, member_name
from harness.agent.leases import Lease
from harness.agent.link import AgentLink
from harness.agent.packing import LinkPacking, inflate, maybe_inflated
from harness.agent.pushing import SLOWEST_BYTES_PER_S, Shift
from harness.agent.words import FileFacts, escape, unescape
from harness.errors import BoardError, LinkError
from harness.files.digests import md5_of_file
from harness.files.safe import make_folder, remove_file
from harness.names import stored_name
from harness.records.callbacks import BytesCallback
from harness.transports.base import PIECE_BYTES, STREAM_LIMIT_BYTES, CommandResult, printable
from harness.transports.copying import seconds_left

PULL_S = 300.0  # of a pull, besides the time that its bytes take: a slow board opens thousands of files
HASH_TIMEOUT_S = 660.0  # of what a run left: what could be written within a run's time limit can be read in it
BYTES_PER_NAME = 600  # of a hash answer: two lines for each file
_SIZE = re.compile(rb"[0-9]{1,18}")  # int() of thousands of digits raises


def read_hashes(out: bytes, max_files: int = Quotas.max_files) -> dict[str, FileFacts]:
    """Read the three sections of a `hash` answer; lines that make no sense are left out, never guessed.

    Reading ends with one file more than `max_files`.
    """
    sizes: dict[str, int] = {}
    sums: dict[str, str] = {}
    section = b""
    for raw in io.BytesIO(out):
        if max(len(sizes), len(sums)) > max_files:
            break
        line = raw.rstrip(b"\n")
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
    if name and _SIZE.fullmatch(size):
        _keep(sizes, name, int(size))


def _read_sum(line: bytes, sums: dict[str, str]) -> None:
    digest, _, name = line.partition(b"  ./")
    if re.fullmatch(rb"[0-9a-f]{32}", digest) and name:
        _keep(sums, name, digest.decode())


def _read_odd(line: bytes, sizes: dict[str, int], sums: dict[str, str]) -> None:
    size, _, rest = line.partition(b" ")
    digest, _, name = rest.partition(b" ")
    if _SIZE.fullmatch(size) and re.fullmatch(rb"[0-9a-f]{32}", digest):
        raw = os.fsencode(unescape(name)).removeprefix(b"./")
        _keep(sizes, raw, int(size))
        _keep(sums, raw, digest.decode())


def _keep(where: dict[str, int] | dict[str, str], name: bytes, value: int | str) -> None:
    with suppress(BoardError):  # a name that leads out of the folder can only be made up: it is not asked for
        where[member_name(os.fsdecode(name))] = value  # type: ignore[assignment]


@dataclass(frozen=True)
class Landing:
    """Where files come to, within which quotas."""

    folder: Path
    quotas: Quotas
    progress: BytesCallback | None = None
    root: Path | None = None  # the run folder that `folder` lies in, whose links are refused


class BoardFiles:
    """Folders of runs on one board, and the files in them. Errors: see Agent."""

    def __init__(self, link: AgentLink, max_files: int) -> None:
        self.link = link
        self.max_files = max_files
        self.packing = LinkPacking()
        self.hash_timeout_s = HASH_TIMEOUT_S
        self._hashes: dict[str, dict[str, FileFacts]] = {}

    def new_folder(self, name: str) -> str:
        """Make `runs/<name>` in the work folder; gives its absolute path on the board."""
        return self.link.ask("folder", escape(name)).text("folder")

    def hash(self, folder: str) -> dict[str, FileFacts]:
        """Every regular file under a folder: size and md5 ("" when the board could not read it), by name."""
        facts = self._look(folder, self.hash_timeout_s)
        self._hashes[folder] = facts
        return facts

    def fetch(
        self,
        folder: str,
        names: Sequence[str],
        target: Path,
        quotas: Quotas | None = None,
        progress: BytesCallback | None = None,
        known: Mapping[str, FileFacts] | None = None,
        root: Path | None = None,
    ) -> dict[str, str]:
        """Bring files home, each verified by md5; gives the stored file name (relative to `target`) by name.

        `known`: the answer of `hash`; without it the last look, or a new one. Links below `root` are refused.
        Errors: BoardError for a file that vanished, keeps changing or breaks the quotas.
        """
        known = known or self._hashes.get(folder) or self.hash(folder)
        return self._fetch(folder, names, known, Landing(target, quotas or Quotas(), progress, root))

    def remove(self, folder: str) -> None:
        """End the runs of a folder and delete it with their state."""
        self._hashes = {k: v for k, v in self._hashes.items() if k != folder and not k.startswith(folder + "/")}
        self.link.ask("remove", escape(folder), timeout_s=600.0)

    def forget(self) -> None:
        """What was hashed is there no more."""
        self._hashes = {}

    def _look(self, folder: str, timeout_s: float) -> dict[str, FileFacts]:
        limit = self.max_files * BYTES_PER_NAME
        argv = self.link.command("hash", escape(folder), "gzip")

        def look() -> CommandResult:
            with self.link.transport.stream(argv, timeout_s=timeout_s) as stream:
                out = bytearray()
                for piece in maybe_inflated(stream):
                    out += piece
                    if len(out) > limit:  # counted after decompressing: a little gzip can hold any amount of zeros
                        raise BoardError(
                            f"{self.link.where}: more than {self.max_files} files in {folder}",
                            "raise `limits: max_files`",
                        )
                code = -1 if stream.code is None else stream.code
                return CommandResult(code, bytes(out), stream.err)

        result = self.link.patience.retry(look, timeout_s + self.link.patience.limit_s)
        self.link.check(result, "hash")
        facts = read_hashes(result.out, self.max_files)
        if len(facts) > self.max_files:
            raise BoardError(
                f"{self.link.where}: more than {self.max_files} files in {folder}", "raise `limits: max_files`"
            )
        return facts

    def _fetch(
        self, folder: str, names: Sequence[str], known: Mapping[str, FileFacts], landing: Landing
    ) -> dict[str, str]:
        missing = [name for name in names if name not in known]
        if missing:
            raise BoardError(f"{self.link.where}: no file {printable(missing[0])!r} in {folder} on the board")
        landing.quotas.hold(self.link.where, [known[name].size_bytes for name in names])
        make_folder(landing.folder, landing.root)
        got = self._collect(folder, dict.fromkeys(names), known, landing)
        bad = [name for name in dict.fromkeys(names) if got.get(name, ("", ""))[1] != known[name].md5]
        if bad:  # written while it was read: look again, once
            known = dict(known) | self.hash(folder)
            landing.quotas.hold(self.link.where, [known[name].size_bytes for name in names])  # they may have grown
            got |= self._collect(folder, dict.fromkeys(bad), known, landing)
            self._refuse_changing(folder, bad, got, known, landing)
        return {name: stored for name, (stored, _) in got.items()}

    def _collect(
        self, folder: str, names: Mapping[str, None], known: Mapping[str, FileFacts], landing: Landing
    ) -> dict[str, tuple[str, str]]:
        """Fetch files in batches of one stream each; (stored name, md5) of those that came."""
        total = sum(known[name].size_bytes for name in names)
        got: dict[str, tuple[str, str]] = {}
        carried_bytes, remaining = 0, list(names)
        while remaining:
            batch = _next_batch(remaining, known, self.packing.batch_bytes)
            remaining = remaining[len(batch) :]
            carried = sum(known[name].size_bytes for name in batch)
            shift = Shift(landing.progress, carried_bytes, total)
            if carried > STREAM_LIMIT_BYTES:
                got |= self._fetch_large(folder, batch[0], known, landing, shift)
            else:
                began = time.monotonic()
                got |= self._fetch_batch(folder, batch, known, landing, shift)
                self.packing.measured(carried, time.monotonic() - began)
            carried_bytes += carried
        return got

    def _fetch_batch(
        self,
        folder: str,
        names: Sequence[str],
        known: Mapping[str, FileFacts],
        landing: Landing,
        shift: Shift,
    ) -> dict[str, tuple[str, str]]:
        """One tar stream, taken up again where it was when the link breaks."""
        unpacker = Unpacker(
            landing.folder, landing.quotas, {n: known[n].size_bytes for n in names}, shift.tell, landing.root
        )

        zipped = self.packing.zipped
        words = [escape(folder), *(["gzip"] if zipped else [])]

        def sink(pieces: Iterable[bytes]) -> None:
            unpacker.read(inflate(pieces) if zipped else pieces)

        limit_s = _time(names, known)
        ends_at = time.monotonic() + limit_s

        def attempt() -> None:
            missing = [name for name in names if name not in unpacker.files]
            if missing:
                left_s = max(1.0, seconds_left(ends_at))
                self.link.read_stream("pack", *words, stdin=_name_list(missing), sink=sink, timeout_s=left_s)

        self.link.patience.retry(attempt, limit_s)
        return {name: (file.file, file.md5) for name, file in unpacker.files.items()}

    def _fetch_large(
        self, folder: str, name: str, known: Mapping[str, FileFacts], landing: Landing, shift: Shift
    ) -> dict[str, tuple[str, str]]:
        stored = stored_name(name)
        target = landing.folder / stored
        limit_s = _time([name], known)
        source = f"{folder}/{name}"
        if self.link.lease_token:
            Lease(self.link).check()  # this one goes past the agent
        ends_at = time.monotonic() + limit_s

        def attempt() -> None:
            self.link.transport.pull(
                source,
                target,
                timeout_s=max(1.0, seconds_left(ends_at)),
                progress=lambda now, _: shift.tell(now),
                root=landing.root or landing.folder,
            )

        self.link.patience.retry(attempt, limit_s)
        try:
            digest = md5_of_file(target)
        except OSError as error:
            raise LinkError(f"{target}: cannot read the downloaded file: {error}") from error
        return {name: (stored, digest)}

    def _refuse_changing(
        self,
        folder: str,
        names: Sequence[str],
        got: Mapping[str, tuple[str, str]],
        known: Mapping[str, FileFacts],
        landing: Landing,
    ) -> None:
        """Errors: BoardError for a file that did not come, or not as the board hashed it; what came is deleted."""
        for name in names:
            if name not in got:
                raise BoardError(
                    f"{self.link.where}: {printable(name)!r} was deleted from {folder} during the download"
                )
            stored, md5 = got[name]
            if md5 != known[name].md5:
                remove_file(landing.folder / stored, landing.root or landing.folder)
                raise BoardError(
                    f"{self.link.where}: {printable(name)!r} in {folder} changed during the download (md5 "
                    f"{known[name].md5 or 'unreadable'} on the board, {md5} here)",
                    "check whether a tool is still running on the board",
                )


def _next_batch(names: Sequence[str], known: Mapping[str, FileFacts], limit: int) -> Sequence[str]:
    """The first names that fit into one stream; at least one."""
    size = 0
    for index, name in enumerate(names):
        size += known[name].size_bytes
        if size > limit and index:
            return names[:index]
    return names


def _time(names: Sequence[str], known: Mapping[str, FileFacts]) -> float:
    return PULL_S + sum(known[name].size_bytes for name in names) / SLOWEST_BYTES_PER_S


def _name_list(names: Sequence[str]) -> list[bytes]:
    raw = b"".join(b"./" + os.fsencode(name) + b"\0" for name in names)
    return [raw[at : at + PIECE_BYTES] for at in range(0, len(raw), PIECE_BYTES)]
