"""Build the example models and their inputs: python scripts/build_examples.py DIR [NAME...]

digits       trained on real handwritten digits, 1x1x8x8 (weights in examples/digits.npz, made by train_digits.py)
mobilenet    MobileNetV2-shaped, seeded weights, NV12 224x224
yolo         YOLO-shaped, seeded weights, NV12 320x320, six outputs
motionbert   MotionBERT-shaped transformer, 1x120x17x3, Softmax on the CPU

The same versions of numpy, onnx and onnxruntime give the same bytes again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))

import example_nets as nets  # noqa: E402

from harness.emulator.model.image import nv12_from_rgb  # noqa: E402

Array = NDArray[Any]
EXAMPLES = ROOT / "examples"
PHOTO = EXAMPLES / "china.jpg"
CALIBRATION_FRAMES = 8
NAMES = ("digits", "mobilenet", "yolo", "motionbert")


def build(folder: Path, names: tuple[str, ...] = NAMES) -> dict[str, list[Path]]:
    """Write the named examples into `folder`; name -> files (folders of calibration data as one entry)."""
    folder.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[Path], list[Path]]] = {
        "digits": _digits, "mobilenet": _mobilenet, "yolo": _yolo, "motionbert": _motionbert,
    }  # fmt: skip
    return {name: makers[name](folder) for name in names}


# --------------------------------------------------------------------------- pictures


def photo(side: int, turn: int = 0) -> NDArray[np.uint8]:
    """A square cut of the photograph; `turn` gives other cuts of it."""
    with Image.open(PHOTO) as image:
        picture = image.convert("RGB")
        room = picture.width - picture.height
        offset = room * turn // max(1, CALIBRATION_FRAMES - 1)
        square = picture.crop((offset, 0, offset + picture.height, picture.height))
        return np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))


def _frames(folder: Path, name: str, side: int) -> list[Path]:
    """One NV12 frame to run and a few others to calibrate with."""
    frame = folder / f"photo_{side}.nv12"
    frame.write_bytes(nv12_from_rgb(photo(side, turn=3)))
    calibration = folder / f"{name}_calibration"
    calibration.mkdir(exist_ok=True)
    for i in range(CALIBRATION_FRAMES):
        (calibration / f"{i}.nv12").write_bytes(nv12_from_rgb(photo(side, turn=i)))
    return [frame, calibration]


def _normalised(side: int) -> Array:
    """What the network sees: colours of 0..1, as `--scale 0.00392157` gives them."""
    return (photo(side, turn=3).astype(np.float32) / 255).transpose(2, 0, 1)[None]


# --------------------------------------------------------------------------- examples


def _digits(folder: Path) -> list[Path]:
    with np.load(EXAMPLES / "digits.npz") as kept:
        arrays = {name: kept[name] for name in kept.files}
    model = _save(folder / "digits.onnx", nets.digits(arrays))
    images = arrays["test_images"].astype(np.float32) / 16
    frame = folder / "digits_input.bin"
    frame.write_bytes(images[0].tobytes())
    test = folder / "digits_test.npz"
    np.savez_compressed(test, image=images[:, None], label=arrays["test_labels"])
    calibration = _samples(folder / "digits_calibration", arrays["calibration"][:, None].astype(np.float32) / 16)
    return [model, frame, test, calibration]


def _mobilenet(folder: Path) -> list[Path]:
    model = _save(folder / "mobilenet.onnx", nets.mobilenet(_normalised(224)))
    return [model, *_frames(folder, "mobilenet", 224)]


def _yolo(folder: Path) -> list[Path]:
    model = _save(folder / "yolo.onnx", nets.yolo(_normalised(320)))
    return [model, *_frames(folder, "yolo", 320)]


def _motionbert(folder: Path) -> list[Path]:
    poses = [_pose(seed) for seed in range(CALIBRATION_FRAMES)]
    model = _save(folder / "motionbert.onnx", nets.motionbert(poses[0]))
    frame = folder / "motionbert_input.bin"
    frame.write_bytes(poses[0].tobytes())
    return [model, frame, _samples(folder / "motionbert_calibration", np.stack(poses))]


def _pose(seed: int) -> Array:
    """A smooth walk of 17 joints over 120 frames: float32 [1, 120, 17, 3] of about -1..1."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 4 * np.pi, 120)[None, :, None, None]
    swing = np.sin(time * rng.uniform(0.5, 2, (1, 1, 17, 3)) + rng.uniform(0, 2 * np.pi, (1, 1, 17, 3)))
    walk: Array = (rng.uniform(-1, 1, (1, 1, 17, 3)) + 0.3 * swing).astype(np.float32)
    return walk


def _samples(folder: Path, samples: Array) -> Path:
    folder.mkdir(exist_ok=True)
    for i, sample in enumerate(samples):
        np.save(folder / f"{i:03}.npy", sample)
    return folder


def _save(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, str(path))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the models and inputs are written")
    parser.add_argument("names", metavar="NAME", nargs="*", help="examples to build; default: all")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no example {unknown[0]}; there are {', '.join(NAMES)}")
    for name, paths in build(given.folder, tuple(given.names) or NAMES).items():
        for path in paths:
            size = path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.iterdir())
            print(f"{name:<11} {size:>9} bytes  {path}")


if __name__ == "__main__":
    main()
