"""Files for a board that mounts a folder of this PC (NFS and its like): copied here, read there.

Small boards have a few megabytes of flash and are developed over NFS. Files lie by content, like in the agent's cache.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

from harness.agent import Put
from harness.errors import BoardError, ConfigError, HostError
from harness.files.digests import md5_of_file
from harness.files.safe import new_file
from harness.transports.base import Transport

LOOK_TIMEOUT_S = 120.0  # md5 of a model over a slow NFS


def put(path: Path, folders: tuple[str, str], transport: Transport) -> Put:
    """Copy `path` into the shared folder unless it is there whole, and let the board confirm its md5.

    `folders` are the one folder's names here and on the board. Errors: ConfigError for a folder that is not here,
    HostError where it cannot be written, BoardError where the board sees something else.
    """
    local, remote = Path(folders[0]).expanduser(), PurePosixPath(folders[1])
    if not local.is_dir():
        raise ConfigError(
            f"shared_folder: {local} is not a folder on this PC", "mount it, or correct `shared_folder:` in hosts.yaml"
        )
    md5 = md5_of_file(path)
    suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9_]{1,12}", path.suffix) else ""
    target = local / "harness-cache" / f"{md5}{suffix}"
    size = path.stat().st_size
    if not target.is_file() or target.stat().st_size != size:
        _copy(path, target)
    seen = str(remote / "harness-cache" / target.name)
    answer = _seen(seen, md5, transport)
    damaged = bool(answer) and md5_of_file(target) != md5
    if damaged:
        _copy(path, target)
        answer = _seen(seen, md5, transport)
    if answer:
        raise BoardError(
            f"{transport.where}: {seen} differs from the shared folder on this PC: {answer}",
            "mount it on the board: mount -t nfs -o nolock PC:/folder /mnt",
        )
    return Put(path.name, md5, size, seen, 0, damaged)


def _copy(path: Path, target: Path) -> None:
    """Boards may write in this folder, too: a link that one of them laid is not followed."""
    try:
        with path.open("rb") as source, new_file(target, target.parent.parent) as file:
            shutil.copyfileobj(source, file)
            os.fchmod(file.fileno(), 0o755)  # programs are started from here
    except OSError as error:
        raise HostError(
            f"{target}: cannot be written ({error.strerror})", "check the permissions of the shared folder"
        ) from None


def _seen(seen: str, md5: str, transport: Transport) -> str:
    """What the board sees instead of this md5: a mount of another folder, a stale one, a damaged file; "" where
    nothing is wrong."""
    result = transport.run(["md5sum", seen], timeout_s=LOOK_TIMEOUT_S)
    words = result.out.decode("utf-8", "replace").split(None, 1)
    if result.code == 0 and words and words[0] == md5:
        return ""
    answer = words[0] if result.code == 0 and words else result.err.decode("utf-8", "replace").strip()[:200]
    return answer or f"exit code {result.code}"
