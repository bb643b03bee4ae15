"""Calibration folders where they lie beside the config: how many files, their size, type, shape and values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.files.npy import open_npy
from harness.lint.horizon.config import DATA_FREE, Config, calibration_type
from harness.lint.horizon.inputs import CHANNELS, at, shape_of
from harness.lint.horizon.schema import CALIBRATION, INPUT
from harness.lint.paths import beside, files_in, for_shell, is_file, is_folder, is_there

ELEMENT_BYTES = {"float32": 4, "uint8": 1, "int8": 1, "int16": 2, "int32": 4}
FEW_SAMPLES = 20  # the manuals ask for 20 to 100 typical samples
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
MOST_HEADERS = 200  # files whose sizes are looked at
MOST_READ = 4  # files whose values are looked at
MOST_READ_BYTES = 64_000_000
UNIT = 10.0  # pictures of 0..255 reach beyond this; normalized ones do not


def check(config: Config) -> None:
    """Every calibration folder that is here; silent where none is."""
    if config.folder is None or calibration_type(config) in DATA_FREE:
        return
    for index, text in enumerate(config.words(CALIBRATION, "cal_data_dir")):
        if text:
            _folder(config, index, text, beside(config.folder, text))


def absent(config: Config) -> list[str]:
    """Folders that the config names, that are not here, and of which nothing else is said."""
    if config.folder is None or calibration_type(config) in DATA_FREE:
        return []
    named = [text for text in config.words(CALIBRATION, "cal_data_dir") if text and not _is_told(config, text)]
    return [text for text in named if not is_there(beside(config.folder, text))]


def _is_told(config: Config, text: str) -> bool:
    """Whether a missing folder is an error here: the model is here, and the folder should lie beside it."""
    return config.network is not None and not Path(text).is_absolute()


def _folder(config: Config, index: int, text: str, folder: Path) -> None:
    line = config.line(CALIBRATION, "cal_data_dir")
    if is_file(folder):
        config.add("H-409", line, f"{text} is a file; the tool wants a folder of samples", f"put {text} into a folder")
        return
    if not is_folder(folder):
        if _is_told(config, text):
            what = f"{text} is not here, though the model is: the tool refuses a folder that does not exist"
            config.add("H-409", line, what, f"mkdir {for_shell(text)}, and put 20 to 100 samples into it")
        return
    listed = files_in(folder)
    if listed is None:
        config.add("H-409", line, f"{text} cannot be read", "let the user who builds read the folder")
        return
    files = [path for path in listed if is_file(path) and not path.name.startswith(".")]
    if not files:
        config.add("H-409", line, f"{text} is empty", "put 20 to 100 samples into it, one file each")
        return
    if len(files) < FEW_SAMPLES:
        more = "" if len(files) == 1 else "s"
        config.add("H-410", line, f"{text} has {len(files)} sample{more}", "use 20 to 100 typical samples")
    if _kinds(config, text, files):
        _sizes(config, index, text, files[:MOST_HEADERS])


def _kinds(config: Config, text: str, files: Sequence[Path]) -> bool:
    """Whether the files are of a kind that the tool reads."""
    wrong = [path for path in files if path.suffix.lower() != ".npy"] if config.is_j6 else []
    if wrong:
        what = f"{wrong[0].name} in {text} is not a .npy file"
        config.add("H-409", config.line(CALIBRATION, "cal_data_dir"), what, "save every sample with numpy.save")
    return not wrong


def _sizes(config: Config, index: int, text: str, files: Sequence[Path]) -> None:
    arrays = [path for path in files if path.suffix.lower() == ".npy"]
    raw = [path for path in files if path.suffix.lower() not in (*IMAGES, ".npy")]
    for path in arrays:
        if _header(config, index, text, path):
            return
    word = _dtype_of(config, index, text)
    shape = shape_of(config, index)
    if shape and word in ELEMENT_BYTES and _raw_sizes(config, index, text, raw, shape, word):
        return
    if arrays or word in ELEMENT_BYTES:
        _values(config, index, text, arrays or raw, "" if arrays else word)


def _dtype_of(config: Config, index: int, text: str) -> str:
    """The type in which the tool reads raw files."""
    words = config.words(CALIBRATION, "cal_data_type")
    if index < len(words):
        return words[index]
    return "float32" if text.rstrip("/").endswith("_f32") else "uint8"


def _raw_sizes(config: Config, index: int, text: str, files: Sequence[Path], shape: tuple[int, ...], word: str) -> bool:
    """Whether a raw file of the wrong size was found."""
    expected = math.prod(shape) * ELEMENT_BYTES[word]
    wrong = next((path for path in files if path.stat().st_size != expected), None)
    if wrong is None:
        return False
    name = config.words(INPUT, "input_name")[index : index + 1]
    what = f"{wrong.name} in {text} has {wrong.stat().st_size} bytes; {word} of {_written(shape)} is {expected}"
    more = f" (input {name[0]})" if name else ""
    config.add("H-409", config.line(CALIBRATION, "cal_data_dir"), what + more, "save the data in that dtype and shape")
    return True


def _written(shape: Sequence[int]) -> str:
    return "x".join(str(size or "?") for size in shape)


# --------------------------------------------------------------------------- .npy


def _header(config: Config, index: int, text: str, path: Path) -> bool:
    """Whether a finding about the header of this file was made."""
    line = config.line(CALIBRATION, "cal_data_dir")
    try:
        array = open_npy(path)
        why = "it is no array of numbers" if array.dtype.kind in "OSU" else ""  # OSU: also an archive
    except Exception as error:  # numpy raises what the bytes lead it to: also BadZipFile, SyntaxError, TokenError
        why = next(iter(str(error).splitlines()), type(error).__name__)
    if why:
        what = f"{path.name} in {text} cannot be read: {why}"
        config.add("H-409", line, what, "save every sample with numpy.save")
        return True
    shape, expected = tuple(array.shape), _expected_shape(config, index)
    fits = len(shape) == len(expected) and all(e in (0, s) for s, e in zip(shape, expected, strict=True))
    if expected and not fits:
        what = f"{path.name} in {text} is {_written(shape)}, the input is {_written(expected)}"
        config.add("H-409", line, what, f"save every sample as {_written(expected)}")
        return True
    return _dtype(config, index, text, path, str(array.dtype))


def _expected_shape(config: Config, index: int) -> tuple[int, ...]:
    """The config's, else the model's with 0 for open sizes; () where neither tells."""
    written = shape_of(config, index)
    if written or config.network is None or at(config, "input_shape", index):
        return written
    names = config.words(INPUT, "input_name")
    known = list(config.network.inputs.values())
    given = config.network.inputs.get(names[index]) if index < len(names) else known[0] if len(known) == 1 else None
    return given.shape if given is not None else ()


def _dtype(config: Config, index: int, text: str, path: Path, dtype: str) -> bool:
    """What the calibrator takes: float32, or what the model's input is; for hb_mapper what cal_data_type says."""
    names = config.words(INPUT, "input_name")
    known = config.network.inputs if config.network is not None else {}
    given = known.get(names[index]) if index < len(names) else next(iter(known.values()), None)
    if config.is_j6:
        right = {"float32", given.dtype} if given is not None and given.dtype != "float32" else {"float32"}
        right = {given.dtype} if given is not None and given.dtype and "float" not in given.dtype else right
    else:
        right = {_dtype_of(config, index, text)}
    if dtype in right:
        return False
    what = f"{path.name} in {text} is {dtype}, the tool wants {' or '.join(sorted(right))}"
    severity = "" if given is not None or not config.is_j6 else "warning"
    fix = f"save every sample as {sorted(right)[0]}"
    config.add("H-409", config.line(CALIBRATION, "cal_data_dir"), what, fix, severity)
    return True


# --------------------------------------------------------------------------- values


def _values(config: Config, index: int, text: str, files: Sequence[Path], word: str) -> None:
    """The first files only: enough to see data that is empty, constant or normalized twice."""
    arrays = [array for path in files[:MOST_READ] if (array := _read(path, word)) is not None and array.size]
    if not arrays:
        return
    import numpy as np

    line = config.line(CALIBRATION, "cal_data_dir")
    floats = [array.astype(np.float64) for array in arrays]
    if any(not np.isfinite(array).all() for array in floats):
        config.add("H-411", line, f"{text} holds values that are not finite (NaN or infinity)", "make the data anew")
        return
    low, high = min(float(a.min()) for a in floats), max(float(a.max()) for a in floats)
    if low == high:
        what = f"every value in the first {len(floats)} files of {text} is {low:g}: thresholds of it are meaningless"
        config.add("H-411", line, what, "use typical samples")
    elif _is_normalized(config, index) and low > -UNIT and high < UNIT:
        train = at(config, "input_type_train", index)
        what = f"{text} holds {low:.4g}..{high:.4g}; {train} with mean, scale or std is expected as 0..255"
        config.add("H-411", line, what, "save the pictures before normalization: the tool normalizes them itself")


def _is_normalized(config: Config, index: int) -> bool:
    """Whether the tool itself normalizes this input, and it is a picture."""
    keys = ("mean_value", "scale_value", "std_value")
    return at(config, "input_type_train", index) in CHANNELS and any(at(config, key, index) for key in keys)


def _read(path: Path, word: str) -> Any:
    import numpy as np

    if path.stat().st_size > MOST_READ_BYTES:
        return None
    try:
        array = np.load(path, allow_pickle=False) if not word else np.fromfile(path, dtype=word)
    except Exception:  # as above
        return None
    return array if isinstance(array, np.ndarray) and array.dtype.kind in "biuf" else None
