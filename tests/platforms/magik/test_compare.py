"""`harness compare MAGIK_DATA_DUMP board_dumps` on two plain folders: equal, unequal, no partner, origin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.pairs import NIBBLE_NOTE
from harness.dumps.folders import read_dumps, recognise
from harness.platforms import load
from harness.platforms.magik.dumps import natural, storages
from harness.records import Comparison, Layer, TensorSpec
from harness.reference.open import open_reference

MAGIK = load("magik")
SHAPES = {"411_Quantize": (1, 8, 8, 12), "414_Quantize": (1, 8, 8, 32), "427": (1, 8, 8, 32), "1131": (1, 4, 4, 18)}


def pc_folder(folder: Path, log: bool = True, dtype: str = "u1") -> dict[str, np.ndarray]:
    """MAGIK_DATA_DUMP as magik_executor leaves it, and its log beside it."""
    folder.mkdir()
    source = np.random.default_rng(3)
    values = {name: source.integers(0, 255, shape).astype(dtype) for name, shape in SHAPES.items()}
    for name, value in values.items():
        (folder / f"{name}.bin").write_bytes(value.tobytes())
    (folder / "input_data_shape_1_8_8_3.bin").write_bytes(bytes(192))
    lines = [f"./MAGIK_DATA_DUMP/{name}.bin--->shape:[{','.join(map(str, s))}]" for name, s in SHAPES.items()]
    if log:
        text = "".join(f"\033[1m\033[32mLog: Data dumping to:{line}\033[0m\n" for line in lines)
        (folder.parent / "pc.log").write_text(text)
    return values


def board_folder(folder: Path, values: dict[str, np.ndarray]) -> None:
    folder.mkdir()
    for name, value in values.items():
        (folder / f"{name}_out.bin").write_bytes(value.tobytes())
        if name.endswith("Quantize"):
            (folder / f"{name}_weight.bin").write_bytes(b"w" * 9)
            (folder / f"{name}_bt.bin").write_bytes(b"b" * 9)


def compared(pc: Path, board: Path) -> Comparison:
    settings = CompareSettings(storages=MAGIK.storages, platform="magik")
    return compare(open_reference(pc), read_dumps(board), settings)


def rows(comparison: Comparison) -> dict[str, Layer]:
    return {layer.name: layer for layer in comparison.layers}


def test_tensors_whose_own_names_end_in_out_meet_their_partners(tmp_path: Path) -> None:
    """`conv_out.bin` of the PC is no board's dump of `conv`: the executor's log names it whole."""
    values = {"conv_out": np.arange(192, dtype="u1").reshape(1, 8, 8, 3), "relu_out": np.ones((1, 8, 8, 3), "u1")}
    pc, board = tmp_path / "pc", tmp_path / "board"
    pc.mkdir()
    board_folder(board, values)
    for name, value in values.items():
        (pc / f"{name}.bin").write_bytes(value.tobytes())
    lines = [f"Log: Data dumping to:./MAGIK_DATA_DUMP/{name}.bin--->shape:[1,8,8,3]\n" for name in values]
    (pc / "executor.log").write_text("".join(lines), encoding="utf-8")
    assert {name: row.verdict for name, row in rows(compared(pc, board)).items()} == dict.fromkeys(values, "exact")


def test_a_boards_folder_beside_the_executors_log_stays_a_boards(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    board_folder(tmp_path / "board", values)
    assert {dump.name for dump in read_dumps(tmp_path / "board") if dump.role == "output"} == set(values)


def test_equal_layers_partners_and_strays_are_told_apart(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    del values["411_Quantize"]  # fused on the board
    values["555"] = values["427"]
    board_folder(tmp_path / "board", values)
    assert recognise(tmp_path / "board") == "magik" and recognise(tmp_path / "pc") == "magik"
    comparison = compared(tmp_path / "pc", tmp_path / "board")
    assert comparison.verdict.word == "consistent"
    assert {name: row.verdict for name, row in rows(comparison).items()} == {
        "411_Quantize": "not_compared", "414_Quantize": "exact", "427": "exact", "1131": "exact", "555": "not_compared",
    }  # fmt: skip
    assert rows(comparison)["411_Quantize"].reason == "no_dump" and rows(comparison)["555"].reason == "no_reference"
    assert any("2 dumps of weights" in note for note in comparison.notes)
    assert rows(comparison)["414_Quantize"].file_md5_board == rows(comparison)["414_Quantize"].file_md5_reference


def test_the_first_unequal_layer_of_the_log_is_the_origin_in_sequence_mode(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    for name in ("427", "1131"):
        values[name] = values[name] ^ 1
    board_folder(tmp_path / "board", values)
    comparison = compared(tmp_path / "pc", tmp_path / "board")
    assert comparison.verdict.word == "diverges" and comparison.verdict.exit_code == 1
    assert [origin.tensor for origin in comparison.origins] == ["427"]
    assert comparison.origins[0].how == "sequence" and comparison.graph_source == ""
    assert any("no graph" in note for note in comparison.notes)
    assert rows(comparison)["414_Quantize"].verdict == "exact"


@pytest.mark.parametrize("log", [True, False])
def test_names_that_the_pc_sanitised_find_their_raw_twins(tmp_path: Path, log: bool) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    pc_folder(pc, log)
    (pc / "data_Batch_Norm.bin").write_bytes(bytes(range(64)))
    board_folder(board, {})
    (board / "data:Batch Norm_out.bin").write_bytes(bytes(range(64)))
    comparison = compared(pc, board)
    assert rows(comparison)["data_Batch_Norm"].verdict == "exact"
    assert rows(comparison)["data_Batch_Norm"].match == "rule"


@pytest.mark.parametrize("log", [True, False])
def test_four_bit_layers_in_the_other_order_of_halves_are_equal_and_said_so(tmp_path: Path, log: bool) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    pc_folder(pc, log)
    elements = np.random.default_rng(0).integers(0, 16, 8 * 8 * 32, dtype=np.uint8)
    (pc / "414_Quantize.bin").write_bytes(((elements[::2] << 4) | elements[1::2]).tobytes())  # executor: high first
    board.mkdir()
    (board / "414_Quantize_out.bin").write_bytes(((elements[1::2] << 4) | elements[::2]).tobytes())  # board: low first
    row = rows(compared(pc, board))["414_Quantize"]
    assert row.verdict == "exact"
    assert (row.dtype == "u4") is log
    assert (NIBBLE_NOTE in row.note) is not log  # with a type the two orders are read as what they are


def test_two_tools_of_one_order_are_equal_with_a_note_that_says_so(tmp_path: Path) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    pc_folder(pc)
    packed = np.random.default_rng(0).integers(0, 256, 8 * 8 * 16, dtype=np.uint8).tobytes()
    for path in (pc / "414_Quantize.bin", board / "414_Quantize_out.bin"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(packed)
    row = rows(compared(pc, board))["414_Quantize"]
    assert row.verdict == "exact" and row.dtype == "u4" and NIBBLE_NOTE in row.note


def test_a_last_layer_padded_to_32_channels_is_compared_without_its_padding(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    padded = np.full((1, 4, 4, 32), 99, np.uint8)
    padded[..., :18] = values["1131"]
    board_folder(tmp_path / "board", values | {"1131": padded})
    row = rows(compared(tmp_path / "pc", tmp_path / "board"))["1131"]
    assert row.verdict == "exact" and row.shape == (1, 4, 4, 18)


@pytest.mark.parametrize(("dtype", "name"), [("<u2", "u16"), ("<f4", "f32")])
def test_wider_types_are_told_by_the_size(tmp_path: Path, dtype: str, name: str) -> None:
    values = pc_folder(tmp_path / "pc", dtype=dtype)
    board_folder(tmp_path / "board", values)
    row = rows(compared(tmp_path / "pc", tmp_path / "board"))["427"]
    assert (row.verdict, row.dtype) == ("exact", name)


def test_a_cut_dump_is_not_compared_and_never_equal(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    board_folder(tmp_path / "board", values)
    path = tmp_path / "board" / "427_out.bin"
    path.write_bytes(path.read_bytes()[:-100])
    comparison = compared(tmp_path / "pc", tmp_path / "board")
    assert rows(comparison)["427"].verdict == "not_compared" and rows(comparison)["427"].reason == "truncated"
    assert comparison.verdict.exit_code == 3


def test_the_command_line_names_equal_unequal_partnerless_and_origin(tmp_path: Path) -> None:
    values = pc_folder(tmp_path / "pc")
    values["427"] = values["427"] ^ 4
    del values["411_Quantize"]
    board_folder(tmp_path / "board", values)
    result = CliRunner().invoke(cli, ["compare", str(tmp_path / "pc"), str(tmp_path / "board")])
    assert result.exit_code == 1
    for word in ("427", "no_dump", "411_Quantize", "first in file order", "no graph"):
        assert word in result.stdout, result.stdout


def test_numbers_in_names_are_sorted_as_numbers() -> None:
    assert sorted(["1131", "414_Quantize", "432_1", "432_0", "layer_10", "layer_9"], key=natural) == [
        "414_Quantize", "432_0", "432_1", "1131", "layer_9", "layer_10",
    ]  # fmt: skip


def test_a_channels_first_reference_lies_channels_last_on_the_board() -> None:
    ways = storages(TensorSpec("x", "s8", (1, 18, 4, 6), "NCHW"))
    assert (ways[0].shape, ways[0].layout) == ((1, 4, 6, 18), "NHWC")
    assert ways[1].aligned_shape == (1, 4, 6, 32)
    assert ways[2].layout == "NDHWC32"
