"""The agent's own file on the board: sent by content hash, only when it is absent or damaged."""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import TYPE_CHECKING

from harness.agent import words
from harness.assets import asset
from harness.errors import AgentError, BoardError
from harness.transports.base import printable

if TYPE_CHECKING:
    from harness.agent import Agent

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


def install(agent: Agent) -> tuple[bool, str, str]:
    """Whether a damaged file was replaced, the work folder's absolute path, and the agent's file on the board.

    Errors: LinkError; BoardError for a folder that cannot be used, a login shell that prints, missing programs.
    """
    script = asset("agents/agent.sh").read_bytes()
    digest = hashlib.md5(script, usedforsecurity=False).hexdigest()
    state, work = _place(agent, digest, "look", None)
    damaged = state == "damaged"
    if state != "whole":
        state, work = _place(agent, digest, "send", script)
    if state != "whole" or not work.startswith("/"):
        raise AgentError(f"{agent.where}: the agent arrives damaged in {agent.work}", "is the disk of the board full?")
    return damaged, work, f"{work}/agent/agent-{digest}.sh"


def _place(agent: Agent, digest: str, verb: str, stdin: bytes | None) -> tuple[str, str]:
    work = agent.work if agent.work.startswith("/") else f"./{agent.work}"
    argv = ["sh", "-c", _INSTALL, "sh", work, digest, verb, secrets.token_hex(8)]
    done = agent.run(argv, TIMEOUT_S, stdin, ANSWER_LIMIT_BYTES)
    lines = os.fsdecode(done.out).split("\n")
    if len(lines) == 3 and lines[0] == "lacking":
        raise words.lacking(agent.where, lines[1])
    if done.code == 0 and len(lines) > 3 and lines[-3] in ("whole", "absent", "damaged"):
        raise BoardError(
            f"{agent.where}: the login shell prints text before every command: {printable(lines[0])!r}",
            "make ~/.bashrc (or /etc/profile) on the board silent for shells that are not interactive",
        )
    if done.code != 0 or len(lines) != 3:
        said = printable(done.err.decode("utf-8", "replace").strip()) or f"exit code {done.code}"
        raise BoardError(
            f"{agent.where}: cannot use the work folder {agent.work!r}: {said}",
            "choose another `work:` folder in hosts.yaml: writable, with space",
        )
    return lines[0], lines[1]
