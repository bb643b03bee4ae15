"""The benchmark of `--max-slower`, on series that nobody has to measure: unchanged is not slower, 5 % is seen."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.latency_gate import judged


@pytest.mark.slow
def test_unchanged_pairs_pass_and_five_percent_is_seen_by_the_command() -> None:
    frames_us = np.exp(np.random.default_rng(0).normal(3.4, 0.01, (4, 2, 100)))
    frames_us[:, 1, 50] = 20000.0
    figures = judged(frames_us, unchanged=2)
    assert (figures["false_slower"], figures["found_5pct"]) == (0, 1.0)
