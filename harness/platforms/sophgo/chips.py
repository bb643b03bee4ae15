"""Sophgo's chips, and which of them a model file is for.

A .bmodel begins with a header of 64 bytes (magic, sizes) and a flatbuffer that names the chip; a .cvimodel begins with
its name and names its chip in the same way. Sources: docs/boards/sophgo.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError

BMODEL_MAGIC = b"\xee\xaa\x55\xff"
CVIMODEL_MAGIC = b"CviModel"
HEAD_BYTES = 4 * 2**20  # the names stand in the flatbuffer before weights and kernels
_CHIP = re.compile(rb"(?<![A-Za-z0-9])(BM16[0-9]{2}X?|CV18[0-9][0-9X]?X?|SG2[0-9]{3})(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class SophgoChip:
    """One chip: the family of its runtime, and the names that model files give it."""

    family: str  # "bm": bmrt_test and .bmodel; "cv": model_runner and .cvimodel
    names: tuple[str, ...]  # as in model files, lower case


CHIPS: Mapping[str, SophgoChip] = {
    "bm1684": SophgoChip("bm", ("bm1684",)),
    "bm1684x": SophgoChip("bm", ("bm1684x",)),
    "bm1688": SophgoChip("bm", ("bm1688", "cv186x")),  # one die under two names
    "cv186x": SophgoChip("bm", ("cv186x", "bm1688")),
    "cv180x": SophgoChip("cv", ("cv180x",)),
    "cv181x": SophgoChip("cv", ("cv181x",)),
    "cv182x": SophgoChip("cv", ("cv182x",)),
    "cv183x": SophgoChip("cv", ("cv183x",)),
}


def chip_of(soc: str) -> SophgoChip:
    """The chip of a board's SoC; one that is not listed is of the family that its name begins with."""
    name = soc.lower()
    return CHIPS.get(name) or SophgoChip("cv" if name.startswith("cv18") else "bm", (name,) if name else ())


def check_model(path: Path, soc: str) -> None:
    """Refuse a file that the chip cannot run. Errors: InputError with what it is, and for which chip."""
    chip = chip_of(soc)
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    is_bmodel, is_cvimodel = head.startswith(BMODEL_MAGIC), head.startswith(CVIMODEL_MAGIC)
    if not is_bmodel and not is_cvimodel:
        raise InputError(
            f"{path}: neither a .bmodel nor a .cvimodel (it begins with {head[:8]!r})",
            "compile it with model_deploy.py of tpu-mlir",
        )
    if is_bmodel != (chip.family == "bm"):
        kind, other = (".bmodel", ".cvimodel") if is_bmodel else (".cvimodel", ".bmodel")
        raise InputError(f"{path}: a {kind}; {soc} runs {other} files", f"model_deploy.py --processor {soc}")
    built_for = {match[1].decode().lower() for match in _CHIP.finditer(head)}
    if built_for and chip.names and not built_for & set(chip.names):
        raise InputError(
            f"{path}: built for {', '.join(sorted(built_for))}, the board is a {soc}",
            f"model_deploy.py --processor {soc}",
        )
