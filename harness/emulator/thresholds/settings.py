"""How ranges are chosen: the options of a toolchain's calibration, in the words that its configs use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

MAX, KL, MIX, DEFAULT = "max", "kl", "mix", "default"
METHODS = (MAX, KL, MIX, DEFAULT)
KL_BINS = 1024  # as the tool's own log says: `Select kl:num_bins=1024 method.`
USUAL_PERCENTILE = 0.99995  # of the same logs: `Select max-percentile:percentile=0.99995 method.`


@dataclass(frozen=True)
class CalibrationSettings:
    """`method` is one of METHODS; `percentile` is a share of the values and acts with `max` alone."""

    method: str = MAX
    percentile: float = 1.0
    per_channel: bool = False
    asymmetric: bool = False
    bias_correction: bool = False
    bins: int = KL_BINS

    @property
    def is_plain(self) -> bool:
        """Whether the largest value of each tensor is its range, and nothing else is changed."""
        return self == CalibrationSettings(bins=self.bins)

    @property
    def words(self) -> str:
        """As the tool's log names it: `max-percentile:percentile=0.9999,per_channel`."""
        method = self.method
        if method == MAX and self.percentile < 1:
            method = f"max-percentile:percentile={self.percentile:g}"
        elif method == KL:
            method = f"kl:num_bins={self.bins}"
        extra = [name for name in ("per_channel", "asymmetric", "bias_correction") if getattr(self, name)]
        return ",".join((method, *extra))


PLAIN_CALIBRATION = CalibrationSettings()


@dataclass(frozen=True)
class CalibratedRanges:
    """What quantizing needs of the samples.

    `channels`: float tensor -> largest |x| of each channel along axis 1, of tensors that are quantized by channel.
    `means`: float tensor -> mean of each channel that the products of its readers sum over.
    """

    ranges: Mapping[str, tuple[float, float]]
    settings: CalibrationSettings = PLAIN_CALIBRATION
    channels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    means: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def candidates(settings: CalibrationSettings) -> tuple[CalibrationSettings, ...]:
    """What `default` tries on the whole model: the methods that its logs name, each with and without channels."""
    plain = [
        replace(settings, method=MAX, percentile=1.0),
        replace(settings, method=MAX, percentile=USUAL_PERCENTILE),
        replace(settings, method=KL),
    ]
    return tuple(replace(one, per_channel=by_channel) for one in plain for by_channel in (False, True))
