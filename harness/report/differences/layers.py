"""Layers of several runs: whose verdict is another one, whose bytes are, and which only some of the runs have.

Every run is held against the first. Where none of the runs was compared with a reference, the files that the boards
left stand for the layers. Bytes are told by the md5 of the valid region that the board computed; the md5 of
a whole file tells only that two are equal, because what lies between the values of a padded file is nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.records import Layer, Run
from harness.report.values import Row, as_json
from harness.runs.previous import layer_change

Key = tuple[str, int]  # name, and which of the layers of that name
Side = dict[Key, Layer]

CHANGES = ("worse", "better", "no_longer_compared", "newly_compared", "other_role", "new", "gone")
STATES = ("there", "absent", "no_layers", "same", "changed", "unknown")  # of a cell, and of its bytes


def layer_differences(runs: Sequence[Run]) -> Row:
    """{"judged", "runs_with_layers", "total", "same", "rows", "outputs", "counts"}.

    `judged`: whether any of the runs was compared with a reference; `rows`: layers that are not the same in all runs,
    `outputs`: all outputs, each {"name", "op_kind", "is_output", "variants", "cells"}; `counts`: of each run against
    the first. `variants` is how many different contents are known.
    """
    compared = any(run.comparison is not None for run in runs)
    sides = [_side(run) if compared else _dumps(run) for run in runs]
    rows = [_row(key, sides) for key in dict.fromkeys(key for side in sides for key in side or ())]
    return {
        "judged": compared,
        "runs_with_layers": [side is not None for side in sides],
        "total": len(rows),
        "same": sum(not differs(row) for row in rows),
        "rows": [row for row in rows if differs(row)],
        "outputs": [row for row in rows if row["is_output"]],
        "counts": [_counts([row["cells"][place] for row in rows]) for place in range(len(runs))],
    }


def differs(row: Row) -> bool:
    """Whether a layer is not the same in all runs that tell of it."""
    return row["variants"] > 1 or any(cell["change"] in CHANGES or cell["hash"] == "changed" for cell in row["cells"])


def _side(run: Run) -> Side | None:
    """Layers by name; None of a run that compared none."""
    if run.comparison is None:
        return None
    seen: Counter[str] = Counter()
    side: Side = {}
    for layer in run.comparison.layers:
        side[layer.name, seen[layer.name]] = layer
        seen[layer.name] += 1
    return side


TENSORS = (".bin", ".npy", ".npz", ".raw")


def _dumps(run: Run) -> Side | None:
    """Of a run that ended well, where none was compared: files of the debug mode, or of the first that left any."""
    modes = sorted(run.modes, key=lambda mode: mode.mode != "debug") if run.state == "complete" else []
    for mode in modes:
        files = [file for file in mode.files if file.name.lower().endswith(TENSORS) and (file.md5 or file.valid_md5)]
        if files:
            return {
                (file.name, 0): Layer(
                    *(place, file.name, "", "", "not_compared"), file_md5_board=file.md5, valid_md5_board=file.valid_md5
                )
                for place, file in enumerate(files)
            }
    return None


def _row(key: Key, sides: Sequence[Side | None]) -> Row:
    layers = [side.get(key) if side is not None else None for side in sides]
    having = [layer for layer in layers if layer is not None]
    variants = _variants(layers)
    cells = [
        _cell(side is not None, layer, sides[0] is not None, layers[0])
        for side, layer in zip(sides, layers, strict=True)
    ]
    for cell, variant in zip(cells, variants, strict=True):
        cell["variant"] = variant
    return {
        "name": key[0],
        "op_kind": having[0].op_kind,
        "is_output": any(layer.is_output for layer in having),
        "variants": max((variant for variant in variants if variant is not None), default=0),
        "cells": cells,
    }


def _cell(compared: bool, layer: Layer | None, base_compared: bool, base: Layer | None) -> Row:
    """One layer of one run beside the first run's."""
    cell: Row = {"state": "there" if layer else "absent" if compared else "no_layers"}
    known = compared and base_compared
    cell["change"] = _change(base, layer) if known else "unknown"
    cell["hash"] = _hash_change(base, layer) if base and layer else "unknown"
    if layer is not None:
        cell |= {"verdict": layer.verdict, "role": layer.role, "md5": layer.valid_md5_board or layer.file_md5_board}
        cell["relative_l2"] = as_json(layer.metrics.relative_l2) if layer.metrics else None
    return cell


def _change(base: Layer | None, layer: Layer | None) -> str:
    if base is None or layer is None:
        return "" if base is layer else "new" if base is None else "gone"
    word = layer_change(base.verdict, layer.verdict)
    return word or ("other_role" if base.role != layer.role else "")


def _hash_change(base: Layer, layer: Layer) -> str:
    """`same`, `changed`, or `unknown` where the runs hold no md5 of the same thing."""
    valid = base.valid_md5_board, layer.valid_md5_board
    if all(valid):
        return "same" if valid[0] == valid[1] else "changed"
    whole = base.file_md5_board, layer.file_md5_board
    return "same" if all(whole) and whole[0] == whole[1] else "unknown"


def _variants(layers: Sequence[Layer | None]) -> list[int | None]:
    """Number of each run's content, from 1 in the order of the runs; equal numbers are equal bytes. None: not known."""
    first: list[Layer] = []
    numbers: list[int | None] = []
    for layer in layers:
        words = [_hash_change(other, layer) for other in first] if layer else []
        if layer is None or not (layer.valid_md5_board or layer.file_md5_board):
            numbers.append(None)
        elif "same" in words:
            numbers.append(words.index("same") + 1)
        elif "unknown" in words:
            numbers.append(None)
        else:
            first.append(layer)
            numbers.append(len(first))
    return numbers


def _counts(cells: Sequence[Row]) -> Row:
    changes = Counter(cell["change"] for cell in cells)
    hashes = Counter(cell["hash"] for cell in cells if cell["state"] == "there")
    return {word: changes[word] for word in CHANGES} | {
        "hash_same": hashes["same"],
        "hash_changed": hashes["changed"],
        "hash_unknown": hashes["unknown"],
        "judged": sum(cell["state"] == "there" and cell["verdict"] != "not_compared" for cell in cells),
    }
