"""The agent's own file on the board: sent by content hash, only when it is absent or damaged."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable

from harness.agent import words
from harness.assets import asset
from harness.errors import AgentError, BoardError
from harness.transports.base import CommandResult, printable

Run = Callable[[list[str], float, bytes | None, int], CommandResult]  # see AgentLink.run

ANSWER_LIMIT_BYTES = 2**16  # two lines, and what a login shell may print before them
TIMEOUT_S = 60.0  # a small board under load needs seconds to start a shell
_INSTALL = """\
for f in cat md5sum mkdir mv printf rm; do command -v $f >/dev/null 2>&1 || { echo lacking; echo $f; exit; }; done
umask 022; mkdir -p "$1/agent" && cd "$1" || exit 1; w=$(pwd -P); f=$w/agent/agent-$2.sh
[ "$3" = look ] || { p=$f.$4.part; cat >"$p" && m=$(md5sum <"$p") && [ "${m%% *}" = "$2" ] &&
mv -f "$p" "$f" || { rm -f "$p"; exit 1; }; }
state=absent; [ ! -e "$f" ] || { m=$(md5sum <"$f"); state=damaged; [ "${m%% *}" != "$2" ] || state=whole; }
printf '%s\\n%s\\n' "$state" "$w"
"""


def install(run: Run, where: str, work: str) -> tuple[bool, str, str]:
    """Whether a damaged file was replaced, the work folder's absolute path, and the agent's file on the board.

    Errors: LinkError; BoardError for a folder that cannot be used, a login shell that prints, missing programs.
    """
    script = asset("agents/agent.sh").read_bytes()
    digest = hashlib.md5(script, usedforsecurity=False).hexdigest()
    state, place = _place(run, where, work, digest, "look", None)
    damaged = state == "damaged"
    if state != "whole":
        state, place = _place(run, where, work, digest, "send", script)
    if state != "whole" or not place.startswith("/"):
        raise AgentError(
            f"{where}: the agent is damaged after upload to {work}",
            "check the board's free space: harness boards check",
        )
    return damaged, place, f"{place}/agent/agent-{digest}.sh"


def _place(run: Run, where: str, given: str, digest: str, verb: str, stdin: bytes | None) -> tuple[str, str]:
    work = given if given.startswith("/") else f"./{given}"
    argv = ["sh", "-c", _INSTALL, "sh", work, digest, verb, secrets.token_hex(8)]
    result = run(argv, TIMEOUT_S, stdin, ANSWER_LIMIT_BYTES)
    lines = os.fsdecode(result.out).split("\n")
    if len(lines) == 3 and lines[0] == "lacking":
        raise words.lacking(where, lines[1])
    if result.code == 0 and len(lines) > 3 and lines[-3] in ("whole", "absent", "damaged"):
        raise BoardError(
            f"{where}: the login shell prints text before every command: {printable(lines[0])!r}",
            "make ~/.bashrc (or /etc/profile) on the board print nothing in non-interactive shells",
        )
    if result.code != 0 or len(lines) != 3:
        message = printable(result.err.decode("utf-8", "replace").strip()) or f"exit code {result.code}"
        raise BoardError(
            f"{where}: cannot use the work folder {given!r}: {message}",
            "set another `work:` folder in hosts.yaml, writable and with free space",
        )
    return lines[0], lines[1]
