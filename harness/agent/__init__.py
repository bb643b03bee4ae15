"""Host half of the agent: sends agents/agent.sh by content hash, asks it, and believes nothing that comes back.

Questions are safe to repeat, so a link that breaks is asked again with back-off; a run is started under a token
that this side makes, so that losing the link neither kills nor doubles it.
"""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.agent import files, installing, jobs, pushing, words
from harness.agent.archive import Quotas
from harness.agent.jobs import job_text
from harness.agent.packing import Packing
from harness.agent.words import (
    Answer,
    BoardFacts,
    Cleaned,
    Clocks,
    FileFacts,
    LeaseFacts,
    Put,
    RunState,
    Sample,
    escape,
    refusal,
)
from harness.errors import AgentError
from harness.records import Board, Invocation
from harness.transports.base import OUTPUT_LIMIT_BYTES, Done, Progress, Transport, printable
from harness.transports.copying import left

__all__ = [
    "ASK_TIMEOUT_S",
    "LOG_LIMIT_BYTES",
    "Agent",
    "BoardFacts",
    "FileFacts",
    "LeaseFacts",
    "Put",
    "Quotas",
    "RunState",
    "Sample",
]

ASK_TIMEOUT_S = installing.TIMEOUT_S
HASH_TIMEOUT_S = 660.0  # of what a run left: what could be written within a run's time limit can be read in it
LOG_LIMIT_BYTES = 64 * 2**20
ANSWER_LIMIT_BYTES = 2**20  # of a question with a short answer; what a board sends beyond it is not read
GUARD_REFUSED = 97  # exit code of `guard` when the lease is over
GONE = (0, 2, 126, 127)  # exit codes where the agent's file is empty, cut off, or not there
REFUSAL = b"error="
_BOOT_ID = 'cat "${HARNESS_BOOT_ID:-/proc/sys/kernel/random/boot_id}"'

Tell = Callable[[str], None]


class Agent:
    """The agent of one board, over one transport. Call `install()` first.

    `work` is the folder on the board (relative to the login's home, or absolute); `cache_bytes` caps the
    content-addressed cache in it. `patience_s` changes the transport's. Errors of every method: LinkError (after the
    patience of trying again), AgentError for an answer that makes no sense, BoardError for what the board refuses.
    """

    def __init__(
        self,
        transport: Transport,
        work: str = "harness-work",
        *,
        cache_bytes: int = 2 * 2**30,
        shell: Sequence[str] = ("sh",),
        patience_s: float | None = None,
        max_files: int = 200_000,
    ) -> None:
        self.transport = transport
        self.work = work
        self.cache_bytes = cache_bytes
        self.max_files = max_files
        self.lease_token = ""  # of this board, checked by the agent before anything changes
        self.lease_boot = ""  # the boot in which it was taken: where the board has another by now, that is what it says
        self.replaced_damaged = False  # the agent's own file was damaged and sent again
        self.packing = Packing()
        self.pinned: dict[str, int] = {}  # names in the board's cache that must not leave it, and their sizes
        self.damaged: set[str] = set()  # names in the board's cache that were found damaged there, and deleted
        self._shell = tuple(shell)
        self.patience = transport.patience
        if patience_s is not None:
            self.patience.limit_s = patience_s
        self.hash_timeout_s = HASH_TIMEOUT_S
        self._file = ""
        self._hashes: dict[str, dict[str, FileFacts]] = {}

    @classmethod
    def of(cls, board: Board, transport: Transport) -> Agent:
        """The agent of a board of the inventory, with the limits that hosts.yaml sets."""
        limits = board.limits
        return cls(transport, board.work, cache_bytes=limits.cache_bytes, max_files=limits.max_files)

    # ---- being there

    def install(self) -> None:
        """Make sure that this very agent is on the board: sent only when it is absent or damaged.

        Errors: BoardError also for a board without the few programs that this takes; `hello` looks for the others.
        """
        self.replaced_damaged, self.work, self._file = installing.install(self)

    @property
    def where(self) -> str:
        return self.transport.where

    def hello(self, tools: Sequence[str] = (), path: Sequence[str] = ()) -> BoardFacts:
        """What the board is; BoardError, too, for one without the programs that the agent needs.

        `tools` are looked for in the folders of `path` first, then on PATH.
        """
        lines = "".join(escape(tool) + "\n" for tool in tools).encode()
        answer = self.ask("hello", stdin=lines, options=[f"path={':'.join(path)}"] if path else [])
        return words.read_facts(answer, time.time(), tools)

    # ---- asking

    def ask(
        self,
        verb: str,
        *arguments: str,
        stdin: bytes | None = None,
        timeout_s: float = ASK_TIMEOUT_S,
        options: Sequence[str] = (),
        limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """One question to the agent, repeated while the link is broken; an answer above the limit is none.

        Errors: see the class.
        """
        argv = self.command(verb, *arguments, options=options)
        try:
            return self.check(self.run(argv, timeout_s, stdin, limit_bytes), verb)
        except AgentGone:  # a work folder in memory is empty after a reboot
            self.install()
            return self.check(self.run(argv, timeout_s, stdin, limit_bytes), verb)

    def run(
        self, argv: Sequence[str], timeout_s: float, stdin: bytes | None, limit_bytes: int = ANSWER_LIMIT_BYTES
    ) -> Done:
        """A command that is safe to repeat; with all its tries it takes no longer than its limit and the patience."""
        ends_at = time.monotonic() + timeout_s + self.patience.limit_s

        def once() -> Done:
            left_s = min(timeout_s, max(1.0, left(ends_at)))
            return self.transport.run(argv, timeout_s=left_s, stdin=stdin, limit_bytes=limit_bytes)

        return self.patience.retry(once, timeout_s + self.patience.limit_s)

    def ask_stream(self, verb: str, *arguments: str, stdin: Iterable[bytes], timeout_s: float) -> Answer:
        """One question, not repeated, whose input is too long to be held."""
        argv = self.command(verb, *arguments)
        with self.transport.stream(argv, timeout_s=timeout_s, stdin=stdin, paced="up") as stream:
            out = words.bounded(stream, ANSWER_LIMIT_BYTES)
        return self.check(Done(-1 if stream.code is None else stream.code, out, stream.err), verb)

    def read_stream(
        self,
        verb: str,
        *arguments: str,
        stdin: Iterable[bytes],
        sink: Callable[[Iterable[bytes]], None],
        timeout_s: float,
    ) -> None:
        """One question, not repeated, whose answer is raw bytes for `sink`, which judges them."""
        argv = self.command(verb, *arguments)
        with self.transport.stream(argv, timeout_s=timeout_s, stdin=stdin, paced="down") as stream:
            sink(self._not_refused(verb, stream))

    def _not_refused(self, verb: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Raw bytes as they come. Errors: what the agent refused; no archive of files begins with these letters."""
        source = iter(pieces)
        first = next(source, b"")
        while first and len(first) < len(REFUSAL) and (more := next(source, b"")):
            first += more
        if first.startswith(REFUSAL):
            rest = b"".join(itertools.islice(source, 100))  # a refusal is short, and a flood no refusal
            raise refusal(self.where, verb, words.read_answer(first + rest))
        if first:
            yield first
        yield from source

    def check(self, done: Done, verb: str) -> Answer:
        """The answer in what a command left. Errors: AgentError, or what the agent refused."""
        answer = words.read_answer(done.out)
        if not answer.whole or (done.code != 0 and not answer.error):
            said = printable((done.err or done.out).decode("utf-8", "replace").strip())
            gone = done.code in GONE and not done.out
            raise (AgentGone if gone else AgentError)(
                f"{self.where}: the agent gave no whole answer to {verb!r} (exit code {done.code}): {said}",
                "is the board out of memory or processes, or its work folder gone? Try again",
            )
        if answer.error:
            raise refusal(self.where, verb, answer)
        return answer

    def command(self, verb: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        """The command line of a verb."""
        if not self._file:
            raise AgentError(f"{self.where}: the agent is not installed yet")
        line = [*self._shell, self._file, f"work={self.work}", f"shell={' '.join(self._shell)}", *options]
        if self.lease_token:
            line += [f"lease={self.lease_token}", *([f"boot={self.lease_boot}"] if self.lease_boot else [])]
        return [*line, verb, *arguments]

    # ---- files to the board

    def put_file(self, path: Path, progress: Progress | None = None) -> Put:
        """Bring a file into the board's cache unless it is there. Errors: InputError, BoardError (no space)."""
        return self.put_files([path], progress)[0]

    def put_files(self, paths: Sequence[Path], progress: Progress | None = None) -> list[Put]:
        """Bring files into the board's cache; only what is missing is sent, and a broken push goes on where it was."""
        return pushing.put_files(self, paths, progress)

    def reserve(self, paths: Sequence[Path]) -> None:
        """Make room on the board for all that a session needs, and keep it there while the session lasts.

        Nothing is sent. Replaces an earlier reservation. Errors: ConfigError where the cache's limit cannot hold the
        files together, BoardError where the board's disk cannot, InputError for a file that cannot be read.
        """
        pushing.reserve(self, paths)

    def new_folder(self, name: str) -> str:
        """Make `runs/<name>` in the work folder; gives its absolute path on the board."""
        return self.ask("folder", escape(name)).text("folder")

    # ---- runs

    def start(
        self,
        invocation: Invocation,
        folder: str,
        timeout_s: float,
        *,
        sense_every_s: float = 0.0,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        token: str = "",
    ) -> str:
        """Start a command, detached, in a folder under `new_folder`'s that does not exist yet; gives the run's token.
        Its output goes to `log.txt` there. The board itself ends it, with all that it started, after `timeout_s`.
        `HARNESS_PATH` in the environment is put before the board's PATH, `HARNESS_LIBRARIES` before LD_LIBRARY_PATH.
        """
        token = token or secrets.token_hex(8)
        job = job_text(invocation, folder, timeout_s, sense_every_s, log_limit_bytes)
        self.ask("start", token, stdin=job)
        return token

    def poll(self, token: str, wait_s: int = 0) -> RunState:
        """How a run is; with `wait_s` the board answers when it ends, or after that time."""
        answer = self.ask("poll", token, str(wait_s), timeout_s=ASK_TIMEOUT_S + wait_s)
        return words.read_state(answer)

    def wait(self, token: str, tell: Tell | None = None, limit_s: float = math.inf) -> RunState:
        """Wait for the end of a run, over broken links too; `limit_s` is the time after which the board ends it.

        Errors: Refused when the board was rebooted; BoardError when it lost the run or does not end it; ToolError when
        the tool printed without end.
        """
        return jobs.wait(self, token, tell, limit_s)

    def stop(self, token: str) -> None:
        """End a run and everything it started; one that has ended stays as it is."""
        self.ask("stop", token)

    def samples(self, token: str) -> list[Sample]:
        """What was sensed during a run (`sense_every_s`)."""
        return words.read_samples(self.ask("samples", token, limit_bytes=OUTPUT_LIMIT_BYTES).rest)

    def sense(self) -> Sample:
        """Temperatures, frequencies and loads now."""
        found = words.read_samples(self.ask("sense").rest)
        if not found:
            raise AgentError(f"{self.where}: the agent sensed nothing")
        return found[0]

    def clocks(self) -> Clocks:
        """Governors and highest frequencies of the board's clocks."""
        return words.read_clocks(self.ask("clocks"))

    # ---- files from the board

    def hash(self, folder: str) -> dict[str, FileFacts]:
        """Every regular file under a folder: size and md5 ("" when the board could not read it), by name."""
        facts = files.hash_folder(self, folder, self.hash_timeout_s)
        self._hashes[folder] = facts
        return facts

    def fetch(
        self,
        folder: str,
        names: Sequence[str],
        target: Path,
        quotas: Quotas | None = None,
        progress: Progress | None = None,
        known: Mapping[str, FileFacts] | None = None,
        root: Path | None = None,
    ) -> dict[str, str]:
        """Bring files home, each verified by md5; gives the stored file name (relative to `target`) by name.

        `known`: what `hash` told; without it this Agent's last look, or a new one. Links below `root` are refused.
        Errors: BoardError for a file that vanished, keeps changing or breaks the quotas.
        """
        known = known or self._hashes.get(folder) or self.hash(folder)
        return files.fetch(self, folder, names, known, files.Landing(target, quotas or Quotas(), progress, root))

    # ---- leases: one user of a board at a time

    def take_lease(self, owner: str, seconds: int, nonce: str = "") -> str:
        """Take the board for `seconds`, counted by the board; gives the token. Errors: BoardError when it is leased.

        Runs that an earlier holder left behind are ended; the same `nonce` (hex) is the same holder. Every later call
        of this Agent carries the token.
        """
        nonce = nonce or secrets.token_hex(8)
        self.lease_token = self.lease_boot = ""  # taking ends every call that carries another token
        answer = self.ask("lease", "take", escape(owner), str(seconds), nonce, timeout_s=120.0)
        return self._leased(answer)

    def _leased(self, answer: Answer) -> str:
        self.lease_token, self.lease_boot = answer.text("lease"), words.boot_id(answer.find("boot"))
        return self.lease_token

    def check_lease(self) -> None:
        """Errors: BoardError when the lease that this Agent holds is over, or somebody else has the board."""
        self.lease_boot = words.boot_id(self.ask("lease", "check").find("boot"))

    def guarded(self, argv: Sequence[str], timeout_s: float) -> Done:
        """Run a command of the inventory on the board, not repeated. Errors: BoardError when the board is not ours."""
        done = self.transport.run(self.command("guard", *argv), timeout_s=timeout_s)
        answer = words.read_answer(done.out)
        if done.code == GUARD_REFUSED and answer.whole and answer.error:
            raise refusal(self.where, "guard", answer)
        if done.code in GONE and not done.out and self.lease_token:
            self.check_lease()  # an agent's file that a power cut has left empty does nothing, and ends well
        return done

    def refuse_other_boot(self) -> None:
        """Errors: Refused where the board was restarted since the lease was taken. The agent's own file, which a power
        cut may have damaged, is not asked."""
        done = self.run(["sh", "-c", _BOOT_ID], ASK_TIMEOUT_S, None)
        now = words.boot_id(done.out.decode("ascii", "replace").strip())
        if self.lease_boot and now and now != self.lease_boot:
            raise words.rebooted(f"{self.where}: the board was rebooted meanwhile")

    def renew_lease(self, seconds: int) -> str:
        """Hold the board for `seconds` from now; gives the new token. Errors: BoardError when the lease is over."""
        return self._leased(self.ask("lease", "renew", str(seconds)))

    def release_lease(self) -> None:
        """Give the board back. Errors: BoardError when the lease was over."""
        self.ask("lease", "release")
        self.lease_token = ""

    def break_lease(self) -> None:
        """End whoever's lease: the holder's later calls are refused."""
        self.lease_token = ""
        self.ask("lease", "break")

    def show_lease(self) -> LeaseFacts:
        """Who holds the board."""
        return words.read_lease(self.ask("lease", "show"))

    def clean(self, *, keep_cache: bool = False, last: bool = False) -> Cleaned:
        """Delete what runs, pushes and agents left in the work folder; runs that still go on stay, with what they need.

        `keep_cache` keeps models and inputs that lie whole in the cache. With `last` the lease of this Agent ends,
        too, and `install()` comes before the next question.
        """
        self._hashes = {}
        options = [*(["keep"] if keep_cache else []), *(["last"] if last else [])]
        cleaned = words.read_cleaned(self.ask("clean", *options, timeout_s=600.0))
        self.lease_token = "" if last else self.lease_token
        return cleaned

    def remove(self, folder: str) -> None:
        """End the runs of a folder and delete it with their state."""
        self._hashes = {k: v for k, v in self._hashes.items() if k != folder and not k.startswith(folder + "/")}
        self.ask("remove", escape(folder), timeout_s=600.0)


class AgentGone(AgentError):
    """The agent's file is not on the board any more."""
