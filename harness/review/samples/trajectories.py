"""Outputs of a sequence over its time, by stage: one .npy each, written window by window, so that memory stays flat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.files.npy import open_npy
from harness.files.safe import make_folder, refuse_links, write_file
from harness.names import safe_name
from harness.records import SequencePlan
from harness.records.samples import STAGES

Array = npt.NDArray[Any]
FOLDER = "jitter"
INDEX = "outputs.json"
MOST_VALUES = 65_536  # of a frame: what is larger is a picture, no trajectory


class Trajectories:
    """Frames of `count` windows. A window that is never added stays NaN."""

    def __init__(self, folder: Path, count: int, plan: SequencePlan) -> None:
        self.folder, self._count, self._plan = folder / FOLDER, count, plan
        make_folder(self.folder, folder)
        refuse_links(self.folder)
        self.shapes: dict[str, list[int]] = _index(self.folder)  # of a window's frames, by output; [] for one left out

    def add(self, place: int, values: Mapping[str, Mapping[str, Array]]) -> None:
        """The outputs of one window, by stage and name. Errors: OSError."""
        for stage, outputs in values.items():
            for name, value in outputs.items():
                frames = frames_of(value, self._plan)
                if name not in self.shapes:
                    self._begin(name, frames)
                if list(frames.shape) == self.shapes[name]:
                    own = slice(place * len(frames), (place + 1) * len(frames))
                    self._put(stage, name, own, frames)

    def forget(self) -> None:
        """Every window so far is none. Errors: OSError."""
        for path in self.folder.glob("*.npy"):
            path.unlink()
        (self.folder / INDEX).unlink(missing_ok=True)
        self.shapes = {}

    def _put(self, stage: str, name: str, own: slice, frames: Array) -> None:
        for path, dtype, empty, value in (
            (_path(self.folder, list(self.shapes), stage, name), np.float32, np.nan, frames),
            (_path(self.folder, list(self.shapes), f"{stage}-given", name), np.bool_, False, np.True_),
        ):
            file = self._open(path, dtype, self.shapes[name] if value is frames else self.shapes[name][:1], empty)
            file[own] = value
            file.flush()

    def _begin(self, name: str, frames: Array) -> None:
        self.shapes[name] = list(frames.shape) if 0 < frames[0].size <= MOST_VALUES else []
        write_file(self.folder / INDEX, json.dumps(self.shapes).encode(), self.folder.parent)

    def _open(self, path: Path, dtype: Any, window: Sequence[int], empty: float) -> np.memmap[Any, Any]:
        form: Any = np.lib.format  # without types in numpy 1.26
        if path.is_file():
            known: np.memmap[Any, Any] = form.open_memmap(str(path), mode="r+")
            return known
        frames, *rest = window
        shape = (self._count * frames, *rest)
        file: np.memmap[Any, Any] = form.open_memmap(str(path), mode="w+", dtype=dtype, shape=shape)
        file[:] = empty
        return file


def frames_of(value: Array, plan: SequencePlan) -> Array:
    """The frames that one window stands for: of an output with the window's axis of time the middle ones, as many as
    the stride; of any other output the one frame it is. [frames, ...]."""
    plain = value[0] if value.ndim > 1 and value.shape[0] == 1 else value
    if plan.window > 1 and plain.ndim and plain.shape[0] == plan.window:
        count = min(plan.stride, plan.window)
        begin = (plan.window - count) // 2
        return plain[begin : begin + count]
    return plain[np.newaxis]


def first_frame(plan: SequencePlan, frames: int) -> int:
    """The frame of the whole sequence that the first kept frame is."""
    return (plan.window - frames) // 2 if plan.window else 0


def read(folder: Path) -> dict[str, dict[str, Array]]:
    """Trajectories [frames, ...] by output and stage, memory-mapped; outputs that were left out have no stage."""
    folder = folder / FOLDER
    names = list(_index(folder))
    return {
        name: {stage: open_npy(path) for stage in STAGES if (path := _path(folder, names, stage, name)).is_file()}
        for name in names
    }


def given_frames(folder: Path) -> dict[str, dict[str, Array]]:
    """Which frames a stage gave, by output and stage: bool [frames]. NaN alone does not tell a frame that is missing
    from one that a board computed so."""
    folder = folder / FOLDER
    names = list(_index(folder))
    paths = {name: {stage: _path(folder, names, f"{stage}-given", name) for stage in STAGES} for name in names}
    return {
        name: {stage: open_npy(path) for stage, path in stages.items() if path.is_file()}
        for name, stages in paths.items()
    }


def _path(folder: Path, names: list[str], stage: str, name: str) -> Path:
    return folder / f"{names.index(name)}-{safe_name(name)}-{stage}.npy"


def _index(folder: Path) -> dict[str, list[int]]:
    try:
        read_one = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    shapes = read_one.items() if isinstance(read_one, dict) else ()
    return {name: shape for name, shape in shapes if isinstance(shape, list) and all(type(n) is int for n in shape)}
