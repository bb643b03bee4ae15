"""The files of a case: taken once a night where it is submitted, laid out on a worker's PC under the same names.

A worker's copy is a tree below a folder of its own, with every file at the path that it had. So what lies beside what
stays as it was: weights beside their ONNX, a toolchain's logs beside the model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from harness import platforms
from harness.assets import asset
from harness.errors import HostError
from harness.files import safe
from harness.files.user_folders import cache_folder
from harness.history import farm_files
from harness.history.farm_database import FarmDatabase
from harness.names import safe_name
from harness.nightly.pairing import CasePair
from harness.records import Case, FileIdentity
from harness.records.codec import from_json, to_json
from harness.records.json_values import Json
from harness.review import identity
from harness.session.unchanged import named_files

SUPPORT = "support"


class FilesOfNight:
    """The files of all cases of one night; each is hashed and brought to the database once."""

    def __init__(self, database: FarmDatabase, night: str) -> None:
        self._database, self._night = database, night
        self._lock = threading.Lock()
        self._known: dict[str, FileIdentity] = {}

    def of_pair(self, pair: CasePair) -> tuple[FileIdentity, ...]:
        """Every file that the case is about, on its way. Errors: InputError for what cannot be read, HostError."""
        platform, board = platforms.load(pair.board.identity.platform), pair.board
        named = named_files(board.identity, board.folders.work, pair.case, platform)
        with self._lock:
            return tuple(self._one(role, path) for role, path in dict.fromkeys(named) if not _is_own(role, path))

    def _one(self, role: str, path: Path) -> FileIdentity:
        key = f"{role}\0{path}"
        if key not in self._known:
            (one,) = identity.take([(role, path)])
            for content, file in _contents(one, Path(one.path)):
                farm_files.put(self._database, self._night, content, file)
            self._known[key] = one
        return self._known[key]


def _is_own(role: str, path: Path) -> bool:
    """What every PC with harness has by itself: its own programs, and what it keeps in the user's cache."""
    own = (Path(__file__).resolve().parents[1], asset("agents"), cache_folder())
    return role == SUPPORT and any(path.is_relative_to(folder) for folder in own)


def _contents(one: FileIdentity, path: Path) -> Iterator[tuple[str, Path]]:
    """(content, path) of every file of it, with `path` where it lies, or shall lie."""
    folder = path.parent if "" in one.files else path
    for name, (size_bytes, md5) in one.files.items():
        yield farm_files.content_name(size_bytes, md5), folder / name if name else path


# --------------------------------------------------------------------------- on the worker's PC


def mirror_of(night: str) -> Path:
    """Where the files of a night lie on this PC."""
    return cache_folder() / "farm" / "nights" / safe_name(night.replace("/", "."))


def lay_out(database: FarmDatabase, night: str, files: Sequence[FileIdentity]) -> Path:
    """Bring the files here that are not here yet; gives the folder that stands for `/`.

    Errors: HostError for a path that leads elsewhere, and for files that the database does not have; OSError.
    """
    root, mirror = cache_folder() / "farm", mirror_of(night)
    for one in files:
        for content, path in _contents(one, moved(one.path, mirror)):
            if ".." in path.parts:
                raise HostError(f"{one.path}: a file of a job with `..` in its path", "submit the suite again")
            kept = root / "contents" / content
            if not kept.is_file():
                farm_files.get(database, night, content, kept, root)
            if not path.is_file():
                safe.share_file(kept, path, root)
    return mirror


def moved(path: str, mirror: Path) -> Path:
    """Where a file of the submitting PC lies below `mirror`. Errors: HostError for a path that is not absolute."""
    pure = PurePosixPath(path)
    if not pure.is_absolute():
        raise HostError(f"{path}: a job's file without an absolute path", "submit the suite again")
    return mirror / pure.relative_to("/")


def moved_case(case: Case, files: Sequence[FileIdentity], mirror: Path) -> Case:
    """The case with every file of it below `mirror`. Errors: HostError."""
    paths = {one.path for one in files}

    def walk(value: Json) -> Json:
        if isinstance(value, str):
            return str(moved(value, mirror)) if value in paths else value
        if isinstance(value, list):
            return [walk(one) for one in value]
        if isinstance(value, dict):
            return {key: walk(one) for key, one in value.items()}
        return value

    read = from_json(Case, walk(to_json(case)))
    if read is None or read.damage:
        raise HostError(f"{case.name}: a case that cannot be read", "use one version of harness on all PCs of a farm")
    return read.value
