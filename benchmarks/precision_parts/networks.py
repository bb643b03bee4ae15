"""The networks that configurations are tried on: seeded weights, samples that are alike as frames of one scene are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import example_nets

Array = NDArray[Any]
SAMPLES = 8
FRAMES, JOINTS = 24, 17


def motionbert(folder: Path) -> Path:
    """The MotionBERT-like example with one pair of blocks and 24 frames; the model, its samples in `cal` beside it."""
    poses = [_pose(seed) for seed in range(SAMPLES)]
    onnx.save(example_nets.motionbert(poses[0], width=32, depth=1, heads=2), folder / "net.onnx")
    return _samples(folder, poses)


def mobilenet(folder: Path) -> Path:
    """The MobileNet shape of the examples at 64 x 64, on smooth noise."""
    pictures = [_picture(seed, 64) for seed in range(SAMPLES)]
    onnx.save(example_nets.mobilenet(pictures[0]), folder / "net.onnx")
    return _samples(folder, pictures)


NETWORKS: Mapping[str, Callable[[Path], Path]] = {"motionbert": motionbert, "mobilenet": mobilenet}


def _samples(folder: Path, samples: list[Array]) -> Path:
    (folder / "cal").mkdir()
    for number, sample in enumerate(samples):
        np.save(folder / "cal" / f"{number:03}.npy", sample)
    return folder / "net.onnx"


def _pose(seed: int) -> Array:
    """float32 [1, frames, joints, 3] of about -1..1."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 4 * np.pi, FRAMES)[None, :, None, None]
    swing = np.sin(time * rng.uniform(0.5, 2, (1, 1, JOINTS, 3)) + rng.uniform(0, 2 * np.pi, (1, 1, JOINTS, 3)))
    return np.asarray(rng.uniform(-1, 1, (1, 1, JOINTS, 3)) + 0.3 * swing, np.float32)


def _picture(seed: int, side: int) -> Array:
    """float32 [1, 3, side, side] of 0..1."""
    walk = np.random.default_rng(seed).standard_normal((1, 3, side, side)).cumsum(-1).cumsum(-2)
    return np.asarray((walk - walk.min()) / np.ptp(walk), np.float32)
