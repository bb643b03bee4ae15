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
PAIRS = 64  # of windows that are asked for their stride
ASK_STRIDE = "give --stride FRAMES: by how many frames a window lies behind the one before"


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
        given: list[tuple[str, Path]] = []
        for name, stack in zip(self.names, self.stacks, strict=True):
            path = scratch / f"{len(given)}-{safe_name(name or 'input')}-{place}.npy"
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
        if path.name.startswith(".") or path.suffix.lower() in IGNORED:
            continue
        if path.is_symlink() and not path.exists():
            raise InputError(f"{path}: a link to a file that is not there", "mend the link, or remove it")
        if not path.is_file():
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
    """By how many frames a window lies behind the one before, as their common frames tell; 0 where they have none.

    Only for windows that are .npy files or a stack, of at least two frames. Pairs from the whole sequence are asked,
    without windows in which nothing moves. Errors: InputError where they do not tell one stride.
    """
    plan = samples.sequence
    count = len(samples.stems)
    if plan is None or plan.window < 2 or count < 2 or (samples.stacks and is_long(samples.stacks[0], plan)):
        return 0
    places: set[int] = set(np.linspace(0, count - 2, min(count - 1, PAIRS)).astype(int).tolist())
    overlaps = [_overlaps(samples, place, plan.window) for place in sorted(places)]
    fits = [one for one in overlaps if one is not None]
    if not fits or not any(fits):
        if any(one is None for one in overlaps) and not fits and _are_windows(samples, plan.window):
            raise InputError("--samples: nothing moves in these windows, so their stride cannot be told", ASK_STRIDE)
        return 0
    common = set.intersection(*fits)
    if len(common) != 1:
        seen = ", ".join(map(str, sorted(set().union(*fits))[:SHOWN]))
        raise InputError(f"--samples: windows lie over each other by no one stride (seen: {seen})", ASK_STRIDE)
    return common.pop()


def _overlaps(samples: SampleSet, place: int, window: int) -> set[int] | None:
    """Strides that fit the window at `place` and the next one; None where they cannot tell: nothing moves."""
    first, second = _frames(samples, place, window), _frames(samples, place + 1, window)
    if first is None or second is None or first.shape != second.shape or _is_still(first) or _is_still(second):
        return None
    return {by for by in range(1, window) if _same(first[by], second[0]) and _same(first[by:], second[:-by])}


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one.tobytes() == other.tobytes()  # NaN, too


def _is_still(frames: npt.NDArray[Any]) -> bool:
    return all(_same(frame, frames[0]) for frame in frames[1:])


def _are_windows(samples: SampleSet, window: int) -> bool:
    return _frames(samples, 0, window) is not None


def _frames(samples: SampleSet, place: int, window: int) -> npt.NDArray[Any] | None:
    """[frames, ...] of the first input of one sample; None where it is no .npy of a window."""
    if samples.stacks:
        array = window_of(samples.stacks[0], place, samples.sequence)
    elif (path := samples.files[samples.stems[place]][0]).suffix == ".npy":
        array = array_of(path)
    else:
        return None
    frames = array[0] if array.ndim > 1 and array.shape[0] == 1 and array.shape[1] == window else array
    return frames if frames.ndim and len(frames) == window else None


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
    if 0 in shape:
        raise InputError(f"{stack}: array of shape {shape}: no values in its samples", "save it anew, with values")
    if sequence is None or not is_long(stack, sequence):
        count = int(shape[0])
    elif shape[0] < sequence.window:
        raise InputError(f"{stack}: {shape[0]} frames, less than one window of {sequence.window}", "give more frames")
    else:
        count = int((shape[0] - sequence.window) // sequence.stride) + 1
    if count > MOST_SAMPLES:
        raise InputError(f"{stack}: {count} samples: at most {MOST_SAMPLES} in one run", "cut it into several")
    return count


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


# --------------------------------------------------------------------------- truth of every frame


def is_frames_truth(plan: SamplesPlan) -> bool:
    """Whether the truth is an .npy of frames, and no CSV of samples."""
    return plan.sequence is not None and Path(plan.truth).suffix.lower() == ".npy"


def frames_truth(path: Path) -> npt.NDArray[Any]:
    """Truth [frames, ...] of numbers, memory-mapped. Errors: InputError for what holds none."""
    truth = array_of(path)
    if truth.dtype.kind not in "iuf" or not truth.ndim or not truth.size:
        raise InputError(
            f"{path}: truth of {truth.dtype} {truth.shape}", "--truth takes an .npy of numbers [frames, ...]"
        )
    return truth


def sequence_frames(plan: SequencePlan, windows: int) -> range:
    """How many frames a sequence may have, of which `windows` were cut; a rest shorter than a stride is in none."""
    first = plan.window + plan.stride * (windows - 1) if plan.window else windows
    return range(first, first + (plan.stride if plan.window else 1))


def refuse_truth_length(path: Path, plan: SequencePlan, windows: int) -> None:
    """Said before a board is touched. Errors: InputError for a truth of neither the kept frames nor the sequence."""
    truth = frames_truth(path)
    kept = min(plan.stride, plan.window) if plan.window else 1
    whole = sequence_frames(plan, windows)
    if truth.ndim > 1 and len(truth) not in {windows, windows * kept, *whole}:
        lengths = " or ".join(map(str, sorted({windows, windows * kept, whole.start})))
        raise InputError(
            f"{path}: truth of {len(truth)} frames: {windows} windows have {lengths}",
            "give one frame of truth for each kept frame, or for each frame of the whole sequence",
        )
