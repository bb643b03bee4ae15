"""What `md5sum` printed on a board, held against a folder of dumps on this PC: equal or not, layer by layer.

A hash tells no values: a layer that differs has no error, kind or origin here. Only whole files count; a PC's .npy or
a file with other padding cannot be held against a hash of the board's file, and is not compared.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
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


def compare_list(reference: Path, listed: Path, platform: str = "") -> HashComparison:
    """Hold the board's md5s against the files of a folder of raw dumps. Errors: InputError for no such folder."""
    if not reference.is_dir():
        raise InputError(
            f"{reference}: a list of md5s is compared with a folder of raw dumps (.bin)",
            "give the PC's dump folder as REFERENCE",
        )
    text = listed.read_text(encoding="utf-8", errors="replace")
    board = read_list(text)
    on_pc = [dump for dump in read_dumps(reference, platform) if dump.role != "input"]
    named = _named(tuple(board.md5s), platform)
    layers: list[HashedLayer] = []
    used: set[str] = set()
    for dump in on_pc:
        file = next((named[name] for name in (dump.name, *dump.aliases, dump.path.stem) if name in named), "")
        used.add(file)
        layers.append(_layer(dump, board.md5s.get(file, "")))
    layers += [HashedLayer(name, "not_compared", md5) for name, md5 in board.md5s.items() if name not in used]
    return HashComparison(_verdict(layers, len(on_pc)), tuple(layers), board.problems)


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


def _verdict(layers: list[HashedLayer], total: int) -> Verdict:
    differing = [layer.name for layer in layers if layer.verdict == "differs"]
    equal = sum(layer.verdict == "equal" for layer in layers)
    compared = equal + len(differing)
    if differing:
        detail = f"{len(differing)} of {compared} files differ by md5, first {differing[0]}; their values are not known"
        return Verdict("diverges", detail, MEASURED_BAD)
    if not compared:
        return Verdict("not_comparable", "no file of the list has a partner among the dumps", COULD_NOT_MEASURE)
    if compared < total:
        return Verdict("not_comparable", f"{equal} files are equal, {total - compared} are not in the list",
                       COULD_NOT_MEASURE)  # fmt: skip
    return Verdict("consistent", f"all {equal} files are equal by md5", GOOD)
