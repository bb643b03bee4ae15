"""Train the small digits network with numpy alone and keep its weights: examples/digits.npz.

    python scripts/train_digits.py [OUT.npz]

Data: the UCI handwritten digits that scikit-learn carries (1797 images of 8x8). Every fifth image is held out. The
committed file was made by this script; another BLAS may round differently, so a new one is close, not equal.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OUT = Path(__file__).resolve().parent.parent / "examples" / "digits.npz"
EPOCHS, BATCH, RATE = 40, 32, 2e-3
CHANNELS = (12, 24)
CALIBRATION = 32


@dataclass
class Tape:
    """What the forward pass leaves for the backward pass."""

    columns: list[Array]
    masks: list[Array]
    peaks: list[Array]
    flat: Array


def new_weights(rng: np.random.Generator) -> dict[str, Array]:
    first, second = CHANNELS
    shapes = {"conv1": (first, 1, 3, 3), "conv2": (second, first, 3, 3), "fc": (10, second * 4)}
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        fan_in = int(np.prod(shape[1:]))
        weights[f"{name}_w"] = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        weights[f"{name}_b"] = np.zeros(shape[0], np.float32)
    return weights


def columns_of(x: Array) -> Array:
    """3x3 neighbourhoods with zero padding: [n, h, w, c * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    n, c, h, w = x.shape
    windows: Array = np.stack([padded[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=-1)
    columns: Array = windows.transpose(0, 2, 3, 1, 4).reshape(n, h, w, c * 9)
    return columns


def conv_pool(x: Array, w: Array, b: Array, tape: Tape) -> Array:
    """Conv 3x3, Relu, 2x2 max pooling."""
    columns = columns_of(x)
    made = (columns @ w.reshape(len(w), -1).T + b).transpose(0, 3, 1, 2)
    active = np.maximum(made, 0)
    n, c, h, width = active.shape
    blocks = active.reshape(n, c, h // 2, 2, width // 2, 2)
    pooled: Array = blocks.max(axis=(3, 5))
    tape.columns.append(columns)
    tape.masks.append(made > 0)
    tape.peaks.append(blocks == pooled[:, :, :, None, :, None])
    return pooled


def forward(weights: dict[str, Array], x: Array) -> tuple[Array, Tape]:
    tape = Tape([], [], [], x)
    for name in ("conv1", "conv2"):
        x = conv_pool(x, weights[f"{name}_w"], weights[f"{name}_b"], tape)
    tape.flat = x.reshape(len(x), -1)
    return tape.flat @ weights["fc_w"].T + weights["fc_b"], tape


def conv_pool_back(grad: Array, w: Array, tape: Tape, layer: int) -> tuple[Array, Array, Array]:
    """Gradients of weights, bias and input of one Conv-Relu-Pool."""
    peaks = tape.peaks[layer]
    spread = peaks * grad[:, :, :, None, :, None] / peaks.sum(axis=(3, 5), keepdims=True)
    n, c, h, _, width, _ = peaks.shape
    made = spread.reshape(n, c, h * 2, width * 2) * tape.masks[layer]
    rows = made.transpose(0, 2, 3, 1).reshape(-1, c)
    columns = tape.columns[layer]
    w_grad = (rows.T @ columns.reshape(len(rows), -1)).reshape(w.shape)
    flipped = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    x_grad = (columns_of(made) @ flipped.reshape(len(flipped), -1).T).transpose(0, 3, 1, 2)
    return w_grad, rows.sum(axis=0), x_grad


def gradients(weights: dict[str, Array], x: Array, labels: Array) -> dict[str, Array]:
    logits, tape = forward(weights, x)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(x)), labels] -= 1
    share /= len(x)
    grads: dict[str, Array] = {"fc_w": share.T @ tape.flat, "fc_b": share.sum(axis=0)}
    back = (share @ weights["fc_w"]).reshape(len(x), CHANNELS[1], 2, 2)
    for layer, name in ((1, "conv2"), (0, "conv1")):
        grads[f"{name}_w"], grads[f"{name}_b"], back = conv_pool_back(back, weights[f"{name}_w"], tape, layer)
    return grads


def train(images: Array, labels: Array, seed: int = 1) -> dict[str, Array]:
    """Adam on cross entropy; deterministic for one numpy and BLAS."""
    rng = np.random.default_rng(seed)
    weights = new_weights(rng)
    first: dict[str, Any] = {k: np.zeros_like(v) for k, v in weights.items()}
    second = {k: np.zeros_like(v) for k, v in weights.items()}
    step = 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(images), BATCH):
            step += 1
            batch = order[start : start + BATCH]
            rate = RATE * (1 - epoch / EPOCHS)
            for name, grad in gradients(weights, images[batch], labels[batch]).items():
                first[name] = 0.9 * first[name] + 0.1 * grad
                second[name] = 0.999 * second[name] + 0.001 * grad * grad
                scale = np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8
                weights[name] = (weights[name] - rate * first[name] / (1 - 0.9**step) / scale).astype(np.float32)
    return weights


def accuracy(weights: dict[str, Array], images: Array, labels: Array) -> float:
    return float(np.mean(forward(weights, images)[0].argmax(axis=1) == labels))


def load() -> tuple[Array, Array]:
    """Images [n, 1, 8, 8] uint8 of 0..16, and labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images[:, None].astype(np.uint8), data.target.astype(np.uint8)


def main() -> None:
    images, labels = load()
    held_out = np.arange(len(images)) % 5 == 0
    real = images.astype(np.float32) / 16
    weights = train(real[~held_out], labels[~held_out])
    share = accuracy(weights, real[held_out], labels[held_out])
    print(f"accuracy on {held_out.sum()} held-out images: {share:.4f}")
    if share < 0.95:
        sys.exit("worse than 95 %: not kept")
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    arrays: dict[str, Any] = {
        "test_images": images[held_out],
        "test_labels": labels[held_out],
        "calibration": images[~held_out][:CALIBRATION],
    }
    np.savez_compressed(target, **(arrays | weights))
    print(f"wrote {target} ({target.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
