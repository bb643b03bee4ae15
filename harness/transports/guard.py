"""A small process beside an OpenSSH master: once this process is gone, however it ended, master and folder go, too."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.transports.passwords import hide_environment

# $1 the master's folder, the rest: the command that ends the master. The other end of standard input is held by harness
# alone, so that its end is seen even where it was killed. A master that is just logging in listens a little later.
_SCRIPT = """\
read -r _ && exit
folder=$1
shift
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
  "$@" & ssh=$!
  (sleep 10; kill $ssh) & watch=$!
  wait $ssh && { kill $watch; break; }
  kill $watch
  sleep 1
done
rm -rf -- "$folder"
"""
DISMISS_TIMEOUT_S = 5.0


class Guard:
    """Waits for the end of this process; `dismiss` it once there is nothing to end any more."""

    def __init__(self, folder: Path, end_master: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", _SCRIPT, "sh", str(folder), *end_master],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=hide_environment(),
            start_new_session=True,  # Ctrl-C and a kill of the whole group are not for it
        )

    def dismiss(self) -> None:
        """Let it end without doing anything."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(b"\n", DISMISS_TIMEOUT_S)
