"""Writing where somebody else may have been: a whole file or none of it, and never through a link.

A run folder may come from anybody, and a board chooses names in it. So every file is made new, under a name that cannot
be guessed, and takes its own name when it is whole. Folders are walked by descriptor: one that is exchanged for a link
meanwhile leads nowhere.

`root` is a folder that the user named: links on the way to it are the user's own. Below it every link is refused.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from harness.errors import InputError

RUN_FILE = "run.json"  # what makes a folder a run folder
FULL = (errno.ENOSPC, errno.EDQUOT)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_LINK_HINT = "harness creates none there: check it (ls -l), then delete it"


class LinkInside(InputError):
    """A link, a pipe or a device in a folder where harness makes files and folders only."""


@contextmanager
def new_file(path: Path, root: Path | None = None, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file that takes the name `path` when the block ends well; else nothing is left of it.

    Folders between `root` and `path` are made; without `root` the folder of `path` is one that the user named. `mode`
    is less the umask. Errors: LinkInside for a link below `root`, OSError with `path` and, where it is full, the disk.
    """
    folder = _folder_of(path, root, make=True)
    part = f".{secrets.token_hex(8)}.part"
    try:
        with _named(path):
            _refuse_link(folder, path)
            descriptor = os.open(part, _NEW, mode, dir_fd=folder)
        try:
            with _disk_named(path), os.fdopen(descriptor, "wb") as file:
                yield file
            with _named(path):
                os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def write_file(path: Path, content: bytes, root: Path | None = None, *, mode: int = 0o666) -> None:
    """`new_file` with all of its content. Errors: as there."""
    with new_file(path, root, mode=mode) as file:
        file.write(content)


def share_file(source: Path, path: Path, root: Path) -> None:
    """`path` becomes a second name of a file of this PC's user, or a copy where the file system has none.

    For files that nothing changes in place: everything of harness that writes makes a file anew. Errors: as `new_file`.
    """
    folder = _folder_of(path, root, make=True)
    part = f".{secrets.token_hex(8)}.part"
    try:
        with _named(path):
            _refuse_link(folder, path)
        try:
            os.link(source, part, dst_dir_fd=folder, follow_symlinks=False)
        except OSError:
            with source.open("rb") as whole, new_file(path, root) as copy:
                shutil.copyfileobj(whole, copy)
            return
        with _named(path):
            os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            with suppress(FileNotFoundError):  # two names of one file: replacing is nothing then
                os.unlink(part, dir_fd=folder)
    finally:
        os.close(folder)


def append_file(path: Path, content: bytes, root: Path) -> None:
    """Add to a file, which is made where it is not there. Errors: as `new_file`; OSError where `path` is a link."""
    parent = _folder_of(path, root, make=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with _named(path), os.fdopen(os.open(path.name, flags, 0o666, dir_fd=parent), "ab") as file:
            file.write(content)
    finally:
        os.close(parent)


@contextmanager
def read_file(path: Path, root: Path) -> Iterator[BinaryIO]:
    """A file below `root`, opened for reading. Errors: LinkInside for a link below `root`, OSError."""
    folder = _folder_of(path, root, make=False)
    try:
        with _named(path):
            _refuse_link(folder, path)
            descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            yield file
    finally:
        os.close(folder)


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """The file that a user named by `-o`: whole or not at all, through the user's own links, as a shell would write it.

    A file of a run folder, which anybody may have made, must not be a link. A pipe or a device is written as it stands.
    Errors: LinkInside; OSError.
    """
    place = Path(os.path.realpath(path.parent)) / path.name
    if any(os.path.lexists(folder / RUN_FILE) for folder in place.parents):
        with new_file(place) as file:
            yield file
    elif path.parts[:2] == ("/", "dev") or (path.exists() and not path.is_file()):
        with _named(path), path.open("wb") as file:
            yield file
    else:
        with new_file(Path(os.path.realpath(path))) as file:
            yield file


def make_folder(path: Path, root: Path | None = None, *, new: bool = False) -> None:
    """The folder `path`, made with those between it and `root`; with `new` it must not have been there.

    Errors: LinkInside for a link below `root`, OSError (FileExistsError where it must be new).
    """
    if root is None:
        path.mkdir(parents=True, exist_ok=not new)
        return
    parent = _folder_of(path, root, make=True)
    try:
        with _named(path):
            _refuse_link(parent, path)
            with suppress(*(() if new else (FileExistsError,))):
                os.mkdir(path.name, dir_fd=parent)
    finally:
        os.close(parent)


def remove_file(path: Path, root: Path) -> None:
    """Delete a file below `root` where it is there, never what a link leads to. Errors: LinkInside, OSError."""
    try:
        folder = _folder_of(path, root, make=False)
    except FileNotFoundError:
        return
    try:
        with suppress(FileNotFoundError), _named(path):
            os.unlink(path.name, dir_fd=folder)
    finally:
        os.close(folder)


def refuse_links(folder: Path) -> None:
    """Look through a folder that anybody may have made. Errors: LinkInside for what is no file and no folder."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(FileNotFoundError, PermissionError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    raise _refused(Path(entry.path), entry.stat(follow_symlinks=False).st_mode)


def refuse_links_out(folder: Path) -> None:
    """Look through a folder that is only read: a link in it may lead to another file of it, and nowhere else.

    Links on the way to `folder` are the user's own. Errors: LinkInside with the link and where it leads.
    """
    root = os.path.realpath(folder)
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(FileNotFoundError, PermissionError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_symlink() and not Path(target := os.path.realpath(entry.path)).is_relative_to(root):
                    raise LinkInside(
                        f"{entry.path}: a link to {target}, outside of {folder}",
                        f"if you trust it, copy the folder with what its links lead to: cp -rL {folder} COPY",
                    )


def disk_of(path: Path) -> str:
    """The disk that `path` lies on: where it is mounted, and what is free on it."""
    place = Path(os.path.realpath(path))
    while not place.is_dir() and place != place.parent:
        place = place.parent
    try:
        free_bytes = shutil.disk_usage(place).free
    except OSError:
        return "free space unknown"
    while not os.path.ismount(place):
        place = place.parent
    return f"the disk mounted at {place} has {free_bytes} bytes free"


def explained(error: OSError, path: Path) -> OSError:
    """The same error with the name of the file and, where a disk is full, which one and what is free on it."""
    text = error.strerror or str(error)
    if error.errno in FULL and " bytes free" not in text:
        text = f"{text}: {disk_of(path)}"
    return OSError(error.errno, text, os.fspath(path))


def words_of(error: OSError) -> str:
    """What the system refused, with the file where it is known."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{error.strerror or error}"


# --------------------------------------------------------------------------- by descriptor


def _folder_of(path: Path, root: Path | None, *, make: bool) -> int:
    """A descriptor of the folder that holds `path`; the caller closes it."""
    if root is None:
        with _named(path.parent):
            return os.open(path.parent, _FOLDER)
    if not path.is_relative_to(root) or ".." in path.relative_to(root).parts or "\0" in str(path):
        raise LinkInside(f"{path}: outside {root}", _LINK_HINT)
    if make:
        root.mkdir(parents=True, exist_ok=True)
    place = root
    descriptor = os.open(root, _FOLDER)
    for name in path.relative_to(root).parts[:-1]:
        place = place / name
        try:
            below = _step(descriptor, place, make=make)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _step(parent: int, place: Path, *, make: bool) -> int:
    with _named(place):
        if make:
            with suppress(FileExistsError):
                os.mkdir(place.name, dir_fd=parent)
        _refuse_link(parent, place)
        return os.open(place.name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)


def _refuse_link(folder: int, path: Path) -> None:
    with suppress(FileNotFoundError):
        mode = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise _refused(path, mode)


def _refused(path: Path, mode: int) -> LinkInside:
    what = _KINDS.get(stat.S_IFMT(mode), "a device")
    return LinkInside(f"{path}: is {what}, not a regular file or folder", _LINK_HINT)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give every error the file's own name: the system knows only the name of the moment."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error


@contextmanager
def _disk_named(path: Path) -> Iterator[None]:
    """Give the errors of a full disk their file; others may be of what the block reads from."""
    try:
        yield
    except OSError as error:
        if error.errno in (*FULL, errno.EFBIG) and error.filename is None:
            raise explained(error, path) from error
        raise
