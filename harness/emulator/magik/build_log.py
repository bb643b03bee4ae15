"""What magik-transform-tools would print of a build: its banner, the cosine table, the end. The emulator says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.emulator.compiler.result import Distance
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.socs import Soc

NAME_COLUMNS = 51
COLUMNS = ("cosine_avg", "cosine_min", "cosine_max", "euc_distan", "stand_devi", "max_absolu", "max_abs_0~1")


def transform_log(soc: Soc, model: CompiledModel, distances: Mapping[str, Distance]) -> str:
    """The log of a build. Cosines are measured on the first calibration sample, so average, least and most are one."""
    lines = [
        f"INFO(magik): magik-transform-tools version:{soc.compiler}(00010000_emulator)  cuda version:none  built:CPU",
        "Log: written by the emulator of harness",
        "<<<<<<<<<<<<<<<<<<<< ptq_model_compute_distance >>>>>>>>>>>>>>>>>>>>",
        "Compute distance: 100.00 %",
        "feature name".ljust(NAME_COLUMNS) + " ".join(COLUMNS),
    ]
    names = [t.name for t in model.tensors if t.name in distances]
    lines += [_row(name, distances[name]) for name in names]
    stars = "*" * 60
    return "\n".join([*lines, stars, "^_^ Convert successfully, Enjoy it ^_^".center(60), stars, ""])


def _row(name: str, distance: Distance) -> str:
    values: Sequence[float] = (*[distance.cosine] * 3, distance.l2, 0.0, distance.chebyshev, 0.0)
    return name.ljust(NAME_COLUMNS + 1) + "    ".join(f"{float(np.nan_to_num(value)):.5f}" for value in values)
