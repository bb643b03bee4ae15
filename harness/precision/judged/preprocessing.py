"""What a run is fed against what the model was calibrated with: scale, mean, channel order, layout.

Seen by statistics of both sets; where a sample is in both of them, by that pair, whose fit is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.precision.judged.observations import BAD, PREPROCESSING, CalibrationObservation

Array = NDArray[Any]
Turn = Callable[[Array], Array]
ALIKE_SCALE, ALIKE_SHIFT = 1.3, 0.35  # factor of the spread, and of the spread: what two draws of data differ by
SAME_SAMPLE = 0.999  # correlation
MOST_COMPARED = 48  # samples of each set that are held against each other
MOST_ELEMENTS = 20_000  # of a sample, for that
ORDER_MATTERS = 0.1  # of the spread, by which means of channels differ, to say anything of their order
BETTER = 3.0  # times nearer in another order
ROUGHER = 1.5  # times rougher than when it is read in the other layout
COLOURS = (3, 4)
KNOWN_SCALES = {255.0: "0..255 against 0..1", 127.5: "0..255 against -1..1", 128.0: "0..255 against -1..1"}


@dataclass(frozen=True)
class InputComparison:
    """One input: run = calibration * `scale` + `shift`. `kind`: alike, scale, order, layout; `by`: statistics, or the
    sample that is in both sets. Per channel where there are up to four of them."""

    input: str
    kind: str
    by: str
    scale: float
    shift: float
    calibration_mean: float
    calibration_std: float
    run_mean: float
    run_std: float
    channel_scales: tuple[float, ...] = ()
    channel_shifts: tuple[float, ...] = ()
    text: str = ""


def compare_input(name: str, calibration: Sequence[Array], run: Sequence[Array]) -> InputComparison:
    """One input's samples of both sets, all of one shape."""
    turns = _turns(calibration[0].shape)
    pair = _same_sample(calibration, run, turns)
    kind = pair[0] if pair is not None else _kind(calibration, run, turns)
    turn = turns.get(kind, _as_it_is)
    turned = [turn(value) for value in run]
    fit = _fit(pair[1], turn(pair[2])) if pair is not None else _statistics_fit(calibration, turned)
    scale, shift = fit
    spread = _std(calibration)
    if kind == "alike" and not _is_alike(scale, shift, spread, _mean(calibration), pair is not None):
        kind = "scale"
    by = f"sample {pair[3]} of the run and {pair[4]} of the calibration data" if pair is not None else "statistics"
    channels = _channel_fits(calibration, turned) if calibration[0].ndim == 4 and calibration[0].shape[1] <= 4 else []
    return InputComparison(
        name,
        kind,
        by,
        scale,
        shift,
        _mean(calibration),
        spread,
        _mean(run),
        _std(run),
        tuple(one[0] for one in channels),
        tuple(one[1] for one in channels),
        _words(kind, scale, shift, calibration[0].shape),
    )


def observations_of(comparisons: Sequence[InputComparison]) -> Iterator[CalibrationObservation]:
    """Those that are not alike."""
    for one in comparisons:
        if one.kind != "alike":
            text = f"{one.text} (by {one.by}); calibration {one.calibration_mean:.4g} +- {one.calibration_std:.4g}, run"
            text += f" {one.run_mean:.4g} +- {one.run_std:.4g}"
            channels = ", ".join(
                f"{scale:.4g} x + {shift:.4g}"
                for scale, shift in zip(one.channel_scales, one.channel_shifts, strict=True)
            )
            text += f"; by channel: {channels}" if channels else ""
            following = "preprocess both in the same way, and calibrate again"
            yield CalibrationObservation(PREPROCESSING, BAD, one.input, text, following)


# --------------------------------------------------------------------------- ways to read the run's data


def _as_it_is(value: Array) -> Array:
    return value


def _turns(shape: tuple[int, ...]) -> dict[str, Turn]:
    """How a run's sample could have to be read to be like the calibration's: by what is wrong."""
    if len(shape) != 4 or shape[0] != 1:
        return {"alike": _as_it_is}
    turns: dict[str, Turn] = {"alike": _as_it_is}
    _, channels, height, width = shape
    if channels in COLOURS:
        turns["order"] = lambda value: np.concatenate([value[:, 2::-1], value[:, 3:]], axis=1)
        turns["layout"] = lambda value: value.reshape(1, height, width, channels).transpose(0, 3, 1, 2)
    return turns


def _words(kind: str, scale: float, shift: float, shape: tuple[int, ...]) -> str:
    fit = f"the run is fed {scale:.4g} times the calibration data {'+' if shift >= 0 else '-'} {abs(shift):.4g}"
    if kind == "scale":
        near = [
            word for known, word in KNOWN_SCALES.items() for one in (scale, 1 / scale) if abs(one / known - 1) < 0.03
        ]
        return f"{fit}{f': {near[0]}, one of the two' if near else ''}"
    if kind == "order":
        return f"the run's channels are in the other order (RGB against BGR); but for that {fit}"
    if kind == "layout":
        return f"the run's data lies as NHWC where the model takes {'x'.join(map(str, shape))}; but for that {fit}"
    return fit


# --------------------------------------------------------------------------- a sample that is in both


def _same_sample(
    calibration: Sequence[Array], run: Sequence[Array], turns: dict[str, Turn]
) -> tuple[str, Array, Array, int, int] | None:
    """(kind, calibration's sample, run's, their places) of the best pair; None where no two belong together."""
    rows = [_standard(value) for value in calibration[:MOST_COMPARED]]
    best, best_value = None, SAME_SAMPLE
    for kind, turn in turns.items():
        for place, value in enumerate(run[:MOST_COMPARED]):
            row = _standard(turn(value))
            for other, known in enumerate(rows):
                correlation = float(row @ known) / max(len(row), 1)
                if correlation > best_value:
                    best, best_value = (kind, calibration[other], value, place, other), correlation
    return best


def _standard(value: Array) -> Array:
    flat = np.asarray(value, np.float64).ravel()
    flat = flat[:: max(1, flat.size // MOST_ELEMENTS)]
    spread = flat.std()
    return (flat - flat.mean()) / spread if spread > 0 else np.zeros_like(flat)


def _fit(calibration: Array, run: Array) -> tuple[float, float]:
    x, y = np.asarray(calibration, np.float64).ravel(), np.asarray(run, np.float64).ravel()
    centred = x - x.mean()
    energy = float(centred @ centred)
    scale = float(centred @ (y - y.mean())) / energy if energy > 0 else 1.0
    return scale, float(y.mean() - scale * x.mean())


# --------------------------------------------------------------------------- statistics


def _kind(calibration: Sequence[Array], run: Sequence[Array], turns: dict[str, Turn]) -> str:
    """What is wrong with the order of the run's values; `alike` where nothing speaks for it."""
    if "layout" in turns and _is_other_layout(calibration, run, turns["layout"]):
        return "layout"
    if "order" in turns and _is_other_order(calibration, run):
        return "order"
    return "alike"


def _is_other_layout(calibration: Sequence[Array], run: Sequence[Array], turn: Turn) -> bool:
    """The run's data is much smoother when it is read in the other layout, and the calibration's is not."""
    own, turned = _roughness(run), _roughness([turn(value) for value in run])
    known, known_turned = _roughness(calibration), _roughness([turn(value) for value in calibration])
    return own > ROUGHER * turned and known < known_turned


def _roughness(values: Sequence[Array]) -> float:
    """Difference of neighbours along both axes of the picture over the spread of the whole."""
    steps = [np.abs(np.diff(value, axis=axis)).mean() for value in values for axis in (2, 3)]
    return float(np.mean(steps)) / (_std(values) or 1.0)


def _is_other_order(calibration: Sequence[Array], run: Sequence[Array]) -> bool:
    """Means and spreads of the channels agree in the other order and not in their own."""
    own, other = _by_channel(calibration), _by_channel(run)
    turned = np.concatenate([other[:, 2::-1], other[:, 3:]], axis=1)
    distance, turned_distance = float(np.abs(own - other).max()), float(np.abs(own - turned).max())
    return distance > ORDER_MATTERS and distance > BETTER * turned_distance


def _by_channel(values: Sequence[Array]) -> Array:
    """[2, channels]: mean and spread of each channel, of data whose own mean is 0 and spread 1."""
    mean, spread = _mean(values), _std(values) or 1.0
    rows = np.stack([np.moveaxis(np.asarray(value, np.float64), 1, 0).reshape(value.shape[1], -1) for value in values])
    means = rows.mean(axis=(0, 2))
    spreads = np.sqrt(np.square(rows - means[None, :, None]).mean(axis=(0, 2)))
    return np.stack([(means - mean) / spread, spreads / spread])


def _channel_fits(calibration: Sequence[Array], run: Sequence[Array]) -> list[tuple[float, float]]:
    channels = range(calibration[0].shape[1])
    return [_statistics_fit([v[:, c] for v in calibration], [v[:, c] for v in run]) for c in channels]


def _statistics_fit(calibration: Sequence[Array], run: Sequence[Array]) -> tuple[float, float]:
    spread = _std(calibration)
    scale = _std(run) / spread if spread > 0 else 1.0
    return scale, _mean(run) - scale * _mean(calibration)


def _is_alike(scale: float, shift: float, spread: float, mean: float, is_exact: bool) -> bool:
    """Within what two draws of data differ by; of one and the same sample nothing but rounding may differ."""
    if is_exact:
        return abs(scale - 1) < 0.01 and abs(shift) < 0.01 * (spread or 1.0)
    moved = abs(mean * (scale - 1) + shift)
    return 1 / ALIKE_SCALE < scale < ALIKE_SCALE and moved < ALIKE_SHIFT * (spread or 1.0)


def _mean(values: Sequence[Array]) -> float:
    return float(np.mean([np.asarray(value, np.float64).mean() for value in values]))


def _std(values: Sequence[Array]) -> float:
    """Over all values of all samples together."""
    mean = _mean(values)
    return float(np.sqrt(np.mean([np.square(np.asarray(value, np.float64) - mean).mean() for value in values])))
