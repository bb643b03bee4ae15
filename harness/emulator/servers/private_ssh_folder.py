"""Run a program that sees another folder as its user's ~/.ssh: `python private_ssh_folder.py FOLDER ARGV...`.

dropbear reads ~/.ssh/authorized_keys and (before 2024) nothing else. A private mount namespace gives it a folder
of its own without touching the user's; an ordinary user gets it through a user namespace.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Runs `FOLDER PROGRAM ARGUMENT...` with FOLDER as ~/.ssh, for that program only; 1 where this PC forbids it."""
    folder, *argv = arguments
    home = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        _own_namespace()
        _check(_libc.mount(folder.encode(), str(home).encode(), None, MS_BIND, None), f"mount on {home}")
    except OSError as error:
        print(f"no private ~/.ssh for dropbear on this PC ({error}); use the openssh server", file=sys.stderr)
        return 1
    os.execv(argv[0], argv)


def _own_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)), "a private mount namespace")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
