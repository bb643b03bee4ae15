"""Every family of emulated boards: old and new libdnn, old and new UCP, each read back by its own platform."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.emulator.built_in import own_boards, stand_up
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.horizon.socs import SOCS
from harness.emulator.model.faults import ENVIRONMENT
from harness.emulator.model.image import nv12_bytes, reference_feed
from harness.emulator.this_board import RUNTIME
from harness.errors import InputError, UserError
from harness.platforms import load
from harness.reference.graph import read_logical
from tests.support import emulator_kit as kit
from tests.support.emulator_kit import kit_quantized, reference_values, size_of

BOARDS = sorted(SOCS)
TIMED = [name for name in BOARDS if not SOCS[name].not_estimated]
RUNTIMES = [(soc.name, runtime.version) for soc in SOCS.values() for runtime in soc.runtimes]


def played(folder: Path, soc: str, *argv: str, runtime: str = "", faults: str = "", l2: str = ""):
    """The tool of a board, with another of its runtimes where one is named."""
    import os
    import subprocess

    from harness.emulator.horizon.board import prepare

    stub = prepare(soc) / "bin" / "hrt_model_exec"
    environment = {k: v for k, v in os.environ.items() if k not in (ENVIRONMENT, RUNTIME)}
    environment |= ({RUNTIME: runtime} if runtime else {}) | ({ENVIRONMENT: faults} if faults else {})
    environment |= {"HB_DNN_USER_DEFINED_L2M_SIZES": l2} if l2 else {}
    return subprocess.run([str(stub), *argv], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def text_of(result) -> str:
    return result.stdout + result.stderr


@pytest.mark.parametrize(("soc", "runtime"), RUNTIMES)
def test_model_info_of_every_runtime_is_read_without_a_problem(tmp_path: Path, soc: str, runtime: str) -> None:
    result = played(tmp_path, soc, "model_info", f"--model_file={kit.branched(soc)}", runtime=runtime)
    assert result.returncode == 0, result.stderr
    info = load(SOCS[soc].family).read_model_info(text_of(result))
    assert info.problems == ()
    assert [spec.shape for spec in info.inputs] == [kit.INPUT_SHAPE]
    assert [spec.shape for spec in info.outputs] == [(1, 10), (1, 24, 8, 10)]
    assert [spec.dtype for spec in info.outputs] == ["f32", "f32"]


@pytest.mark.parametrize("soc", BOARDS)
def test_every_layer_is_equal_on_every_board(tmp_path: Path, soc: str) -> None:
    from harness.consistency.reading.tensor_files import open_tensor

    platform, model = load(SOCS[soc].family), kit.branched(soc)
    result = kit.infer(tmp_path, model, soc=soc)
    assert result.returncode == 0, result.stderr
    assert platform.read_failure("debug", 0, text_of(result), [p.name for p in tmp_path.iterdir()]) is None
    specs = {t.name: t.spec for t in read_logical(kit_quantized(model)).tensors}
    expected = reference_values(kit_quantized(model), {"x": kit.feed()})
    seen = set()
    for dump in platform.read_dumps(tmp_path, "", None):
        if dump.role == "output":
            size = dump.path.stat().st_size
            spec = next(s for s in platform.storages(specs[dump.name], dump.unit) if size_of(s) == size)
            array = open_tensor(dump.path, spec)
            value = array.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else array
            assert np.array_equal(value, expected[dump.name]), dump.name
            seen.add(dump.name)
    assert seen == set(expected) - {"x"}


@pytest.mark.parametrize(("soc", "runtime"), [one for one in RUNTIMES if one[0] in TIMED])
def test_a_profile_of_every_runtime_is_read_without_a_problem(tmp_path: Path, soc: str, runtime: str) -> None:
    platform = load(SOCS[soc].family)
    result = played(tmp_path, soc, "perf", f"--model_file={kit.branched(soc)}", "--frame_count=20", "--thread_num=2",
                  "--profile_path=.", runtime=runtime)  # fmt: skip
    assert result.returncode == 0, result.stderr
    latency = platform.read_latency(tmp_path, text_of(result))
    assert latency is not None and latency.problems == ()
    assert (latency.frames, latency.threads) == (20, 2)
    ops = platform.read_ops(tmp_path, text_of(result))
    assert {op.unit for op in ops} >= {"BPU", "CPU"}
    assert all(op.estimated for op in ops if op.category != "wait")


def test_a_chip_without_any_published_figure_has_no_times(tmp_path: Path) -> None:
    """It runs models, and says that it estimates nothing where a time was asked for."""
    model = kit.branched("j6b")
    result = played(tmp_path, "j6b", "perf", f"--model_file={model}", "--profile_path=.")
    assert result.returncode != 0 and "no estimate of times on j6b: neither a latency nor" in text_of(result)
    assert not list(tmp_path.glob("profiler*"))
    answer = kit.infer(tmp_path, model, soc="j6b")
    assert answer.returncode == 0 and "Infer time" not in text_of(answer)
    with pytest.raises(InputError, match="--times-only: no estimate of times on j6b"):
        kit.compile_to(tmp_path, kit.branched_model(), "j6b", times_only=True)


@pytest.mark.parametrize("soc", BOARDS)
def test_the_version_flag_tells_the_runtime(tmp_path: Path, soc: str) -> None:
    assert played(tmp_path, soc, "-v").stdout.strip() == SOCS[soc].runtimes[0].version


def test_a_runtime_that_the_chip_never_had_is_refused(tmp_path: Path) -> None:
    result = played(tmp_path, "x5", "model_info", f"--model_file={kit.branched()}", runtime="9.9")
    assert result.returncode != 0 and "no runtime '9.9'" in result.stderr


# --------------------------------------------------------------------------- old libdnn


def test_the_old_x3_tool_tells_stages_and_no_names(tmp_path: Path) -> None:
    result = played(tmp_path, "x3", "model_info", f"--model_file={kit.branched('x3')}")
    assert "stage count: 1" in result.stdout and "stage[0]: (0, 0, 15, 19)" in result.stdout
    assert "name: " not in result.stdout.replace("[model name]: ", "") and "stride" not in result.stdout


def test_the_old_x3_tool_names_outputs_by_number_alone(tmp_path: Path) -> None:
    kit.infer(tmp_path, kit.branched("x3"), soc="x3")
    assert {p.name for p in tmp_path.glob("model_infer_*")} == {
        "model_infer_input_0.bin", "model_infer_output_0.bin", "model_infer_output_1.bin",
    }  # fmt: skip


def test_the_old_x3_profiler_says_chip_latency(tmp_path: Path) -> None:
    flags = (f"--model_file={kit.branched('x3')}", "--frame_count=5", "--profile_path=.")
    played(tmp_path, "x3", "perf", *flags)
    assert "chip_latency" in (tmp_path / "profiler.log").read_text()
    played(tmp_path, "x3", "perf", *flags, runtime="1.9.5")
    assert "processor_latency" in (tmp_path / "profiler.log").read_text()


# --------------------------------------------------------------------------- UCP


def test_ucp_profiles_have_a_version_stages_and_a_csv(tmp_path: Path) -> None:
    played(tmp_path, "j6m", "perf", f"--model_file={kit.branched('j6m')}", "--frame_count=5", "--profile_path=.")
    first, second = (tmp_path / "profiler.log").read_text().split("***\n")
    version, _, summary = first.partition("\n")
    assert version == "ucp_version: 3.3.3"
    assert json.loads(summary)["running_condition"]["core_id"] == "0"
    nodes = json.loads(second)["model_latency"]
    bpu = next(value for name, value in nodes.items() if "-BPU-" in name)
    assert set(bpu) == {"Stage1-GenerateBpuTask", "Stage2-BpuCoreProcess", "Total"}
    assert (tmp_path / "profiler.csv").read_text().startswith("ucp_version,3.3.3\nrunning_condition\nthread_num,1\n")


def test_old_ucp_keeps_trailing_commas_and_new_ucp_drops_them(tmp_path: Path) -> None:
    texts = {
        version: played(tmp_path, "j6m", "model_info", f"--model_file={kit.branched('j6m')}", runtime=version).stdout
        for version in ("3.0.17", "3.3.3")
    }
    assert "valid shape: (1,10,)" in texts["3.0.17"]
    assert "valid shape: (1,10)\n" in texts["3.3.3"]


def test_ucp_outputs_can_be_dequantized_and_freed_of_padding(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), "j6m", output_type="quantized")
    source = kit.input_file(tmp_path)
    base = ["infer", f"--model_file={model}", f"--input_file={source}", "--enable_dump=true"]
    expected = reference_values(kit_quantized(model), {"x": kit.feed()})["c4"]
    output = tmp_path / "model_infer_output_1_c4.bin"
    played(tmp_path, "j6m", *base)
    assert output.stat().st_size > expected.size
    played(tmp_path, "j6m", *base, "--remove_padding_process=true")
    assert np.array_equal(np.fromfile(output, np.int8).reshape(1, 8, 10, 24), expected.transpose(0, 2, 3, 1))
    played(tmp_path, "j6m", *base, "--dequantize_process=true")
    _, compiled = kit.opened(model)
    scale = compiled.tensor("c4").spec.quantization.scales[0]
    real = np.fromfile(output, np.float32).reshape(1, 8, 10, 24)
    assert np.array_equal(real, expected.transpose(0, 2, 3, 1).astype(np.float32) * np.float32(scale))
    played(tmp_path, "j6m", *base, "--dump_format=npy")
    assert np.load(tmp_path / "model_infer_output_1_c4.npy").dtype == np.int8


def test_a_ucp_picture_is_two_inputs_and_equals_the_reference(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), "j6e", pixels={"x": PixelInput(scale=(0.02,) * 3)})
    frame = np.random.default_rng(2).integers(0, 256, nv12_bytes(16, 20), np.uint8).tobytes()
    for name, data in (("y", frame[:320]), ("uv", frame[320:])):
        (tmp_path / f"{name}.bin").write_bytes(data)
    info = load("ucp").read_model_info(played(tmp_path, "j6e", "model_info", f"--model_file={model}").stdout)
    assert [(s.name, s.dtype, s.shape) for s in info.inputs] == [
        ("x_y", "u8", (1, 16, 20, 1)), ("x_uv", "u8", (1, 8, 10, 2)),
    ]  # fmt: skip
    assert info.problems == ()
    result = played(
        tmp_path, "j6e", "infer", f"--model_file={model}", "--input_file=y.bin,uv.bin", "--enable_dump=true"
    )
    assert result.returncode == 0, result.stderr
    luma = np.frombuffer(frame[:320], np.uint8).reshape(1, 16, 20, 1)
    chroma = np.frombuffer(frame[320:], np.uint8).reshape(1, 8, 10, 2)
    expected = reference_values(kit_quantized(model), {"x_y": luma, "x_uv": chroma})
    one_picture = kit.compile_to(
        tmp_path, kit.branched_model(), "x5", "flat", pixels={"x": PixelInput(scale=(0.02,) * 3)}
    )
    same = reference_values(kit_quantized(one_picture), {"x": reference_feed(frame, 16, 20)})
    assert np.max(np.abs(expected["x_preprocessed"].astype(int) - same["x_preprocessed"])) <= 2
    output = np.fromfile(tmp_path / "model_infer_output_1_c4.bin", np.float32)
    assert np.array_equal(output, expected["c4"].reshape(-1))


def test_one_photo_file_serves_both_planes(tmp_path: Path) -> None:
    from PIL import Image

    model = kit.compile_to(tmp_path, kit.branched_model(), "j6e", pixels={"x": PixelInput()})
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "red.png")
    result = played(tmp_path, "j6e", "infer", f"--model_file={model}", "--input_file=red.png,red.png",
                  "--input_img_properties=Y,UV", "--enable_dump=true")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "model_infer_input_0_x_y.bin").stat().st_size == 16 * 20
    assert (tmp_path / "model_infer_input_1_x_uv.bin").stat().st_size == 8 * 10 * 2


def test_several_cores_need_a_model_for_several_cores(tmp_path: Path) -> None:
    for cores in ("1,2", "2", "one"):
        result = played(tmp_path, "j6m", "perf", f"--model_file={kit.branched('j6m')}", f"--core_id={cores}")
        assert result.returncode != 0 and "Traceback" not in result.stderr


def test_a_model_for_two_cores_runs_on_two_that_have_l2_memory(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), "s600", cores=2)
    argv = ("perf", f"--model_file={model}", "--frame_count=20", "--profile_path=.")
    bare = played(tmp_path, "s600", *argv, "--core_id=1,2")
    assert bare.returncode != 0
    failure = load("ucp").read_failure("profile", bare.returncode, text_of(bare), ())
    assert failure is not None and failure.kind == "memory" and "L2" in failure.message
    assert played(tmp_path, "s600", *argv, "--core_id=3", l2="6:6:6:6").returncode != 0
    result = played(tmp_path, "s600", *argv, "--core_id=1,2", l2="6:6:6:6")
    assert result.returncode == 0, result.stderr
    latency = load("ucp").read_latency(tmp_path, text_of(result))
    assert latency is not None and latency.core == "1,2" and latency.frames == 20 and not latency.problems
    assert "core_id,1,2" in (tmp_path / "profiler.csv").read_text()


@pytest.mark.parametrize(("soc", "cores"), [("j5", 2), ("s100", 2), ("s600", 5)])
def test_cores_that_no_chip_of_that_name_has_are_refused(tmp_path: Path, soc: str, cores: int) -> None:
    with pytest.raises(InputError, match=f"--cores {cores}"):
        kit.compile_to(tmp_path, kit.branched_model(), soc, cores=cores)


# --------------------------------------------------------------------------- the main job


@pytest.mark.slow
@pytest.mark.parametrize("soc", [name for name in TIMED if name not in ("j6h", "s100p")])  # as j6p and j6m
def test_one_command_runs_all_modes_on_every_board_and_finds_every_layer_exact(tmp_path: Path, soc: str) -> None:
    import subprocess
    import sys

    model, source = kit.branched(soc), kit.input_file(tmp_path)
    argv = [sys.executable, "-m", "harness", "run", str(model), "--board", f"emu-{soc}", "--input", str(source),
            "--reference", str(kit_quantized(model)), "--runs", str(tmp_path / "runs"), "--json"]  # fmt: skip
    result = subprocess.run(argv, capture_output=True, text=True, timeout=180, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (record,) = (tmp_path / "runs").glob("*/*/*/run.json")
    run = json.loads(record.read_text())
    assert [mode["mode"] for mode in run["modes"] if mode["failure"]] == []
    assert {mode["mode"] for mode in run["modes"]} >= {"release", "debug", "profile"}
    assert run["verdict"]["word"] == "consistent" and run["board"]["emulated"] is True


# --------------------------------------------------------------------------- records


def test_the_built_in_boards_are_there_and_say_that_they_are_emulated() -> None:
    names = {
        "emu-x3",
        "emu-x5",
        "emu-x5-ssh",
        "emu-x5-dropbear",
        "emu-j5",
        "emu-ultra",
        "emu-j6e",
        "emu-j6m",
        "emu-j6p",
        "emu-j6h",
        "emu-j6b",
        "emu-s100",
        "emu-s100p",
        "emu-s600",
    }
    assert names <= set(own_boards())
    assert all(own_boards()[name].emulated is not None for name in names)
    assert {own_boards()[name].endpoint.transport for name in ("emu-x5-ssh", "emu-x5-dropbear")} == {"ssh"}


def test_a_board_stands_up_with_its_tools_in_place() -> None:
    with stand_up(own_boards()["emu-j6e"]) as board:
        assert (Path(board.environment.tools[0]) / "hrt_model_exec").stat().st_mode & 0o111
        assert Path(board.folders.work).is_absolute()


def test_an_unknown_soc_names_the_known_ones() -> None:
    from harness.emulator.horizon.board import prepare

    with pytest.raises(UserError) as caught:
        prepare("x9")
    assert "x5" in caught.value.hint
