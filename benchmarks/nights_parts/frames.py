"""Frames of a small network on this PC, recorded now: how the medians of blocks really spread."""

from __future__ import annotations

import time

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from harness.profiling.distribution import quiet_us
from harness.records import Latency


def _session() -> onnxruntime.InferenceSession:
    weights = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    shape = [1, 16, 32, 32]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def recorded_frames(blocks: int = 128, frames: int = 300) -> NDArray[np.float64]:
    """Thread time of every frame, float64 us of shape (blocks, frames). Some seconds of one core.

    Not wall time: what other programs of a shared PC take is no noise of a board.
    """
    session = _session()
    feed = {"x": np.zeros((1, 16, 32, 32), np.float32)}
    times = np.empty((blocks, frames))
    for block in range(blocks):
        for _ in range(20):
            session.run(None, feed)
        for frame in range(frames):
            begun_ns = time.thread_time_ns()
            session.run(None, feed)
            times[block, frame] = (time.thread_time_ns() - begun_ns) / 1000
    return times


def block_noise(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative medians and quiet frames of blocks, float64 of shape (blocks, 2): 0 is the usual block. In the order of
    the recording, and of all of it, however busy this PC was."""
    quiet = [quiet_us(Latency(float(np.mean(block)), samples_us=tuple(map(float, block)))) for block in frames]
    figures = np.stack([np.median(frames, axis=1), np.asarray(quiet, dtype=np.float64)], axis=1)
    return np.asarray(figures / np.median(figures, axis=0) - 1)
