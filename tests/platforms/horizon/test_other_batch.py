"""A reference of another batch size is refused with both numbers of frames."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.platforms.horizon.inputs import reference_feed
from harness.records import ModelInfo, TensorSpec


@pytest.mark.parametrize(("wanted", "says"), [((1, 3, 2, 2), True), ((1, 2, 2, 3), True), ((4, 3, 2, 5), False)])
def test_frames_are_counted_on_both_sides(wanted: tuple[int, ...], says: bool) -> None:
    info = ModelInfo("m", inputs=(TensorSpec("x", "f32", (4, 3, 2, 2), "NCHW"),))
    with pytest.raises(InputError) as caught:
        reference_feed(info, TensorSpec("x", "f32", wanted), bytes(4 * 4 * 12))
    assert ("takes 4 frames, the reference 1" in caught.value.hint) is says
