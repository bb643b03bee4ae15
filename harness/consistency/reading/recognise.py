"""Whose dumps are these? Names that several platforms write are told apart by how the values lie in their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import match
from harness.consistency.reading.pairs import Storages, open_pair
from harness.dumps.folders import candidates, platform_named, read_dumps
from harness.records import Dump
from harness.reference.open import Reference

TRIED = 64  # dumps that are opened for each platform
TRIED_BYTES = 1 << 24  # of one of them


def detect_platform(reference: Reference, folder: Path) -> tuple[str, str]:
    """The platform of a folder of dumps, and a note where its names alone did not tell it; "" for none."""
    names = candidates(folder)
    if len(names) < 2:
        return (names[0] if names else ""), ""
    scores = {name: _score(reference, read_dumps(folder, name), platform_named(name).storages) for name in names}
    best = max(names, key=lambda name: scores[name])  # of equal ones the first, as the names rank them
    if best == names[0]:
        return best, ""
    shown = ", ".join(f"{name} {scores[name][0]}" for name in names)
    return best, f"platform {best}, detected from the data layout (layers equal as {shown}); override with --platform"


def _score(reference: Reference, dumps: Sequence[Dump], storages: Storages) -> tuple[int, int]:
    """How many layers are equal, and how many can be opened at all, read as a platform keeps them."""
    equal = opened = 0
    rows = [row for row in match(reference, dumps).rows if row.tensor is not None and row.dump is not None]
    for row in rows[:TRIED]:
        assert row.tensor is not None and row.dump is not None
        try:
            if row.dump.path.stat().st_size > TRIED_BYTES:
                continue
            pair = open_pair(row.tensor, row.dump, storages)
        except (OSError, TensorError):
            continue
        opened += 1
        equal += np.array_equal(pair.board, pair.reference, equal_nan=pair.board.dtype.kind == "f")
    return equal, opened
