"""Many samples on this PC: folders with a file for each, paired by stem, or one .npy of windows. Read one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import InputError
from harness.files.npy import open_npy
from harness.files.safe import make_folder, new_file
from harness.names import safe_name
from harness.records import SamplesPlan, SequencePlan

SHOWN = 4
IGNORED = (".csv", ".txt", ".md", ".json", ".yaml", ".yml")  # beside samples: notes and truth
MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class SampleSet:
    """Samples in order. `files` by stem, one per source; or `stacks`, one open .npy per source."""

    names: tuple[str, ...]  # of the tensors, "" for the only one
    files: dict[str, tuple[Path, ...]]
    stacks: tuple[Path, ...] = ()
    sequence: SequencePlan | None = None

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The names of the samples, in their order."""
        if not self.stacks:
            return tuple(self.files)
        digits = len(str(max(self._count - 1, 0)))
        return tuple(f"{self.stacks[0].stem}-{place:0{digits}}" for place in range(self._count))

    @cached_property
    def _count(self) -> int:
        return window_count(self.stacks[0], self.sequence)

    def inputs(self, place: int, scratch: Path) -> tuple[tuple[str, Path], ...]:
        """(tensor, file) of one sample; a window is written into `scratch`. Errors: InputError, OSError."""
        if not self.stacks:
            return tuple(zip(self.names, self.files[self.stems[place]], strict=True))
        given = []
        for name, stack in zip(self.names, self.stacks, strict=True):
            path = scratch / f"{safe_name(name or 'input')}-{place}.npy"
            make_folder(scratch)
            with new_file(path, scratch) as file:
                np.save(file, window_of(stack, place, self.sequence))
            given.append((name, path))
        return tuple(given)


def open_samples(plan: SamplesPlan) -> SampleSet:
    """Pair the sources by stem. Errors: InputError for a source that is none, stems that only some sources have, two
    files of one stem, stacks of different lengths."""
    for name, path in plan.sources:
        if not path.exists():
            raise InputError(f"{path}: no such folder of samples", "check the path; --samples takes DIR or TENSOR=DIR")
        if path.is_file() and path.suffix != ".npy":
            raise InputError(f"{path}: one file, no folder of samples", f"give it with --input {name or 'FILE'}")
    names = tuple(name for name, _ in plan.sources)
    if len(plan.sources) > 1 and len(set(names)) < len(names):
        raise InputError(
            "--samples: give each folder its own tensor", "for example --samples images=a --samples mask=b"
        )
    stacks = tuple(path for _, path in plan.sources if path.is_file())
    if stacks and len(stacks) < len(plan.sources):
        raise InputError("--samples: a folder beside a stack (.npy)", "give folders for all inputs, or stacks for all")
    if stacks:
        return _of_stacks(names, stacks, plan.sequence)
    return SampleSet(names, _paired([path for _, path in plan.sources]), sequence=plan.sequence)


def _of_stacks(names: tuple[str, ...], stacks: tuple[Path, ...], sequence: SequencePlan | None) -> SampleSet:
    counts = {path: window_count(path, sequence) for path in stacks}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path}: {count}" for path, count in counts.items())
        raise InputError(f"stacks of different lengths: {listed}", "cut them from the same frames")
    return SampleSet(names, {}, stacks, sequence)


def _paired(folders: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    by_folder = [_by_stem(folder) for folder in folders]
    first = by_folder[0]
    for folder, files in zip(folders[1:], by_folder[1:], strict=True):
        _refuse_unpaired(folders[0], first, folder, files)
    return {stem: tuple(files[stem] for files in by_folder) for stem in sorted(first, key=natural)}


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that counts: frame9 before frame10."""
    return [(0, int(p[:18]), p) if p.isdigit() and p.isascii() else (1, 0, p) for p in re.split("([0-9]+)", text) if p]


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.suffix.lower() in IGNORED:
            continue
        if path.stem in files:
            raise InputError(
                f"{folder}: two files of stem {path.stem!r}: {files[path.stem].name} and {path.name}",
                "keep one file for each sample, and other kinds in a folder of their own",
            )
        files[path.stem] = path
    if not files:
        raise InputError(f"{folder}: no samples in it", "put one file for each sample there")
    if len(files) > MOST_SAMPLES:
        raise InputError(f"{folder}: {len(files)} samples: at most {MOST_SAMPLES} in one run", "use several folders")
    return files


def _refuse_unpaired(one: Path, first: dict[str, Path], other: Path, files: dict[str, Path]) -> None:
    alone = [f"{stem!r} only in {one}" for stem in first if stem not in files]
    alone += [f"{stem!r} only in {other}" for stem in files if stem not in first]
    if alone:
        more = f"; and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
        raise InputError(
            f"samples without a partner of the same stem: {'; '.join(alone[:SHOWN])}{more}",
            "files of one sample have one stem in every folder, as in calibration folders",
        )


# --------------------------------------------------------------------------- windows of one array


def stride_of(samples: SampleSet) -> int:
    """By how many frames the second window lies behind the first, as their common frames tell; 0 where they have none.

    Only for windows that are .npy files or a stack, of at least two frames.
    """
    plan = samples.sequence
    if plan is None or plan.window < 2 or len(samples.stems) < 2:
        return 0
    if samples.stacks:
        if is_long(samples.stacks[0], plan):
            return 0
        first, second = (window_of(samples.stacks[0], place, plan)[0] for place in (0, 1))
    else:
        paths = [samples.files[stem][0] for stem in samples.stems[:2]]
        if any(path.suffix != ".npy" for path in paths):
            return 0
        first, second = (_frames(path, plan.window) for path in paths)
    if len(first) != plan.window or first.shape != second.shape:
        return 0
    return next((by for by in range(1, plan.window) if np.array_equal(first[by:], second[:-by])), 0)


def _frames(path: Path, window: int) -> npt.NDArray[Any]:
    array = array_of(path)
    return array[0] if array.ndim > 1 and array.shape[0] == 1 and array.shape[1] == window else array


def array_of(path: Path) -> npt.NDArray[Any]:
    """An .npy, memory-mapped. Errors: InputError for one that cannot be read."""
    try:
        return open_npy(path)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a readable .npy ({error})", "save it anew: numpy.save(path, array)") from None


def window_count(stack: Path, sequence: SequencePlan | None) -> int:
    """How many windows a stack holds: its first axis, or what a stride cuts from a long one. Errors: InputError."""
    shape = array_of(stack).shape
    if not shape or not shape[0]:
        raise InputError(f"{stack}: array of shape {shape}: no samples in it", "its first axis counts the samples")
    if sequence is None or not is_long(stack, sequence):
        return int(shape[0])
    if shape[0] < sequence.window:
        raise InputError(f"{stack}: {shape[0]} frames, less than one window of {sequence.window}", "give more frames")
    return int((shape[0] - sequence.window) // sequence.stride) + 1


def is_long(stack: Path, sequence: SequencePlan) -> bool:
    """Whether a stack is one long sequence of frames that windows are cut from: its second axis is no window."""
    shape = array_of(stack).shape
    held = shape[1:3] if len(shape) > 1 and shape[1] == 1 else shape[1:2]
    return bool(sequence.window) and sequence.window not in held


def window_of(stack: Path, place: int, sequence: SequencePlan | None) -> npt.NDArray[Any]:
    """One window, with a leading axis of 1."""
    array = array_of(stack)
    if sequence is not None and is_long(stack, sequence):
        begin = place * sequence.stride
        return np.ascontiguousarray(array[begin : begin + sequence.window][np.newaxis])
    part: npt.NDArray[Any] = np.ascontiguousarray(array[place])
    return part if part.ndim and part.shape[0] == 1 else part[np.newaxis]
