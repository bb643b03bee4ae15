"""Snapshots of rknn-toolkit2 (golden, simulator, runtime) as folders of layers. There is no runner."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import InputError
from harness.files.npy import open_npy
from harness.platforms.base import Platform
from harness.platforms.text import read_text
from harness.records import BoardIdentity, Dump, Failure, InputFacts, Invocation, Job, ModelInfo, TensorSpec

MAP = "map_name_to_file.txt"
ANALYSIS = "error_analysis.txt"
_LAYER = re.compile(r"^\[(\w+)\] (\S.*?)(\s{2,}.*)?$")


class Rknn(Platform):
    """What the toolkit writes of layers: see platforms/base.py for the contract."""

    name = "rknn"
    modes: tuple[str, ...] = ("debug",)
    units: tuple[str, ...] = ("NPU", "CPU")

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """Errors: InputError, always: no runner for these boards exists here."""
        raise InputError(
            "harness does not run models on Rockchip boards yet; it reads what the vendor's toolkit leaves",
            "run accuracy_analysis with a target, then: harness compare SNAPSHOT/golden SNAPSHOT/runtime",
        )

    def read_model_info(self, text: str) -> ModelInfo:
        return ModelInfo(name="", problems=("nothing is run on these boards",))

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return None if code == 0 else Failure("crash", f"the tool ended with exit code {code}", "", log.strip()[-200:])

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return ()

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """Layers by the names of map_name_to_file.txt, in the order of their execution; none without that file.

        A value inside of a fused op is dumped by the toolkit though the chip never holds it: its kind says so.
        """
        places = (folder, folder.parent)
        rows = [row for place in places for row in _rows(read_text(place / MAP))]
        kinds = {name: kind for place in places for name, kind in _kinds(read_text(place / ANALYSIS)).items()}
        dumps = []
        for index, (name, stem) in enumerate(rows):
            path = next((p for p in (folder / f"npy/{stem}.npy", folder / f"{stem}.npy") if p.is_file()), None)
            if path is not None and "/" not in stem:
                kind = kinds.get(name, "")
                dumps.append(Dump(name, path, _spec(name, path), op=name, op_kind=kind, index=index))
        return tuple(dumps)

    def is_float_side(self, folder: Path) -> bool:
        """`golden` of accuracy_analysis, beside its map or in its layout: the float graph of the toolkit."""
        real = folder.resolve()
        layout = (real / "npy").is_dir() or any((place / MAP).is_file() for place in (real, real.parent))
        return real.name == "golden" and layout


def _rows(text: str) -> list[tuple[str, str]]:
    """(layer, stem of its file) in the order of execution."""
    cells = [line.rsplit(None, 1) for line in text.splitlines() if line.rstrip().endswith((".txt", ".npy"))]
    return [(one[0].strip(), one[1][:-4]) for one in cells if len(one) == 2]


def _kinds(text: str) -> dict[str, str]:
    """Op type by layer; a layer without figures lies inside of a fused op."""
    rows = [match for line in text.splitlines() if (match := _LAYER.match(line.rstrip()))]
    return {row[2]: row[1] if row[3] else f"{row[1]} (inside a fused op)" for row in rows}


def _spec(name: str, path: Path) -> TensorSpec | None:
    try:
        array = open_npy(path)
    except (OSError, ValueError, EOFError):
        return None
    dtype = {"float32": "f32", "float64": "f64", "float16": "f16", "int8": "s8", "uint8": "u8"}.get(array.dtype.name)
    return TensorSpec(name, dtype, tuple(array.shape)) if dtype else None


PLATFORM: Platform = Rknn()
