"""The one place where an argument list becomes text for a shell."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from harness.errors import UserError

# Runs a command in its own session and ends that whole session when the time is over: a link that breaks or a
# host that dies leaves nothing running. fd 3 keeps stdin, because a shell gives background jobs /dev/null.
# Boards without `setsid` get the command alone ended.
_LIMITED = """\
t=$1; shift; exec 3<&0; s=; command -v setsid >/dev/null 2>&1 && s=setsid
$s "$@" <&3 3<&- & p=$!; exec 3<&-
( exec </dev/null >/dev/null 2>&1; sleep "$t" & n=$!; trap 'kill $n; exit' TERM; wait $n
kill -9 -$p || kill -9 $p ) & w=$!
wait $p; c=$?; kill $w 2>/dev/null; exit $c
"""
GRACE_S = 2  # the host gives up first, and says so; the board then ends the command


def check_arguments(argv: Sequence[str]) -> None:
    """Refuse what no operating system can carry. Errors: UserError."""
    if not argv:
        raise UserError("empty command")
    for argument in argv:
        if "\0" in argument:
            raise UserError(f"NUL character in an argument: {argument!r}")


def remote_command(argv: Sequence[str], timeout_s: float) -> bytes:
    """The command line for the login shell of a board: `argv`, ended on the board after `timeout_s`."""
    check_arguments(argv)
    limit_s = math.ceil(timeout_s) + GRACE_S  # whole seconds: small boards' `sleep` knows no fractions
    words = ["exec", "sh", "-c", _LIMITED, "harness", str(limit_s), *argv]
    return " ".join(map(shlex.quote, words)).encode("utf-8", "surrogateescape")
