"""A password for the ssh program: through SSH_ASKPASS and a pipe that only this user may open.

The password is in no argument, no file and no environment variable, and nothing is left of it when ssh has logged in.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIMES = 4  # key, keyboard-interactive and password may each ask; one that asks for more waits for the time limit


@contextmanager
def answering(folder: Path, password: str) -> Iterator[dict[str, str]]:
    """The environment in which ssh is given the password, for as long as this lasts. `folder` must be private."""
    pipe, program = folder / "answer", folder / "askpass"
    os.mkfifo(pipe, 0o600)
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(descriptor, f"{password}\n".encode() * TIMES)
        asks = f"IFS= read -r answer <{shlex.quote(str(pipe))}"
        program.write_text(f"#!/bin/sh\n{asks} && printf '%s\\n' \"$answer\"\n")
        program.chmod(0o700)
        yield {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": os.environ.get("DISPLAY", ":0")}
    finally:
        os.close(descriptor)
        pipe.unlink()
        program.unlink(missing_ok=True)
