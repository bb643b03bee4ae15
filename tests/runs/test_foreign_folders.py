"""A run folder that somebody else made: whatever lies in it, nothing outside of it changes, and no link is followed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.agent import FileFacts
from harness.agent.archive import Quotas, Unpacker
from harness.errors import HarnessError
from harness.files import safe
from harness.records import Case, InputFacts, LeftFile, ModeOfRun
from harness.report import write_report
from harness.report.write import write_report as write_page
from harness.runs import folder as store
from harness.runs.resume import Resume
from harness.runs.resume import load as load_resume
from harness.runs.resume import save as save_resume
from harness.session import repeats
from harness.session.inputs import plan_inputs
from tests.profile import sweep
from tests.records.kit import typed
from tests.support import fixtures_run as runs
from tests.support.builds import harness


def digest_of(tree: Path) -> str:
    """Names, kinds, rights and bytes of everything in a tree."""
    digest = hashlib.md5(usedforsecurity=False)
    for path in sorted(tree.rglob("*")):
        content = b"" if path.is_symlink() or path.is_dir() else path.read_bytes()
        digest.update(f"{path.relative_to(tree)} {path.lstat().st_mode} {path.lstat().st_size}\n".encode() + content)
    return digest.hexdigest()


@pytest.fixture
def decoy(tmp_path: Path) -> Iterator[Path]:
    """The user's own files, that nothing may change."""
    tree = tmp_path / "own"
    (tree / "folder").mkdir(parents=True)
    (tree / "notes.txt").write_text("the user's own\n")
    (tree / "folder" / "run.json").write_text("{}")
    (tree / "folder" / "log.txt").write_text("root:x:0:0:secret-of-the-user\n")
    (tree / "folder" / "t00000.npy").write_bytes(b"\x93NUMPY")
    before = digest_of(tree)
    yield tree
    assert digest_of(tree) == before


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    folder = tmp_path / "foreign"
    (folder / "debug").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(runs.failed_run()))
    return folder


OLD_NAMES = (".report.html.part", ".report.json.part", ".run.json.part", ".resume.json.part", ".reserve")
NAMES = (*OLD_NAMES, "report.html", "report.json", "resume.json", "debug/log.txt", "inputs", "reference", "extra")


@pytest.mark.parametrize("target", ["notes.txt", "folder", "not-there-yet"])
@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_a_run_folder_is_refused_and_nothing_is_written_through_it(
    name: str, target: str, foreign: Path, decoy: Path
) -> None:
    (foreign / name).symlink_to(decoy / target)
    with pytest.raises(safe.LinkInside) as refused:
        write_report(foreign)
    assert refused.value.exit_code == 2 and str(foreign / name) in refused.value.message
    with pytest.raises(safe.LinkInside), store.claimed(foreign):
        raise AssertionError("a folder with links is nobody's to work in")
    assert not (foreign / "report.html").is_file() or name == "report.html"


@pytest.mark.parametrize("name", OLD_NAMES)
def test_names_that_could_be_guessed_are_written_through_no_more(name: str, foreign: Path, decoy: Path) -> None:
    """The writers themselves, where the look before them is passed: a link that is made while they are at work."""
    for target in ("notes.txt", "not-there-yet"):
        with suppress(FileNotFoundError):
            (foreign / name).unlink()
        (foreign / name).symlink_to(decoy / target)
        write_page(typed(runs.failed_run()), foreign / "report.html")
        store.save_run(foreign, typed(runs.failed_run()))
        save_resume(foreign, Resume("x5", Case("case", Path("model.bin")), "nonce"))
        assert (foreign / name).is_symlink()
    assert (foreign / "resume.json").stat().st_mode & 0o777 == 0o600


def test_the_command_says_which_link_and_ends_with_2(foreign: Path, decoy: Path, tmp_path: Path) -> None:
    (foreign / ".report.html.part").symlink_to(decoy / "notes.txt")
    result = harness("report", foreign, cwd=tmp_path)
    assert (
        result.returncode == 2 and ".report.html.part: is a link" in result.stderr and "Traceback" not in result.stderr
    )


def test_links_on_the_way_that_the_user_typed_are_the_users_own(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(foreign)
    assert write_report(tmp_path / "latest").is_file() and (foreign / "report.html").is_file()
    (tmp_path / "pages").mkdir()
    (tmp_path / "page.html").symlink_to(tmp_path / "pages" / "mine.html")
    write_page(typed(runs.failed_run()), tmp_path / "page.html", typed=True)
    assert (tmp_path / "page.html").is_symlink() and (tmp_path / "pages" / "mine.html").stat().st_size > 1000


def test_an_output_named_in_a_run_folder_is_no_link(foreign: Path, decoy: Path) -> None:
    """`-o RUN/page.html` is typed, but what lies there was laid by whoever made the folder."""
    (foreign / "page.html").symlink_to(decoy / "notes.txt")
    with pytest.raises(safe.LinkInside):
        write_page(typed(runs.failed_run()), foreign / "page.html", typed=True)


def test_a_folder_that_is_exchanged_for_a_link_meanwhile_leads_nowhere(foreign: Path, decoy: Path) -> None:
    """Between the look and the writing: the mode's folder becomes a link, and a file in it is being received."""
    with safe.new_file(foreign / "debug" / "a" / "b.bin", foreign) as file:
        file.write(b"half")
        (foreign / "debug").rename(foreign / "moved")
        (foreign / "debug").symlink_to(decoy)
        file.write(b"whole")
    assert (foreign / "moved" / "a" / "b.bin").read_bytes() == b"halfwhole"
    with pytest.raises(safe.LinkInside):
        safe.write_file(foreign / "debug" / "c.bin", b"", foreign)
    with pytest.raises(safe.LinkInside):
        safe.remove_file(foreign / "debug" / "notes.txt", foreign)


def test_a_file_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"of before")
    with pytest.raises(KeyboardInterrupt), safe.output_file(tmp_path / "model.bin") as file:
        file.write(b"half of it")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]
    assert (tmp_path / "model.bin").read_bytes() == b"of before"


# --------------------------------------------------------------------------- every writer, any folder

PLACES = ("", "debug", "release", "inputs", "reference", "debug/a", "deep/down")
LAID = st.tuples(
    st.sampled_from(PLACES),
    st.sampled_from((*NAMES, "run.json", "t00000.npy", "manifest.json", "0_a.bin", "a.bin", "a", "x.txt", "debug")),
    st.sampled_from(("", "notes.txt", "folder", "folder/log.txt", "not-there", "..", "folder/run.json")),
)
WORDS = st.sampled_from(
    (
        "debug",
        "release-2",
        "../own",
        "../../own/folder",
        "..",
        ".",
        "",
        "/etc",
        "a/../../../own",
        "a\0b",
        "inputs",
        "x" * 300,
    )
)


def lay(folder: Path, decoy: Path, entries: list[tuple[str, str, str]]) -> None:
    for place, name, target in entries:
        path = folder / place / name
        if os.path.realpath(path.parent) != str(path.parent):
            continue  # an earlier link leads to the decoy: nothing is laid there, no folder either
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                path.unlink()
            path.symlink_to(decoy / target)


def tar_of(names: list[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name.replace("\0", "") or "a")
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


def unpack(folder: Path, words: list[str]) -> None:
    Unpacker(folder / "debug", Quotas(), root=folder).read([tar_of([*words, "t00000.npy", "a/x.txt"])])


def repeat(folder: Path, words: list[str]) -> None:
    for word in words:
        modes = [ModeOfRun("debug", folder=words[0], files=(LeftFile("x", 3, "0" * 32, word, "link"),))]
        repeats.reuse_first_turn(modes, "debug-2", {"x": FileFacts(3, "0" * 32)}, {}, folder)


def feed(folder: Path, words: list[str]) -> None:
    plan_inputs((), [InputFacts(word, 4, "f32") for word in words], folder / "inputs")


def resume(folder: Path, words: list[str]) -> None:
    with store.claimed(folder):
        run = store.load_run(folder)
        store.check_names(run, folder / "run.json")
        load_resume(folder)
        store.save_run(folder, run)


def reference(folder: Path, words: list[str]) -> None:
    from harness.reference.target import TargetFolder

    out = TargetFolder(folder / "reference")
    out.clear()
    out.write_array("t00000.npy", np.zeros(3))


def own_file(folder: Path, words: list[str]) -> None:
    for word in words:
        with suppress(ValueError):  # a name with a null byte is none
            safe.write_file(folder / "debug" / word, b"abc", folder)


WRITERS: dict[str, Callable[[Path, list[str]], Any]] = {
    "report": lambda folder, words: write_report(folder),
    "page": lambda folder, words: write_page(typed(runs.failed_run()), folder / "report.html", typed=True),
    "run.json": lambda folder, words: store.save_run(folder, typed(runs.failed_run())),
    "resume.json": lambda folder, words: save_resume(folder, Resume("b", Case("c", Path("m")), "n")),
    "resume": resume,
    "new run": lambda folder, words: [store.new_run_folder(folder, word, word) for word in words],
    "unpack": unpack,
    "repeat": repeat,
    "inputs": feed,
    "reference": reference,
    "own": own_file,
    "mode's folder": lambda folder, words: safe.make_folder(folder / "debug" / "a", folder),
    "remove": lambda folder, words: safe.remove_file(folder / "debug" / "t00000.npy", folder),
}


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(LAID, max_size=4), words=st.lists(WORDS, min_size=1, max_size=3))
def test_whatever_lies_in_a_run_folder_nothing_outside_of_it_changes(
    writer: str, entries: list[tuple[str, str, str]], words: list[str], tmp_path: Path, decoy: Path
) -> None:
    holds_with(writer, entries, words, Path(mkdtemp(dir=tmp_path)), decoy)


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=sweep(1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(LAID, max_size=6), words=st.lists(WORDS, min_size=1, max_size=4))
def test_a_long_sweep_of_foreign_folders(
    writer: str, entries: list[tuple[str, str, str]], words: list[str], tmp_path: Path, decoy: Path
) -> None:
    holds_with(writer, entries, words, Path(mkdtemp(dir=tmp_path)), decoy)


def holds_with(writer: str, entries: list[tuple[str, str, str]], words: list[str], place: Path, decoy: Path) -> None:
    """The decoy is compared here, after each folder; everything beside the folder counts as outside."""
    folder = place / "foreign"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(runs.failed_run() | {"state": "complete"}))
    lay(folder, decoy, entries)
    before = digest_of(decoy)
    with suppress(HarnessError, OSError):
        WRITERS[writer](folder, words)
    assert digest_of(decoy) == before
    assert [path.name for path in place.iterdir()] == ["foreign"]
