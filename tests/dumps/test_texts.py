"""Dumps that a board's script printed as text: numbers only are tensors, anything else is said to be unread."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.dumps.folders import read_dumps
from harness.dumps.texts import _numbers
from harness.errors import InputError

VALUES = np.random.default_rng(0).normal(size=(1, 4, 5, 3)).astype(np.float32)


def saved(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def lines(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return "\n".join(f"{value:.9e}" for value in values.reshape(-1))


FORMS = {
    "one a line": lines(VALUES),
    "a heading": "# conv1 1x4x5x3\n" + lines(VALUES),
    "rows": "\n".join(" ".join(f"{v:.9g}" for v in row) for row in VALUES.reshape(-1, 3)),
    "commas": ",\n".join(", ".join(f"{v:.9g}" for v in row) for row in VALUES.reshape(-1, 3)),
    "brackets": str(VALUES.reshape(-1).astype(float).tolist()),
}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_as_text_are_the_values(form: str, tmp_path: Path) -> None:
    saved(tmp_path / "board", "conv1.txt", FORMS[form])
    saved(tmp_path / "board", "log.txt", "start\n1 2 3\n")
    np.savez(tmp_path / "ref.npz", conv1=VALUES)
    (dump,) = read_dumps(tmp_path / "board")
    assert dump.name == "conv1" and np.array_equal(np.load(dump.path), VALUES.reshape(-1))
    words = ["compare", str(tmp_path / "ref.npz"), str(tmp_path / "board")]
    assert CliRunner().invoke(cli, words).exit_code == 0
    wrong = VALUES.copy()
    wrong[0, 2] = 0
    saved(tmp_path / "board", "conv1.txt", lines(wrong))
    np.savez(tmp_path / "other.npz", conv1=wrong + VALUES)
    assert CliRunner().invoke(cli, [*words[:1], str(tmp_path / "other.npz"), words[2]]).exit_code == 1


def test_whole_numbers_are_integers(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(-128, 128, 40)
    saved(tmp_path / "board", "q.txt", "\n".join(map(str, values)))
    np.savez(tmp_path / "ref.npz", q=values.astype(np.int8).reshape(1, 4, 10))
    (dump,) = read_dumps(tmp_path / "board")
    assert dump.spec is not None and dump.spec.dtype == "s32"
    assert CliRunner().invoke(cli, ["compare", str(tmp_path / "ref.npz"), str(tmp_path / "board")]).exit_code == 0


@pytest.mark.parametrize("text", ["", "1 2 ... 9", "0.5 0.25 x", "1 2 3\n" * 2000 + "end", "0x10 0x20", "1_000 2"])
def test_what_is_not_numbers_only_is_said_to_be_unread(text: str, tmp_path: Path) -> None:
    saved(tmp_path / "board", "model_infer_output_0_logits.txt", text)
    np.savez(tmp_path / "ref.npz", logits=VALUES)
    result = CliRunner().invoke(cli, ["compare", str(tmp_path / "ref.npz"), str(tmp_path / "board")])
    assert result.exit_code == 2 and "hold more than numbers" in result.stderr


def test_a_tool_that_also_prints_loses_no_file(tmp_path: Path) -> None:
    """Beside real dumps, text is not read."""
    saved(tmp_path / "board", "a.txt", "1 2 3")
    np.save(tmp_path / "board" / "a.npy", VALUES)
    (dump,) = read_dumps(tmp_path / "board")
    assert dump.path.suffix == ".npy" and dump.spec is not None and dump.spec.shape == VALUES.shape


@pytest.mark.parametrize("word", ["1" * 100_000 + "x", "1" * 401, "1." + "0" * 100_000 + "x"])
def test_a_long_word_is_no_number_and_takes_no_time(word: str, tmp_path: Path) -> None:
    saved(tmp_path / "board", "y.txt", "1 2 3 " * 2000 + word + " 4\n")
    begun = time.process_time()
    assert _numbers(tmp_path / "board" / "y.txt") is None
    assert time.process_time() - begun < 2


def test_two_texts_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("y.txt", "y.csv"):
        saved(tmp_path / "board", name, "1 2 3\n")
    with pytest.raises(InputError, match=r"y\.csv and y\.txt are tensors of one name"):
        read_dumps(tmp_path / "board")
