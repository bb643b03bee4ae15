"""Symptoms A to D of the vendor's guide, and what else Ingenic's files show, as findings with evidence and steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.consistency.reading.pairs import NIBBLE_NOTE
from harness.diagnosis.plan import Plan, join, read_build
from harness.emulator.magik.build_log import COLUMNS, NAME_COLUMNS
from harness.records import Comparison, Coverage, Layer, Verdict
from harness.toolchains import read_any
from harness.toolchains.curves import Curve, symptom
from tests.records.kit import find
from tests.support.magik_texts import MAGIK, captured

RUN: dict[str, Any] = {"board": {"platform": "magik"}, "case": {}, "notes": [], "memory": {}}


def table(cosines: Sequence[float], kind: str = "ptq_model") -> str:
    """A cosine table as the transform tool prints it."""
    lines = [f"<<<<<<<<<<<< {kind}_compute_distance >>>>>>>>>>>>", "Compute distance: 100.00 %"]
    lines.append("feature name".ljust(NAME_COLUMNS) + " ".join(COLUMNS))
    for i, cosine in enumerate(cosines):
        figures = [cosine, cosine - 0.001, cosine, 0.05, 0.01, 0.6, 4.6]
        lines.append(f"layer_{i}_fwd".ljust(NAME_COLUMNS + 1) + "    ".join(f"{value:.5f}" for value in figures))
    return "\n".join(lines) + "\n"


def plan_of(tmp_path: Path, cosines: Sequence[float]) -> Plan | None:
    path = tmp_path / "magik_transform.log"
    path.write_text(table(cosines))
    return join(read_build([path]), None, None)


def comparison(word: str, layers: Sequence[Layer] = ()) -> Comparison:
    return Comparison(Verdict(word, "first in file order: c2", 1), Coverage(9, 9, 9, 9), tuple(layers))


def findings_of(tmp_path: Path, cosines: Sequence[float], word: str = "consistent") -> dict[str, Any]:
    findings = find(RUN, None, comparison(word), plan_of(tmp_path, cosines))
    return {one.rule: one for one in findings if one.rule.startswith("M-")}


FINE = [0.9999] * 20


def test_symptom_a_is_a_low_first_layer_whatever_follows(tmp_path: Path) -> None:
    shown = findings_of(tmp_path, [0.97, *FINE])
    assert set(shown) == {"M-601"}
    assert shown["M-601"].subject == "layer_0_fwd" and "0.97000" in shown["M-601"].evidence
    assert shown["M-601"].advice.index("RGB or BGR") < shown["M-601"].advice.index("mean and var")


def test_symptom_b_falls_from_one_layer_on(tmp_path: Path) -> None:
    shown = findings_of(tmp_path, [*FINE[:8], *[0.97 - 0.005 * i for i in range(12)]])
    assert set(shown) == {"M-602"}
    assert shown["M-602"].subject == "layer_8_fwd" and "layer_19_fwd" in shown["M-602"].evidence
    steps = [shown["M-602"].advice.index(word) for word in ("feature_quantize_bits", "skip_node_quant", "float_model")]
    assert steps == sorted(steps)


def test_symptom_c_is_in_the_last_layers_only(tmp_path: Path) -> None:
    shown = findings_of(tmp_path, [*FINE, 0.96, 0.95])
    assert set(shown) == {"M-603"}
    steps = [shown["M-603"].advice.index(word) for word in ("weight_fake_quant", "bias_corr", "bit width")]
    assert steps == sorted(steps)


def test_symptom_d_is_fine_on_the_pc_and_wrong_on_the_board(tmp_path: Path) -> None:
    assert set(findings_of(tmp_path, FINE)) == set()
    shown = findings_of(tmp_path, FINE, "diverges")
    assert set(shown) == {"M-604"}
    assert "c2" in shown["M-604"].evidence and "input_uint8.bin" in shown["M-604"].advice


@pytest.mark.parametrize(
    ("cosines", "letter"),
    [
        ([0.98999], "A"),
        ([0.99], ""),
        ([0.99, 0.985, 0.995], ""),
        ([*FINE, 0.949], "C"),
        ([*FINE[:10], 0.9, *FINE[:10]], ""),
        ([*FINE[:10], 0.9, *FINE[:10], 0.949], "B"),
    ],
)
def test_the_limits_are_the_guides(cosines: list[float], letter: str) -> None:
    assert symptom(Curve(tuple(f"l{i}" for i in range(len(cosines))), tuple(cosines))) == letter


def test_the_real_cosine_table_is_read_and_shows_no_symptom() -> None:
    captured("pc_ptq_cosine_table_resnet18.txt")
    path = MAGIK / "pc_ptq_cosine_table_resnet18.txt"
    artifact = read_any(path)
    assert artifact is not None and artifact.kind == "magik_transform_log" and artifact.problems == ()
    assert artifact.versions == {"magik executor": "2.1.0"}
    assert (len(artifact.nodes), artifact.nodes[0].name, artifact.nodes[0].cosine) == (
        32,
        "resnetv15_relu0_fwd",
        0.99991,
    )
    low = min(artifact.similarities, key=lambda row: row.metrics["cosine"])
    assert low.name == "resnetv15_stage4_relu1_fwd"
    assert low.metrics == {
        "cosine": 0.97508, "cosine_min": 0.93132, "cosine_max": 0.98232, "euclid": 0.11535, "deviation": 0.01769,
        "max_abs": 0.50291, "max_abs_normalised": 6.46273,
    }  # fmt: skip
    plan = join(read_build([path]), None, None)
    assert not [one for one in find(RUN, None, comparison("consistent"), plan) if one.rule.startswith("M-6")]


def test_the_real_log_lines_are_messages_with_their_meaning() -> None:
    captured("pc_transform_log_snippets.txt")
    artifact = read_any(MAGIK / "pc_transform_log_snippets.txt")
    assert artifact is not None and artifact.finished is False
    assert artifact.versions["magik-transform-tools"] == "1.0.0"
    errors = [message for message in artifact.messages if message.severity == "error"]
    assert [message.text for message in errors] == ["Invalid json"] and "harness lint" in errors[0].meaning


def test_the_real_dump_log_tells_shapes() -> None:
    captured("pc_dump_log_ptq_yolov5s.head.txt")
    artifact = read_any(MAGIK / "pc_dump_log_ptq_yolov5s.head.txt")
    assert artifact is not None and artifact.facts["files"] == 51
    assert artifact.facts["shapes"]["411_Quantize.bin"] == [1, 192, 320, 12]


def test_a_log_with_all_three_tables_keeps_them_apart(tmp_path: Path) -> None:
    kinds = ("ptq_model", "feature_fake_quant", "weight_fake_quant")
    path = tmp_path / "t.log"
    path.write_text("".join(table([0.99, 0.98], kind) for kind in kinds) + "^_^ Convert successfully, Enjoy it ^_^\n")
    artifact = read_any(path)
    assert artifact is not None and artifact.finished is True
    assert [row.kind for row in artifact.similarities] == [kind for kind in kinds for _ in range(2)]
    assert len(artifact.nodes) == 2


def test_damaged_rows_are_counted_and_never_read(tmp_path: Path) -> None:
    text = table(FINE)
    path = tmp_path / "t.log"
    path.write_text(text.replace("0.99990    0.99890", "0.9999 0.99890", 1))
    artifact = read_any(path)
    assert artifact is not None and len(artifact.nodes) == 19
    assert "1 rows" in artifact.problems[0]


# --------------------------------------------------------------------------- the board's own files


def rules(run: dict[str, Any], compared: Comparison | None = None) -> dict[str, str]:
    return {one.rule: one.evidence for one in find(RUN | run, None, compared)}


def test_another_input_than_the_pcs_is_told_with_both_md5() -> None:
    reference = {"name": "d", "kind": "folder", "inputs": {"input_data_shape_1_2_2_3.bin": "aa"}}
    case = {"inputs": [{"name": "x_1_2_2_3.bin", "md5": "bb"}], "reference": reference}
    assert "bb" in rules({"case": case})["M-501"] and "aa" in rules({"case": case})["M-501"]
    same = {**case, "inputs": [{"name": "x_1_2_2_3.bin", "md5": "aa"}]}
    assert "M-501" not in rules({"case": same})


def test_packing_versions_stale_bytes_names_and_memory_have_their_findings() -> None:
    layer = Layer(0, "414_Quantize", "", "", "exact", note=NIBBLE_NOTE)
    shown = rules(
        {
            "notes": [
                "release: version skew: the soc-nna driver is too old to tell its version; venus asks to upgrade it",
                "release: version skew: the library is for NNA1, the model for NNA2",
                "nmem: nmem_memory.txt: stale or truncated: '###'",
                "debug: not dumped, names with a slash or too long:  a/b_out.bin",
            ],
            "memory": {"nmem": {"total_bytes": 1000 * 1024, "peak_bytes": 950 * 1024}},
        },
        comparison("consistent", [layer]),
    )
    assert {"M-502", "M-503", "M-504", "M-505", "M-506", "E-101"} <= set(shown)
    assert "95%" in shown["M-505"] and "NNA2" in shown["E-101"]


def test_nothing_of_this_is_said_of_other_boards() -> None:
    run = {"board": {"platform": "hbdnn"}, "notes": ["x: version skew: y"], "memory": {"nmem": {"total_bytes": 1}}}
    assert not [rule for rule in rules(run) if rule.startswith("M-")]


def test_a_folder_of_dumps_is_inspected_with_what_its_log_tells(tmp_path: Path) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    for folder, names in ((pc, ["414.bin", "input_data_shape_1_2_2_3.bin"]), (board, ["414_out.bin", "414_bt.bin"])):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(bytes(12))
    (pc / "log.txt").write_text("Log: Data dumping to:./MAGIK_DATA_DUMP/414.bin--->shape:[1,2,2,3]\n")
    of_pc = read_any(pc)
    assert of_pc is not None and of_pc.kind == "magik_pc_dumps" and of_pc.facts["tensors"]["414"] == "u8 [1, 2, 2, 3]"
    assert (of_pc.facts["output"], of_pc.facts["input"]) == (1, 1)
    of_board = read_any(board)
    assert of_board is not None and of_board.kind == "magik_board_dumps" and of_board.facts["parameter"] == 1
