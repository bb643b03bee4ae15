"""Calibration data and the ranges that it gives, by onnxruntime's own calibrator."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

from harness.emulator.model.nodes import ModelGraph
from harness.errors import InputError
from harness.images.pixels import normalised

Feed = dict[str, NDArray[Any]]
Ranges = dict[str, tuple[float, float]]
NONE = "none: times only, values are not computed"
RANDOM_SAMPLES = 8
PIXEL_SAMPLES = 8
_SUFFIXES = (".npy", ".bin", ".nv12")
Reader = Callable[[Path], Feed]


@dataclass(frozen=True)
class Samples:
    """Feeds of the float model, and where they come from (for the log)."""

    feeds: tuple[Feed, ...]
    source: str


class _FeedReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def random_samples(model: onnx.ModelProto, seed: int, pixels: Collection[str] = ()) -> Samples:
    """Seeded feeds: standard normal; uniform centred pixels (-128..127) for the inputs named in `pixels`."""
    network = ModelGraph(model)
    rng = np.random.default_rng(seed)
    feeds = [{n: _random(rng, n, network, n in pixels) for n in network.input_names} for _ in range(RANDOM_SAMPLES)]
    return Samples(tuple(feeds), f"random data (seed {seed}), no --calibration given")


def _random(rng: np.random.Generator, name: str, network: ModelGraph, pixel: bool) -> NDArray[Any]:
    shape = network.shape(name) or ()
    if pixel:
        return (rng.integers(0, 256, shape) - 128).astype(np.float32)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(network.element_type(name) or onnx.TensorProto.FLOAT)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)


def read_samples(path: Path, model: onnx.ModelProto, readers: Mapping[str, Reader]) -> Samples:
    """Feeds from an .npz (one array per input, samples along the first axis) or a folder.

    The folder holds one .npy or raw .bin file per sample; with several inputs, one subfolder per input. `readers`
    are for inputs whose files are something else: NV12 frames, which may feed two inputs at once.
    Errors: InputError for a missing or empty place, a missing input, a wrong size.
    """
    network = ModelGraph(model)
    if path.is_dir():
        parts = _folder_parts(path, network, readers)
    elif path.suffix == ".npz" and path.is_file() and not readers:
        parts = [[{n: a} for a in arrays] for n, arrays in _npz_samples(path, network).items()]
    else:
        raise InputError(f"{path}: not a calibration folder or .npz", "give a folder of .npy or .bin files, or an .npz")
    count = min(len(part) for part in parts)
    if count == 0:
        raise InputError(f"{path}: no calibration sample found", "put .npy or .bin files there, one per sample")
    feeds = tuple({name: array for part in parts for name, array in part[i].items()} for i in range(count))
    return Samples(feeds, f"{count} samples of {path.name}")


def _npz_samples(path: Path, network: ModelGraph) -> dict[str, list[NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as archive:
        missing = [name for name in network.input_names if name not in archive.files]
        if missing:
            raise InputError(f"{path}: no array {missing[0]!r}", f"known: {', '.join(archive.files)}")
        return {n: [_shaped(a, n, network, path) for a in archive[n]] for n in network.input_names}


def _folder_parts(path: Path, network: ModelGraph, readers: Mapping[str, Reader]) -> list[list[Feed]]:
    """Per input (or NV12 picture) the samples of its folder."""
    covered = [n for n in network.input_names if any(n in (p, f"{p}_y", f"{p}_uv") for p in readers)]
    sources = dict(readers)
    for name in network.input_names:
        if name not in covered:
            sources[name] = _array_reader(name, network)
    parts = []
    for name, read in sources.items():
        folder = path if len(sources) == 1 and not (path / name).is_dir() else path / name
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder", "a model with several inputs needs one subfolder per input")
        files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES)
        parts.append([read(file) for file in files])
    return parts


def _array_reader(name: str, network: ModelGraph) -> Reader:
    return lambda file: {name: _shaped(_load(file, name, network), name, network, file)}


def _load(file: Path, name: str, network: ModelGraph) -> NDArray[Any]:
    if file.suffix == ".npy":
        return np.asarray(np.load(file, allow_pickle=False))
    element = network.element_type(name) or onnx.TensorProto.FLOAT
    return np.fromfile(file, onnx.helper.tensor_dtype_to_np_dtype(element))


def _shaped(array: NDArray[Any], name: str, network: ModelGraph, source: Path) -> NDArray[Any]:
    shape = network.shape(name) or ()
    if array.size != int(np.prod(shape)):
        raise InputError(
            f"{source}: a sample of input {name!r} has {array.size} values, expected {int(np.prod(shape))}"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(network.element_type(name) or onnx.TensorProto.FLOAT)
    return np.ascontiguousarray(array.reshape(shape), dtype)


def no_ranges(model: onnx.ModelProto) -> Ranges:
    """The range of every tensor of a model whose values nobody asks for: -1 to 1."""
    network = ModelGraph(model)
    made = (name for node in network.nodes for name in node.output if name)
    return dict.fromkeys((*network.input_names, *made), (-1.0, 1.0))


def ranges(model: onnx.ModelProto, samples: Samples) -> Ranges:
    """Float tensor -> (lowest, highest) over the samples (onnxruntime's min-max calibrator)."""
    with tempfile.TemporaryDirectory(prefix="harness-calibrate-") as folder:
        source = Path(folder) / "model.onnx"
        onnx.save(model, str(source))
        calibrator = create_calibrator(
            source,
            op_types_to_calibrate=None,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_FeedReader(samples.feeds))
        data = calibrator.compute_data().data
    return {name: (float(np.min(d.range_value[0])), float(np.max(d.range_value[1]))) for name, d in data.items()}


def pixel_samples(model: onnx.ModelProto, mean: str, var: str, seed: int) -> Samples:
    """Calibration pictures of uniform noise, normalised as the board does it. Errors: InputError for other inputs."""
    network = ModelGraph(model)
    rng = np.random.default_rng(seed)
    feeds = []
    for _ in range(PIXEL_SAMPLES):
        feed = {}
        for name in network.input_names:
            sizes = network.shape(name) or ()
            if len(sizes) != 4:
                raise InputError(
                    f"input {name!r} is not an image (N x C x H x W)", "boards with this chip need image inputs"
                )
            feed[name] = normalised(rng.integers(0, 256, sizes, dtype=np.uint8), mean, var)
        feeds.append(feed)
    return Samples(tuple(feeds), f"random pictures (seed {seed}), no --calibration given")
