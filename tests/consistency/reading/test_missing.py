"""Layers that have no dump: lost, where something speaks for a dump; coverage, where boards by nature leave none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import Policy, load_policy
from harness.consistency.reading.matching import Match, Matching
from harness.consistency.reading.missing import mark_missing
from harness.dumps.folders import read_dumps
from harness.platforms import load
from harness.records import Comparison, Dump, Gap, Layer
from harness.reference.open import Reference, ReferenceTensor, open_reference
from tests.support.nets import board_folder, quantized_reference

HBDNN = load("hbdnn")
LAYERS = ("relu1_out", "relu3_out", "maxpool4_out", "relu6_out", "relu8_out", "globalaveragepool9_out", "flatten10_out")


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("holes"))


def numbered(folder: Path, reference: Reference, without: Sequence[str] = (), on_cpu: bool = False) -> Path:
    """What infer leaves of the whole network: `layer-<i>-...` files, and the model's output."""
    folder.mkdir(parents=True)
    names = [*LAYERS, "logits"]
    for i, name in enumerate(names):
        data = np.ascontiguousarray(reference.tensors[name].load()).tobytes()
        files = {f"layer-{i}-bpu-net_subgraph_0-output-0-{name}.bin": data}
        if name == "logits":
            files[f"model_infer_output_0_{name}.bin"] = data
        if on_cpu and i:
            before = np.ascontiguousarray(reference.tensors[names[i - 1]].load()).tobytes()
            files[f"layer-{i}-bpu-net_subgraph_0-input-0-fed{i}.bin"] = before
        for file, content in files.items():
            if file not in without:
                (folder / file).write_bytes(content)
    return folder


def file_of(name: str) -> str:
    return f"layer-{[*LAYERS, 'logits'].index(name)}-bpu-net_subgraph_0-output-0-{name}.bin"


def judged(reference: Reference, folder: Path, policy: str = "", platform: bool = True) -> Comparison:
    dumps = read_dumps(folder, "hbdnn" if platform else "")
    gaps = HBDNN.gaps(dumps) if platform else None  # type: ignore[attr-defined]
    return compare(reference, dumps, CompareSettings(gaps=gaps, policy=load_policy(policy)))


def row(comparison: Comparison, name: str) -> Layer:
    return next(layer for layer in comparison.layers if layer.name == name)


def test_a_folder_that_holds_every_layer_misses_none(cnn: Reference, tmp_path: Path) -> None:
    comparison = judged(cnn, numbered(tmp_path / "dumps", cnn))
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent", 0)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_whose_number_is_missing_is_lost_and_the_comparison_incomplete(
    cnn: Reference, tmp_path: Path, name: str
) -> None:
    comparison = judged(cnn, numbered(tmp_path / "dumps", cnn, without=[file_of(name)]))
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("incomplete", 3)
    assert [layer.name for layer in comparison.layers if layer.reason == "missing"] == [name]
    number = LAYERS.index(name)
    assert f"layer-{number} is missing in the folder" in row(comparison, name).note
    assert comparison.verdict.detail.startswith("7 of 8 layers, all exact; ") and name in comparison.verdict.detail


@pytest.mark.parametrize("name", ["logits", "relu8_out"])
def test_what_a_missing_file_held_may_be_compared_all_the_same(cnn: Reference, tmp_path: Path, name: str) -> None:
    """As the model's own output, or as a later layer read it: then nothing is lost but a file."""
    folder = numbered(tmp_path / "dumps", cnn, without=[file_of(name)])
    data = np.ascontiguousarray(cnn.tensors[name].load()).tobytes()
    (folder / f"layer-7-Gemm-fc-input-0-{name}.bin").write_bytes(data)
    comparison = judged(cnn, folder)
    assert (comparison.verdict.word, comparison.coverage.layers_compared) == ("consistent", 8)


def test_a_layer_that_left_its_inputs_only_is_lost(cnn: Reference, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "dumps", cnn, without=[file_of("relu3_out")], on_cpu=True)
    assert row(judged(cnn, folder), "relu3_out").note == "layer-1 has its inputs but no output in the folder"


def test_an_output_of_the_network_is_never_left_out_in_silence(cnn: Reference, tmp_path: Path) -> None:
    folder = board_folder(tmp_path / "dumps", cnn, leave_out=("logits",))
    comparison = judged(cnn, folder, platform=False)
    assert comparison.verdict.exit_code == 3 and "it is a network output" in comparison.verdict.detail


def test_what_a_subgraph_keeps_to_itself_is_coverage(cnn: Reference, tmp_path: Path) -> None:
    """Only the ends of the accelerator's part are dumped, as most boards do: numbers without holes."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    for i, name in enumerate(("globalaveragepool9_out", "flatten10_out", "logits")):
        data = np.ascontiguousarray(cnn.tensors[name].load()).tobytes()
        (folder / f"layer-{i}-bpu-net_subgraph_{i}-output-0-{name}.bin").write_bytes(data)
    comparison = judged(cnn, folder)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent", 0)
    assert {layer.reason for layer in comparison.layers if layer.verdict == "not_compared"} == {"no_dump"}
    assert (comparison.coverage.layers_compared, comparison.coverage.layers_total) == (3, 8)


@pytest.mark.parametrize(("gone", "note"), [("relu1_out", "between ops of the same kinds"), ("sigmoid10_out", "")])
def test_without_numbers_a_layer_without_a_dump_is_coverage(tmp_path: Path, gone: str, note: str) -> None:
    """A runtime may have fused this one and not its like; that a like one has its dump is only said."""
    reference = quantized_reference("pyramid", tmp_path)
    comparison = judged(reference, board_folder(tmp_path / "dumps", reference, leave_out=(gone,)), platform=False)
    assert row(comparison, gone).reason == "no_dump" and note in row(comparison, gone).note
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent", 0)


def test_kinds_that_a_board_never_dumps_are_coverage(tmp_path: Path) -> None:
    reference = quantized_reference("transformer", tmp_path)
    views = tuple(t.name for t in reference.tensors.values() if t.op_kind in ("Reshape", "Transpose"))
    comparison = judged(reference, board_folder(tmp_path / "dumps", reference, leave_out=views), platform=False)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent", 0)


def test_a_policy_names_what_needs_no_dump(cnn: Reference, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "dumps", cnn, without=[file_of("relu3_out")])
    policy = tmp_path / "policy.yaml"
    policy.write_text("policy: ours\nextends: default\ncoverage:\n  optional: ['conv2']\n", encoding="utf-8")
    comparison = judged(cnn, folder, str(policy))
    assert comparison.verdict.exit_code == 0 and row(comparison, "relu3_out").reason == "no_dump"


@pytest.mark.parametrize(("minimum", "code"), [(37, 0), (38, 3), (100, 3)])
def test_a_minimum_of_coverage_is_a_gate(cnn: Reference, tmp_path: Path, minimum: int, code: int) -> None:
    wanted = ("relu8_out", "globalaveragepool9_out", "logits")
    folder = board_folder(tmp_path / "dumps", cnn, leave_out=tuple(n for n in LAYERS if n not in wanted))
    command = ["compare", str(tmp_path / "reference"), str(folder), "--min-coverage", str(minimum), "--json"]
    source = open_reference_folder(cnn)
    command[1] = str(source)
    result = CliRunner().invoke(cli, command)
    verdict = json.loads(result.stdout)["verdict"]
    assert (result.exit_code, verdict["exit_code"]) == (code, code), verdict
    if code:
        assert verdict["word"] == "incomplete" and f"coverage 37.5%, required {minimum}.0%" in verdict["detail"]


def open_reference_folder(reference: Reference) -> Path:
    return next(iter(reference.tensors.values())).path.parent


def test_the_pcs_own_list_of_layers_tells_what_is_lost_in_the_middle(tmp_path: Path) -> None:
    pc, board = tmp_path / "MAGIK_DATA_DUMP", tmp_path / "board"
    pc.mkdir()
    board.mkdir()
    names = ("411_Quantize", "414_Quantize", "427", "430", "1131")
    lines = [f"Log: Data dumping to:./MAGIK_DATA_DUMP/{name}.bin--->shape:[1,4,4,32]" for name in names]
    (tmp_path / "pc.log").write_text("\n".join(lines), encoding="utf-8")
    for name in names:
        (pc / f"{name}.bin").write_bytes(bytes(range(256)) * 2)
    for name in ("414_Quantize", "427", "1131"):  # the first is fused on the board
        (board / f"{name}_out.bin").write_bytes(bytes(range(256)) * 2)
    comparison = compare(open_reference(pc), read_dumps(board), CompareSettings(platform="magik"))
    assert {layer.name: layer.reason for layer in comparison.layers if layer.verdict == "not_compared"} == {
        "411_Quantize": "no_dump", "430": "missing",
    }  # fmt: skip
    assert (
        comparison.verdict.exit_code == 3
        and "the PC log lists it between layers with dumps" in comparison.verdict.detail
    )


def test_an_input_alone_is_no_comparison(cnn: Reference, tmp_path: Path) -> None:
    folder = board_folder(tmp_path / "dumps", cnn, leave_out=(*LAYERS, "logits"))
    comparison = judged(cnn, folder, platform=False)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("not_comparable", 3)
    assert "only network inputs were compared" in comparison.verdict.detail


def test_two_dumps_that_claim_one_layer_leave_it_open(cnn: Reference, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "dumps", cnn)
    (folder / "layer-1-bpu-net_subgraph_1-output-0-relu3_out.bin").write_bytes(b"\0")
    comparison = judged(cnn, folder)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("incomplete", 3)
    assert "relu3_out was not compared: its dump is ambiguous (several dumps match)" in comparison.verdict.detail


def test_a_difference_is_worse_than_a_missing_one(cnn: Reference, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "dumps", cnn, without=[file_of("relu6_out")])
    path = folder / file_of("relu3_out")
    path.write_bytes(bytes(x >> 1 for x in path.read_bytes()))
    assert judged(cnn, folder).verdict.exit_code == 1


def test_gaps_are_told_by_number(tmp_path: Path) -> None:
    for name in ("layer-2-bpu-s-output-1-b.bin", "layer-5-Softmax-t-input-0-b.bin", "layer-5-Softmax-t-output-0-c.bin"):
        (tmp_path / name).write_bytes(b"\0" * 4)
    assert HBDNN.gaps(read_dumps(tmp_path, "hbdnn")) == (  # type: ignore[attr-defined]
        Gap(0, 1, "layer-0 to layer-1 are missing in the folder, before layer-2", 2),
        Gap(3, 4, "layer-3 to layer-4 are missing in the folder, between layer-2 and layer-5", 2),
        Gap(2, 2, "layer-2 has no output 0 in the folder, but output 1"),
    )
    assert HBDNN.gaps(()) is None  # type: ignore[attr-defined]


def test_weights_beside_a_dump_that_is_gone_tell_of_it(tmp_path: Path) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    for folder, names in ((pc, ("12.bin", "15.bin")), (board, ("12_weight.bin", "12_bt.bin", "15_out.bin"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(bytes(range(64)))
    comparison = compare(open_reference(pc), read_dumps(board, "magik"), CompareSettings(platform="magik"))
    assert [layer.name for layer in comparison.layers if layer.reason == "missing"] == ["12"]
    assert comparison.verdict.exit_code == 3 and "as for every such dump" in comparison.verdict.detail


@pytest.mark.parametrize(("dumped", "reason"), [((), "no_dump"), (("_model_a",), "missing")])
def test_names_that_a_board_cannot_write_are_coverage(tmp_path: Path, dumped: tuple[str, ...], reason: str) -> None:
    pc, board = tmp_path / "pc", tmp_path / "board"
    names = ("12", "_model_a", "_model_b", "15")
    for folder in (pc, board):
        folder.mkdir()
    lines = [f"Log: Data dumping to:./MAGIK_DATA_DUMP/{name}.bin--->shape:[1,4,4,4]" for name in names]
    (tmp_path / "pc.log").write_text("\n".join(lines), encoding="utf-8")
    for name in names:
        (pc / f"{name}.bin").write_bytes(bytes(range(64)))
    for name in ("12", "15", *dumped):
        (board / f"{name}_out.bin").write_bytes(bytes(range(64)))
    comparison = compare(open_reference(pc), read_dumps(board, "magik"), CompareSettings(platform="magik"))
    assert row(comparison, "_model_b").reason == reason


# --------------------------------------------------------------------------- which tensors a gap speaks of


def lost(gaps: Sequence[Gap], *rows: tuple[int, int | None, str]) -> list[int]:
    """Orders of the tensors that are lost. A row: a tensor's order, its dump's layer number (None: no dump) and role.

    A dump of role "end" is the model's own output file, which has no layer.
    """
    matches = []
    for order, layer, role in rows:
        tensor = ReferenceTensor(f"t{order}", Path("t"), None, order=order)
        op = "" if role == "end" else f"op{layer}"
        dump = Dump(f"t{order}", Path("d"), op=op, role=role, index=-1 if layer is None else layer)
        matches.append(Match(tensor, None, reason="no_dump") if layer is None else Match(tensor, dump))
    result = mark_missing(Matching(tuple(matches), {}), Reference({}), None, ((), gaps), Policy("p", ()))
    return [row.tensor.order for row in result.rows if row.tensor and row.reason == "missing"]


def gap(layer: int, files: int = 1) -> Gap:
    return Gap(layer, layer, "told", files)


@pytest.mark.parametrize(("gone", "kept"), [(20, 21), (21, 20)])
def test_a_gap_lies_between_the_layers_around_it_not_beside_its_own_other_output(gone: int, kept: int) -> None:
    rows = [(10, 1, "output"), (gone, None, ""), (kept, 2, "output"), (30, 3, "output")]
    assert lost([gap(2)], *rows) == [gone]


def test_a_gap_says_nothing_of_tensors_outside_it() -> None:
    rows = [(5, None, ""), (10, 1, "output"), (20, None, ""), (30, 3, "output"), (35, None, "")]
    assert lost([gap(2)], *rows) == [20]


@pytest.mark.parametrize("role", ["input", "end"])
def test_a_gap_whose_file_came_another_way_says_nothing_of_what_else_lies_there(role: str) -> None:
    rows = [(10, 1, "output"), (20, 3, role), (21, None, ""), (30, 3, "output"), (40, None, ""), (50, 5, "output")]
    assert lost([gap(2), gap(4)], *rows) == [40]
    assert lost([gap(2, files=2), gap(4)], *rows) == [21, 40]


def test_inputs_that_make_up_for_every_missing_file_leave_nothing_missing() -> None:
    rows = [(10, 1, "output"), (20, None, ""), (30, 3, "output"), (40, 4, "input"), (50, 5, "output")]
    assert lost([gap(2)], *rows) == []
    assert lost([gap(2, files=2)], *rows) == [20]
