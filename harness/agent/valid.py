"""md5 of the valid bytes of padded files, made on the board by its own Python (agents/valid_md5.py)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.agent.link import AgentLink
from harness.agent.words import Answer, escape
from harness.errors import BoardError
from harness.transports.base import CommandResult, printable

PYTHON = "python3"  # the program that `hello` is asked for
SCRIPT = "agents/valid_md5.py"
SLOWEST_BYTES_PER_S = 2e6  # of a small core with much else to do
BYTES_PER_ANSWER = 64  # `valid=<up to seven digits> <md5>`
SAID_BYTES = 64 * 1024  # of anything else in the answer


@dataclass(frozen=True)
class Padded:
    """A file and where its valid bytes lie: `body_bytes` are rows of (step, keep) bytes, outermost first, see the
    script. A file of another size has no valid md5."""

    name: str
    size_bytes: int
    body_bytes: int
    rows: tuple[tuple[int, int], ...]

    @property
    def line(self) -> str:
        """As the script on the board reads it: name, bytes, valid bytes and rows, parted by tabs."""
        words = [escape(self.name), str(self.size_bytes), str(self.body_bytes)]
        return "\t".join([*words, *(f"{step},{keep}" for step, keep in self.rows)]) + "\n"


def hash_valid(
    link: AgentLink, folder: str, script: str, files: Sequence[Padded], path: Sequence[str] = ()
) -> dict[str, str]:
    """md5 of the valid bytes by name, of those files that are as described; `script` is the pushed SCRIPT on the board,
    `path` as for `hello`.

    Errors: LinkError, AgentError, BoardError where the board has no Python or its Python does not work.
    """
    options = [f"path={':'.join(path)}"] if path else []
    argv = link.command("valid", escape(folder), escape(script), options=options)
    jobs = "".join(file.line for file in files).encode()
    limit = len(files) * BYTES_PER_ANSWER + SAID_BYTES
    timeout_s = 300.0 + sum(file.size_bytes for file in files) / SLOWEST_BYTES_PER_S

    def look() -> CommandResult:
        with link.transport.stream(argv, timeout_s=timeout_s, stdin=[jobs]) as stream:
            out = bytearray()
            for piece in stream:
                out += piece
                if len(out) > limit:
                    raise BoardError(f"{link.where}: endless answer to 'valid'", "check the board's python3")
            return CommandResult(-1 if stream.code is None else stream.code, bytes(out), stream.err)

    result = link.patience.retry(look, timeout_s + link.patience.limit_s)
    answer = link.check(result, "valid")
    if answer.number("code") != 0:
        message = printable(result.err.decode("utf-8", "replace").strip()) or f"exit code {answer.find('code')}"
        raise BoardError(
            f"{link.where}: the board's {PYTHON} cannot hash: {message}", "use --pull all (needs no Python)"
        )
    return read_valid(answer, files)


def read_valid(answer: Answer, files: Sequence[Padded]) -> dict[str, str]:
    """Lines that make no sense are left out; a file that is listed twice is left out."""
    matches = [re.fullmatch(r"([0-9]{1,7}) ([0-9a-f]{32})", value) for value in answer.all("valid")]
    sums = [(int(match[1]), match[2]) for match in matches if match is not None]
    times = Counter(index for index, _ in sums)
    return {files[index].name: md5 for index, md5 in sums if index < len(files) and times[index] == 1}
