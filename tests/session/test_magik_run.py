"""The main job on the emulated T40 and T41: four modes, one report; and faults that each end in the right finding.

The boards are a busybox root behind a real dropbear where this PC can make one, else a plain folder.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.boards.connect import open_board
from harness.cli import cli
from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.magik import board as magik_board
from harness.emulator.magik import printing
from harness.emulator.magik.model import MagikModel
from harness.emulator.magik.pc_dump import write_pc_dump
from harness.emulator.magik.socs import SOCS
from harness.emulator.model.faults import parse_faults
from harness.emulator.rooms import soc_named
from harness.emulator.servers import jail
from harness.platforms import load
from harness.records import Case, Emulated
from harness.records.boards import SERVED
from harness.review.case_reference import CaseReference
from harness.session import run_case
from tests.cli.answers import answer_of
from tests.support.emulator_kit import branched_model, save
from tests.support.kept import kept_folder

NAME = "input_data_shape_1_16_20_3.bin"


@cache
def model(soc: str = "t40") -> Path:
    """The branched model as a magik.bin, with its input and MAGIK_DATA_DUMP beside it."""
    folder = kept_folder("harness-magik-")
    compiled = build([save(folder, branched_model())], BuildOptions(soc_named(soc)), folder / "net.bin").output
    pixels = np.random.default_rng(7).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    (folder / NAME).write_bytes(pixels.tobytes())
    write_pc_dump(compiled, folder / NAME, folder / "MAGIK_DATA_DUMP")
    return compiled


def run(tmp_path: Path, *more: str, soc: str = "t40", reference: str = "", expect: int = 0) -> dict[str, Any]:
    compiled = model(soc)
    against = reference or str(compiled.parent / "MAGIK_DATA_DUMP")
    result = invoke(
        "run", str(compiled), "--board", f"emu-{soc}", "--input", str(compiled.parent / NAME),
        "--reference", against, "--runs", str(tmp_path / "runs"), *more,
    )  # fmt: skip
    assert result.exit_code == expect, result.output
    record = next((tmp_path / "runs").rglob("run.json"))
    return dict(json.loads(record.read_text()), folder=record.parent, output=result.output)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def rules(record: dict[str, Any]) -> dict[str, str]:
    return {finding["rule"]: finding["evidence"] for finding in record["findings"]}


def failure(record: dict[str, Any], mode: str) -> dict[str, Any]:
    failure_record = next(row["failure"] for row in record["modes"] if row["mode"] == mode)
    assert isinstance(failure_record, dict)
    return failure_record


# --------------------------------------------------------------------------- the main job


@pytest.mark.slow
@pytest.mark.parametrize("soc", sorted(SOCS))
def test_one_command_runs_the_four_modes_and_gives_one_report(tmp_path: Path, soc: str) -> None:
    record = run(tmp_path, soc=soc)
    assert [row["mode"] for row in record["modes"]] == ["info", "release", "debug", "profile", "nmem"]
    assert all(row["failure"] is None for row in record["modes"])
    assert record["verdict"]["word"] == "consistent"
    layers = record["comparison"]["layers"]
    assert len(layers) == 13 and all(row["verdict"] == "exact" for row in layers)
    assert all(row["file_md5_board"] == row["file_md5_reference"] for row in layers)
    assert record["comparison"]["graph_source"] == ""  # two folders of dumps: the order of the log
    ops = record["profile"]["ops"]
    assert len(ops) == 13 and ops[0]["kind"] == "Convolution" and ops[0]["unit"] == "NNA" and ops[0]["estimated"]
    assert ops[0]["figures"]["gops"] >= 0 and ops[0]["figures"]["bytes"] > 0
    memory = record["memory"]["nmem"]
    assert 0 < memory["peak_bytes"] < memory["total_bytes"]
    assert record["versions"]["nna"] == soc_named(soc).march.upper()
    assert record["versions"]["nmem"] == {"t40": "131072K", "t41": "16384K"}[soc]
    assert any(note.startswith("release: 2 boxes") for note in record["notes"])
    page = (record["folder"] / "report.html").read_text()
    assert "layer" in page and "MAGIK_DATA_DUMP" in page


@pytest.mark.slow
def test_a_quantized_onnx_is_a_reference_with_a_graph(tmp_path: Path) -> None:
    onnx = str(model().with_name("net_quantized_model.onnx"))
    record = run(tmp_path, "--mode", "debug", "--fault", "halved@conv2", reference=onnx, expect=1)
    origins = record["comparison"]["origins"]
    assert [(o["op"], o["tensor"], o["how"]) for o in origins] == [("conv2", "c2", "isolated")] or origins[0][
        "op"
    ] == "conv2"
    assert record["comparison"]["graph_source"]


@pytest.mark.slow
def test_the_executors_dump_beside_the_model_is_the_reference_of_its_own_input(tmp_path: Path) -> None:
    source = model().parent
    shutil.copytree(source / "MAGIK_DATA_DUMP", tmp_path / "MAGIK_DATA_DUMP")
    for name in ("net.bin", NAME):
        shutil.copy(source / name, tmp_path / name)
    argv = ["run", str(tmp_path / "net.bin"), "--board", "emu-t40", "--mode", "debug", "--wait", "120"]
    argv += ["--runs", str(tmp_path / "runs")]
    right = invoke(*argv, "--input", str(tmp_path / NAME))
    assert right.exit_code == 0 and right.output.startswith("verdict   Consistent"), right.output
    assert "beside the model, by their folder: reference MAGIK_DATA_DUMP" in right.output
    (tmp_path / NAME).write_bytes(bytes(16 * 20 * 3))
    for more in ((), ("--input", str(tmp_path / NAME))):
        other = invoke(*argv, *more)
        assert "Measured, not compared" in other.output.splitlines()[0], other.output
        assert "left out: stage reference: MAGIK_DATA_DUMP: made with " in " ".join(other.output.split())


@pytest.mark.slow
def test_samples_run_in_debug_mode_which_alone_leaves_outputs(tmp_path: Path) -> None:
    compiled = model()
    (tmp_path / "samples").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (1, 16, 20, 3), dtype=np.uint8)
        np.save(tmp_path / "samples" / f"f{number}.npy", pixels)
    argv = ["run", str(compiled), "--board", "emu-t40", "--samples", str(tmp_path / "samples"), "--mode", "debug"]
    result = invoke(*argv, "--wait", "120", "--fault", "halved@conv4", "--runs", str(tmp_path / "runs"))
    assert result.exit_code == 1, result.output
    assert "the board agrees with the quantized model on 0 of 3" in " ".join(result.output.split()[:60])
    (file,) = (tmp_path / "runs").rglob("run.json")
    samples = json.loads(file.read_text())["samples"]
    c4 = next(one for one in samples["outputs"] if one["name"] == "c4")
    assert [c4[word] for word in ("exact", "within", "differs", "not_compared")] == [0, 0, 3, 0]
    kept = [path.name for path in (file.parent / "samples").rglob("*_out.bin")]
    assert kept and not [name for name in kept if name.startswith("c2")]  # no output, nor of an output's size


def test_without_an_input_seeded_noise_of_the_models_shape_is_fed_and_said(tmp_path: Path) -> None:
    result = invoke("run", str(model()), "--board", "emu-t40", "--mode", "debug", "--runs", str(tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads(next(tmp_path.rglob("run.json")).read_text())
    assert any("seeded noise" in note for note in record["notes"])
    assert record["modes"][1]["command"][-1] == NAME


@pytest.mark.parametrize("version", ["0.8.9", *(pytest.param(v, marks=pytest.mark.slow) for v in ("0.9.0", "0.9.3"))])
def test_older_runtimes_print_their_own_layout_and_are_read(version: str) -> None:
    with open_board(magik_board.BOARDS[0]) as (board, transport):
        program = board.identity.options["board_program"].replace("{mode}", "profile")
        root = magik_board.root_of("t40" if not jail.lacking() else "t40-plain")
        (root / "tmp").mkdir(exist_ok=True)
        (root / "tmp" / "m.bin").write_bytes(model().read_bytes())
        (root / "tmp" / NAME).write_bytes((model().parent / NAME).read_bytes())
        where = "/tmp" if not jail.lacking() else str(root / "tmp")
        line = f"cd {where} && HARNESS_EMULATOR_RUNTIME={version} {program} m.bin {NAME}"
        result = transport.run(["sh", "-c", line], timeout_s=60)
    from harness.platforms.magik.profile import read_profile

    tables = read_profile(result.out.decode())
    assert tables.layout == {"0.8.9": "0.8"}.get(version, version)
    assert len(tables.rows) == 13 and tables.problems == (), result.out.decode()
    assert tables.layout in printing.LAYOUTS


@pytest.mark.skipif(bool(jail.lacking()), reason=f"no root of its own for a board here: {jail.lacking()}")
def test_the_login_sees_busybox_and_neither_python_nor_bash_nor_sftp() -> None:
    with open_board(magik_board.BOARDS[0]) as (_, transport):
        for name in ("python3", "python", "bash", "sftp-server", "perl"):
            assert transport.run(["sh", "-c", f"command -v {name}"], timeout_s=20).code != 0, name
        assert b"BusyBox" in transport.run(["busybox"], timeout_s=20).out
        assert transport.run(["cat", "/proc/cmdline"], timeout_s=20).out.startswith(b"console=ttyS1")
        assert transport.run(["ls", "/work"], timeout_s=20).code != 0
        assert b"dropbear" not in transport.run(["ls", "/usr/bin"], timeout_s=20).out
        # its mounts are its own: whoever deletes the root on this PC deletes no /proc
        assert str(magik_board.root_of("t40")) not in Path("/proc/mounts").read_text()


@pytest.mark.slow
def test_a_second_run_pushes_nothing_again(tmp_path: Path) -> None:
    run(tmp_path / "a", "--mode", "debug")
    record = run(tmp_path / "b", "--mode", "debug")
    assert sum(row["sent_bytes"] for row in record["pushed"]) == 0


# --------------------------------------------------------------------------- faults


def test_one_wrong_layer_is_named_first_in_file_order(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "debug", "--fault", "off_by_one@conv2", expect=1)
    assert record["comparison"]["origins"][0]["tensor"] == "c2"
    assert record["comparison"]["origins"][0]["how"] == "sequence"
    assert record["comparison"]["first_difference"] == "c2"


def test_features_are_unsigned_with_zero_point_0_where_nothing_is_negative() -> None:
    tensors = {tensor.name: tensor.spec for tensor in MagikModel(model()).model.tensors}
    quantized = [spec for spec in tensors.values() if spec.quantization is not None]
    assert len(quantized) > 10 and {spec.dtype for spec in quantized} == {"u8"}
    zeros = {name: spec.quantization.zero_points for name, spec in tensors.items() if spec.quantization is not None}
    assert zeros["r1"] == zeros["s3"] == (0,)  # behind Relu and Softmax
    assert 0 < zeros["c2"][0] < 255


@pytest.mark.parametrize("kind", ["zero_point", "shift", "scale", "saturation", "rounding"])
def test_kinds_are_named_from_dumps_without_types(tmp_path: Path, kind: str) -> None:
    compiled = model()
    opened = MagikModel(compiled)
    faults = parse_faults(f"{kind}@conv2", opened.model)
    values = opened.values((compiled.parent / NAME).read_bytes(), faults, debug=True)
    for name, content in opened.dump(values).items():
        (tmp_path / f"{name}_out.bin").write_bytes(content)
    result = invoke("compare", str(compiled.parent / "MAGIK_DATA_DUMP"), str(tmp_path), "--json")
    assert result.exit_code == 1, result.output
    origins = json.loads(result.stdout)["origins"]
    assert [(one["tensor"], one["fingerprint"]["kind"]) for one in origins] == [("c2", kind)]


def test_the_files_of_a_dump_are_an_answer(tmp_path: Path) -> None:
    compiled = model()
    result = invoke("emulator", "dump", str(compiled), str(compiled.parent / NAME), "-o", str(tmp_path), "--json")
    files = answer_of(result.stdout, "emulator-dump")["files"]
    assert files and all(Path(name).is_file() for name in files)


def test_another_letterbox_on_the_board_differs_from_the_first_op_on(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "debug", "--fault", "letterbox@x", expect=1)
    assert "C-102" in rules(record)


def fed_with(tmp_path: Path, pixels: Any) -> dict[str, Any]:
    """A run that was fed with other pixels than the PC's dumps were made from."""
    other = tmp_path / NAME
    other.write_bytes(pixels.astype(np.uint8).tobytes())
    compiled = model()
    result = invoke(
        "run", str(compiled), "--board", "emu-t40", "--input", str(other), "--mode", "debug",
        "--reference", str(compiled.parent / "MAGIK_DATA_DUMP"), "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    return dict(json.loads(next((tmp_path / "runs").rglob("run.json")).read_text()))


def own_pixels() -> Any:
    return np.frombuffer((model().parent / NAME).read_bytes(), np.uint8).reshape(16, 20, 3)


def test_pixels_in_another_order_are_the_input_and_no_layer(tmp_path: Path) -> None:
    record = fed_with(tmp_path, own_pixels()[..., ::-1])
    (origin,) = record["comparison"]["origins"]
    assert (origin["op_kind"], origin["fingerprint"]["kind"]) == ("input", "preprocessing")
    assert "channels in reverse order" in origin["fingerprint"]["evidence"]
    assert record["verdict"]["detail"].startswith(f"the board's input {NAME[:-4]} differs from the reference's")
    assert NAME in rules(record)["M-501"] and next(iter(rules(record))) == "C-103"
    assert not {"C-100", "C-102", "M-604"} & set(rules(record))


@pytest.mark.slow
def test_another_mean_of_the_pixels_is_the_input_and_no_layer(tmp_path: Path) -> None:
    record = fed_with(tmp_path, np.rint(own_pixels() * 0.8 + 20))
    (origin,) = record["comparison"]["origins"]
    assert (
        origin["op_kind"] == "input" and "another mean or scale (channel 0 x 0.8" in origin["fingerprint"]["evidence"]
    )


def test_exchanged_nibbles_of_a_layer_are_told_as_packing(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "debug", "--fault", "nibble_swap@pool", expect=1)
    assert "p" in rules(record)["M-502"]
    assert record["comparison"]["origins"][0]["fingerprint"]["kind"] == "nibble_order"


@pytest.mark.parametrize("mode", [*(pytest.param(m, marks=pytest.mark.slow) for m in ("debug", "profile")), "nmem"])
def test_a_program_with_the_wrong_library_is_told_by_what_is_missing(tmp_path: Path, mode: str) -> None:
    for root in (magik_board.root_of("t40"), magik_board.root_of("t40-plain")):  # left by an earlier run
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        (root / "tmp" / "nmem_memory.txt").write_text(printing.nmem_old(131072, 99999))
    record = run(tmp_path, "--mode", mode, "--fault", f"wrong_library@{mode}", expect=3)
    assert failure(record, mode)["kind"] == "wrong_library"
    assert "M-507" in rules(record)
    assert not record["memory"]  # the stale file of the earlier run was removed, never read


def test_an_old_driver_is_a_finding_and_the_run_goes_on(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "debug", "--fault", "old_soc_nna")
    assert "soc-nna" in rules(record)["M-503"]


def test_too_little_nmem_is_told_with_what_to_do(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "release,nmem", "--fault", "low_nmem@nmem", expect=3)
    assert failure(record, "nmem")["kind"] == "memory"
    assert "nmem=" in failure(record, "nmem")["hint"]
    assert "E-103" in rules(record)


def test_stale_bytes_behind_the_nmem_text_are_told_and_not_read(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "nmem", "--fault", "stale_nmem", soc="t41")
    assert record["memory"]["nmem"]["current_bytes"] == 0
    assert "nmem_memory.txt" in rules(record)["M-504"]


@pytest.mark.parametrize(
    ("fault", "mode", "kind"),
    [
        pytest.param("no_driver", "release", "board_state", marks=pytest.mark.slow),
        ("wrong_version", "release", "version_skew"),
        pytest.param("wrong_march", "release", "version_skew", marks=pytest.mark.slow),
        ("few_runs", "profile", "garbage"),
        ("crash", "release", "crash"),
        pytest.param("garbage", "release", "garbage", marks=pytest.mark.slow),
        pytest.param("missing_file", "debug", "wrong_library", marks=pytest.mark.slow),
    ],
)
def test_failures_that_end_with_code_zero_are_failures(tmp_path: Path, fault: str, mode: str, kind: str) -> None:
    record = run(tmp_path, "--mode", mode, "--fault", f"{fault}@{mode}", expect=3)
    assert failure(record, mode)["kind"] == kind, failure(record, mode)
    assert record["verdict"]["word"] == "not_measured"


def test_a_truncated_dump_is_never_equal(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "debug", "--fault", "truncated_dump@debug", expect=3)
    assert [row["reason"] for row in record["comparison"]["layers"] if row["verdict"] != "exact"] == ["truncated"]


@pytest.mark.slow
def test_a_hanging_program_is_ended_on_the_board(tmp_path: Path) -> None:
    record = run(tmp_path, "--mode", "release", "--fault", "hang@release", "--timeout", "2", expect=3)
    assert failure(record, "release")["kind"] == "timeout"


def test_without_a_root_of_its_own_the_board_is_a_plain_folder(tmp_path: Path) -> None:
    plain = magik_board.plain(magik_board.BOARDS[1])
    board = replace(plain, identity=replace(plain.identity, emulated=Emulated("t41", SERVED)))  # as it stands
    case = Case("net", model("t41"), inputs=(("", model("t41").parent / NAME),), modes=("debug", "nmem"))
    platform = load("magik")
    folder = run_case(board, case, tmp_path, lambda *_: None, CaseReference(case, platform, lambda *_: None))
    record = json.loads((folder / "run.json").read_text())
    assert [row["failure"] for row in record["modes"]] == [None, None, None]
    assert record["versions"]["nmem"] == "16384K"
    memory = platform.read_memory(folder / "nmem")
    assert memory is not None and memory["total_bytes"] == 16384 * 1024


@pytest.mark.slow
def test_names_with_slashes_are_found_and_those_that_could_not_be_dumped_are_told(tmp_path: Path) -> None:
    source = branched_model()
    for node in source.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = "/model.1/c2" if name == "c2" else name
    onnx = save(tmp_path, source)
    compiled = build([onnx], BuildOptions(soc_named("t40")), tmp_path / "net.bin").output
    (tmp_path / NAME).write_bytes(bytes(range(240)) * 4)
    write_pc_dump(compiled, tmp_path / NAME, tmp_path / "D")
    common = ["run", str(compiled), "--board", "emu-t40", "--input", str(tmp_path / NAME), "--mode", "debug",
              "--reference", str(tmp_path / "D")]  # fmt: skip
    assert invoke(*common, "--runs", str(tmp_path / "a")).exit_code == 0
    result = invoke(*common, "--runs", str(tmp_path / "b"), "--fault", "raw_names@debug")
    record = json.loads(next((tmp_path / "b").rglob("run.json")).read_text())
    assert result.exit_code == 0 and "/model.1/c2_out.bin" in rules(record)["M-506"]
    row = next(row for row in record["comparison"]["layers"] if row["name"] == "_model.1_c2")
    assert row["reason"] == "no_dump"
