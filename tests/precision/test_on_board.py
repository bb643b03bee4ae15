"""Which board a build is run on, and what its samples are fed as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.emulator.rooms import soc_named
from harness.errors import InputError, UserError
from harness.precision.on_board import emulated_board
from harness.precision.pictures import pixels_of, write_pictures
from harness.precision.prepared import PreparedModel, prepare
from tests.precision import nets


def prepared(folder: Path, soc: str) -> PreparedModel:
    path, samples = nets.outlier_mobilenet(folder)
    return prepare(path, soc_named(soc), samples, {})


@pytest.mark.parametrize("soc", ["x3", "x5", "j6e", "t40"])
def test_the_board_of_a_chip_is_its_emulated_one(tmp_path: Path, soc: str) -> None:
    board = emulated_board("", prepared(tmp_path, soc))
    assert board is not None and (board.name, board.identity.soc) == (f"emu-{soc}", soc)


def test_another_chips_board_and_a_real_one_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = prepared(tmp_path, "x5")
    with pytest.raises(InputError, match="a board with j6e, not x5"):
        emulated_board("emu-j6e", subject)
    with pytest.raises(UserError, match="no board"):
        emulated_board("emu-x55", subject)
    (tmp_path / "hosts.yaml").write_text(
        "boards:\n  x5-01:\n    platform: hbdnn\n    soc: x5\n    address: 127.0.0.1\n    user: root\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="a real board takes no emulated build"):
        emulated_board("x5-01", subject)


def test_pixels_come_back_as_the_pixels_that_they_were(tmp_path: Path) -> None:
    subject = prepared(tmp_path, "t40")
    value = subject.feeds[0]["images"]
    pixels = pixels_of(value, subject)
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(pixels.transpose(2, 0, 1)[None] / np.float32(255), value, atol=1e-6)
    assert len(write_pictures(subject, tmp_path / "pictures")) == nets.SAMPLES
    for wrong in (value + np.float32(0.5 / 255), value * 2, -value, value[:, :2], value[0]):
        with pytest.raises(InputError, match="no pictures of 8 bits"):
            pixels_of(wrong, subject)
