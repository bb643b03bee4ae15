"""The link to the agent of one board: its file is brought there, asked, and nothing that comes back is believed.

Questions are safe to repeat, so a link that breaks is asked again with back-off.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.agent import installing, words
from harness.agent.words import Answer, refusal
from harness.errors import AgentError
from harness.transports.base import CommandResult, Transport, printable
from harness.transports.copying import seconds_left

ASK_TIMEOUT_S = installing.TIMEOUT_S
ANSWER_LIMIT_BYTES = 2**20  # of a question with a short answer; what a board sends beyond it is not read
GONE = (0, 2, 126, 127)  # exit codes where the agent's file is empty, cut off, or not there
REFUSAL = b"error="


class AgentLink:
    """Questions to the agent of one board, over one transport. Call `install()` first. Errors: see Agent."""

    def __init__(self, transport: Transport, work: str, shell: Sequence[str]) -> None:
        self.transport = transport
        self.patience = transport.patience
        self.work = work
        self.lease_token = ""  # of this board, checked by the agent before anything changes
        self.lease_boot = ""  # the boot in which it was taken: where the board has another by now, that is what it says
        self.replaced_damaged = False  # the agent's own file was damaged and sent again
        self._shell = tuple(shell)
        self._file = ""

    def install(self) -> None:
        """See Agent.install."""
        self.replaced_damaged, self.work, self._file = installing.install(self.run, self.where, self.work)

    @property
    def where(self) -> str:
        return self.transport.where

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

        Errors: see Agent.
        """
        argv = self.command(verb, *arguments, options=options)
        try:
            return self.check(self.run(argv, timeout_s, stdin, limit_bytes), verb)
        except AgentGone:  # a work folder in memory is empty after a reboot
            self.install()
            return self.check(self.run(argv, timeout_s, stdin, limit_bytes), verb)

    def run(
        self, argv: Sequence[str], timeout_s: float, stdin: bytes | None, limit_bytes: int = ANSWER_LIMIT_BYTES
    ) -> CommandResult:
        """A command that is safe to repeat; with all its tries it takes no longer than its limit and the patience."""
        ends_at = time.monotonic() + timeout_s + self.patience.limit_s

        def once() -> CommandResult:
            left_s = min(timeout_s, max(1.0, seconds_left(ends_at)))
            return self.transport.run(argv, timeout_s=left_s, stdin=stdin, limit_bytes=limit_bytes)

        return self.patience.retry(once, timeout_s + self.patience.limit_s)

    def ask_stream(self, verb: str, *arguments: str, stdin: Iterable[bytes], timeout_s: float) -> Answer:
        """One question, not repeated, whose input is too long to be held."""
        argv = self.command(verb, *arguments)
        with self.transport.stream(argv, timeout_s=timeout_s, stdin=stdin, paced="up") as stream:
            out = words.bounded(stream, ANSWER_LIMIT_BYTES)
        return self.check(CommandResult(-1 if stream.code is None else stream.code, out, stream.err), verb)

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

    def check(self, result: CommandResult, verb: str) -> Answer:
        """The answer in what a command left. Errors: AgentError, or what the agent refused."""
        answer = words.read_answer(result.out)
        if not answer.whole or (result.code != 0 and not answer.error):
            message = printable((result.err or result.out).decode("utf-8", "replace").strip())
            gone = result.code in GONE and not result.out
            raise (AgentGone if gone else AgentError)(
                f"{self.where}: incomplete answer of the agent to {verb!r} (exit code {result.code}): {message}",
                "check the board's memory, processes and work folder, then retry",
            )
        if answer.error:
            raise refusal(self.where, verb, answer)
        return answer

    def command(self, verb: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        """The command line of a verb. Errors: AgentError where the agent is not installed yet."""
        if not self._file:
            raise AgentError(f"{self.where}: the agent is not installed yet")
        line = [*self._shell, self._file, f"work={self.work}", f"shell={' '.join(self._shell)}", *options]
        if self.lease_token:
            line += [f"lease={self.lease_token}", *([f"boot={self.lease_boot}"] if self.lease_boot else [])]
        return [*line, verb, *arguments]


class AgentGone(AgentError):
    """The agent's file is not on the board any more."""
