"""What `md5sum` printed on a board, held against a folder of dumps on this PC: equal or not, layer by layer.

A hash tells no values: a layer that differs has no error, kind or origin here. Only whole files count; a PC's .npy or
a file with other padding cannot be held against a hash of the board's file, and is not compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.dumps.folders import read_dumps
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, InputError
from harness.files.digests import md5_of_file
from harness.files.md5_lists import read_list
from harness.files.safe import write_file
from harness.records import Dump, Verdict


@dataclass(frozen=True)
class HashedLayer:
    """One layer: "equal", "differs" or "not_compared"; an md5 is "" where there is no such file."""

    name: str
    verdict: str
    md5_board: str = ""
    md5_reference: str = ""


@dataclass(frozen=True)
class HashComparison:
    """Every tensor of the reference, then the list's files that have no partner."""

    verdict: Verdict
    layers: tuple[HashedLayer, ...]
    problems: tuple[str, ...] = ()


def compare_list(
    reference: Path, listed: Path, platform: str = "", min_coverage: float | None = None
) -> HashComparison:
    """Hold the board's md5s against the files of a folder of raw dumps. Errors: InputError for no such folder.

    `min_coverage` is the share of the folder's files, in percent, that must be compared; None is all of them.
    """
    if not reference.is_dir():
        raise InputError(
            f"{reference}: a list of md5s is compared with a folder of raw dumps (.bin)",
            "give the PC's dump folder as REFERENCE",
        )
    text = listed.read_text(encoding="utf-8", errors="replace")
    board = read_list(text)
    dumps = read_dumps(reference, platform)
    on_pc = [dump for dump in dumps if dump.role != "input"]
    named = _named(tuple(board.md5s), platform)
    layers: list[HashedLayer] = []
    used: set[str] = set()
    for dump in on_pc:
        file = _file_of(dump, named)
        used.add(file)
        layers.append(_layer(dump, board.md5s.get(file, "")))
    layers += [HashedLayer(name, "not_compared", md5) for name, md5 in board.md5s.items() if name not in used]
    inputs = {_file_of(dump, named) for dump in dumps if dump.role == "input"}
    alone = len({*board.md5s} - used - inputs)
    word = _verdict(layers[: len(on_pc)], min_coverage, len(board.problems))
    more = f"; {alone} of {len(board.md5s)} files of the list have no partner among the dumps" if alone else ""
    return HashComparison(replace(word, detail=word.detail + more), tuple(layers), board.problems)


def _file_of(dump: Dump, named: Mapping[str, str]) -> str:
    return next((named[name] for name in (dump.name, *dump.aliases, dump.path.stem) if name in named), "")


def _named(files: tuple[str, ...], platform: str) -> dict[str, str]:
    """Names that a layer may have on the PC -> the board's file: read by a platform, as if the files lay here."""
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            write_file(Path(folder) / name, b"")
        try:
            dumps = read_dumps(Path(folder), platform)
        except InputError:  # names without .bin
            dumps = ()
        named = {alias: dump.path.name for dump in dumps for alias in (*dump.aliases, dump.name)}
    return {Path(name).stem: name for name in files} | named


def _layer(dump: Dump, md5: str) -> HashedLayer:
    is_empty = not dump.path.is_file() or dump.path.stat().st_size == 0  # of nothing, every md5 is the same
    if not md5 or dump.path.suffix == ".npy" or is_empty:
        return HashedLayer(dump.name, "not_compared", md5)
    own = md5_of_file(dump.path)
    return HashedLayer(dump.name, "equal" if own == md5 else "differs", md5, own)


def _verdict(layers: Sequence[HashedLayer], min_coverage: float | None, unread: int) -> Verdict:
    """The word on the PC's files; `unread` counts what of the list could not be used."""
    differing = [layer.name for layer in layers if layer.verdict == "differs"]
    equal = sum(layer.verdict == "equal" for layer in layers)
    compared = equal + len(differing)
    if differing:
        detail = f"{len(differing)} of {compared} files differ by md5, first {differing[0]}; their values are not known"
        return Verdict("diverges", detail, MEASURED_BAD)
    if not compared:
        return Verdict("not_comparable", "no dump could be compared with a file of the list", COULD_NOT_MEASURE)
    if compared == len(layers):
        return Verdict("consistent", f"all {equal} files are equal by md5", GOOD)
    detail = f"{equal} files are equal, {_lacking(layers)}"
    if min_coverage is None or unread:
        return Verdict("incomplete", detail, COULD_NOT_MEASURE)
    if compared * 100 < min_coverage * len(layers):
        share = f"coverage {compared / len(layers):.1%}, required {min_coverage / 100:.1%}"
        return Verdict("incomplete", f"{detail}; {share}", COULD_NOT_MEASURE)
    return Verdict("consistent", detail, GOOD)


def _lacking(layers: Sequence[HashedLayer]) -> str:
    lacking = [layer for layer in layers if layer.verdict == "not_compared"]
    absent = sum(not layer.md5_board for layer in lacking)
    words = [f"{absent} are not in the list"] if absent else []
    return ", ".join(words + ([f"{len(lacking) - absent} have no raw bytes here"] if len(lacking) > absent else []))
