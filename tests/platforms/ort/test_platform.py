"""Platform ort: command lines, readers and judgements, on what the runner really leaves and on damaged files."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.boards.flat import compose
from harness.errors import ConfigError, InputError
from harness.platforms import load
from harness.platforms.ort import bundle
from harness.platforms.ort.platform import PLATFORM
from harness.records import Job, ModelInfo, TensorSpec
from harness.reference.inputs import arrays_of_bytes
from tests.support.ort_models import Ran, chain, noise, run_runner, small_float, small_quantized

BOARD = compose("pi", "ort", "pi5")
NO_INFO = ModelInfo("")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_quantized(tmp_path_factory.mktemp("quantized") / "q.onnx")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "x.bin"
    noise((1, 3, 8, 8)).tofile(path)
    return path


def job(mode: str, model: Path | str = "/board/model", *inputs: str, **options: Any) -> Job:
    on_board = {"support": ("/home/pi/harness-work/cache/ab12",), "work": "harness-work"}
    return Job(mode, str(model), "/home/pi/harness-work/run", inputs, frames=5, options=options, **on_board)


def ran_as_invoked(folder: Path, mode: str, model: Path, picture: Path, **options: Any) -> Ran:
    """The invocation of the platform, run here."""
    inputs = () if mode == "info" else (str(picture),)
    argv = PLATFORM.invocation(BOARD.identity, job(mode, model, *inputs, **options)).argv
    assert argv[:2] == ("python3", "/home/pi/harness-work/cache/ab12")
    return run_runner(folder, Path(argv[2]), *argv[3:], python=sys.executable)


def test_the_platform_is_found_by_its_name() -> None:
    assert load("ort") is PLATFORM


def test_a_command_line_carries_what_was_asked() -> None:
    options = {"provider": "XNNPACK,CPU", "optimizations": "basic", "config": "session.qdqisint8allowed=1,a.b=2"}
    argv = PLATFORM.invocation(
        BOARD.identity, replace(job("release", "m", "a.bin", "b.bin", **options), threads=4)
    ).argv
    text = " ".join(argv)
    assert "--provider XNNPACK,CPU" in text
    assert "--optimizations basic" in text
    assert "--config session.qdqisint8allowed=1 --config a.b=2" in text
    assert "--threads 4" in text
    assert text.endswith("--input a.bin --input b.bin")


def test_options_of_the_board_stand_under_those_of_the_run() -> None:
    options = {"python": "/opt/py/bin/python3", "provider": "CUDA", "config": {"k.x": 1}}
    board = replace(BOARD.identity, options=options)
    argv = PLATFORM.invocation(board, job("release", provider="CPU")).argv
    assert argv[0] == "/opt/py/bin/python3"
    assert argv[argv.index("--provider") + 1] == "CPU"
    assert argv[argv.index("--config") + 1] == "k.x=1"


@pytest.mark.parametrize(
    ("work", "support", "site"),
    [
        ("harness-work", "/home/pi/harness-work/cache/ab", "/home/pi/harness-work/site"),
        ("/data/work", "/data/work/cache/ab", "/data/work/site"),
        ("harness-work", "harness-work/cache/ab", "~/harness-work/site"),
    ],
)
def test_the_prepared_site_folder_is_found_from_the_work_folder(work: str, support: str, site: str) -> None:
    argv = PLATFORM.invocation(BOARD.identity, replace(job("info"), work=work, support=(support,))).argv
    assert argv[argv.index("--site") + 1] == site


@pytest.mark.parametrize(
    "options",
    [
        {"optimizations": "max"},
        {"provider": "CPU;rm"},
        {"config": "novalue"},
        {"warmup": "-1"},
        {"profile_frames": 0},
        {"dump_mb": "much"},
    ],
)
def test_an_option_out_of_range_is_refused_before_anything_runs(options: dict[str, Any]) -> None:
    mode = "debug" if "dump_mb" in options else "profile"
    with pytest.raises(InputError):
        PLATFORM.invocation(BOARD.identity, job(mode, **options))


@pytest.mark.parametrize("spelling", ["disabled", "disable"])
def test_the_optimizer_is_turned_off_as_that_of_the_reference_is(spelling: str) -> None:
    argv = PLATFORM.invocation(BOARD.identity, job("debug", optimizations=spelling)).argv
    assert argv[argv.index("--optimizations") + 1] == "disabled"


def test_an_unknown_key_of_the_board_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="no option 'pyhton'"):
        PLATFORM.invocation(replace(BOARD.identity, options={"pyhton": "x"}), job("info"))


def test_info_tells_inputs_outputs_and_versions(quantized: Path, picture: Path, tmp_path: Path) -> None:
    ran = ran_as_invoked(tmp_path / "info", "info", quantized, picture)
    info = PLATFORM.read_model_info(ran.log)
    assert [(spec.name, spec.dtype, spec.shape) for spec in info.inputs] == [("input", "f32", (1, 3, 8, 8))]
    assert info.problems == ()
    assert {"runtime", "numpy", "python", "machine"} <= set(info.versions)
    assert PLATFORM.read_input_facts(info)[0].size_bytes == 3 * 8 * 8 * 4
    assert PLATFORM.read_failure("info", ran.code, ran.log, ran.present) is None


def test_dumps_carry_integer_specs_and_the_names_of_the_float_side(
    quantized: Path, picture: Path, tmp_path: Path
) -> None:
    ran = ran_as_invoked(tmp_path / "debug", "debug", quantized, picture)
    dumps = PLATFORM.read_dumps(ran.folder, ran.log, NO_INFO)
    conv = next(dump for dump in dumps if "relu1_out" in dump.aliases)
    assert conv.spec is not None
    assert conv.spec.dtype == "s8"
    assert conv.spec.quantization is not None
    assert (conv.op, conv.op_kind) == ("conv0", "Conv")
    assert conv.path.stat().st_size == np.prod(conv.spec.shape)
    outputs = PLATFORM.read_outputs(ran.folder, ran.log, NO_INFO)
    assert [dump.spec.dtype for dump in outputs if dump.spec] == ["f32"]
    assert not {dump.name for dump in outputs} & {dump.name for dump in dumps}
    assert PLATFORM.read_failure("debug", ran.code, ran.log, ran.present) is None


def test_dumping_all_gives_no_second_dump_of_a_tensor_that_is_there_as_integer(
    quantized: Path, picture: Path, tmp_path: Path
) -> None:
    layers = ran_as_invoked(tmp_path / "layers", "debug", quantized, picture, optimizations="disabled")
    every = ran_as_invoked(tmp_path / "all", "debug", quantized, picture, optimizations="disabled", dump="all")
    assert len(every.manifest["tensors"]) > len(layers.manifest["tensors"])
    named = [{d.name for d in PLATFORM.read_dumps(r.folder, r.log, NO_INFO)} for r in (layers, every)]
    inside = named[1] - named[0]
    assert named[0] <= named[1]
    assert not inside & {alias for d in PLATFORM.read_dumps(every.folder, "", NO_INFO) for alias in d.aliases}


def test_profile_gives_microseconds_by_provider(quantized: Path, picture: Path, tmp_path: Path) -> None:
    ran = ran_as_invoked(tmp_path / "profile", "profile", quantized, picture)
    ops, latency = PLATFORM.read_ops(ran.folder, ran.log), PLATFORM.read_latency(ran.folder, ran.log)
    assert latency is not None
    assert latency.frames == 5
    assert latency.warmup_excluded is True
    assert len(latency.samples_us) == 5
    assert {op.unit for op in ops} == {"CPU"}
    assert {"quantize", "dequantize"} <= {op.category for op in ops}
    assert PLATFORM.read_failure("profile", ran.code, ran.log, ran.present) is None


def test_a_release_run_times_its_one_cold_inference(quantized: Path, picture: Path, tmp_path: Path) -> None:
    ran = ran_as_invoked(tmp_path / "release", "release", quantized, picture)
    latency = PLATFORM.read_latency(ran.folder, ran.log)
    assert latency is not None
    assert latency.frames == 1
    assert latency.warmup_excluded is False


def test_memory_is_read(quantized: Path, picture: Path, tmp_path: Path) -> None:
    ran = ran_as_invoked(tmp_path / "memory", "memory", quantized, picture)
    figures = PLATFORM.read_memory(ran.folder)
    assert figures is not None
    assert figures["model_bytes"] == quantized.stat().st_size


RESULT = 'result: {"mode": "release"}\n'
FILES = ("manifest.json", "t00000.bin", "log.txt")


@pytest.mark.parametrize(
    ("code", "log", "present", "kind"),
    [
        (0, RESULT, FILES, ""),
        (127, "sh: 1: python3: not found\n", (), "missing_tool"),
        (1, "error: no_onnxruntime: No module named 'onnxruntime' in /usr/bin/python3\n", (), "missing_tool"),
        (1, "error: unknown_provider: this onnxruntime has no CUDA provider; it has CPU\n", (), "bad_option"),
        (1, "error: bad_model: onnxruntime cannot load it: Protobuf parsing failed.\n", (), "bad_model"),
        (1, "error: input_size: input x is 1x3 tensor(float), the file has 7 bytes\n", (), "bad_input"),
        (1, "error: memory: std::bad_alloc\n", (), "memory"),
        (-9, "versions: {}\n", (), "memory"),
        (137, "", (), "memory"),
        (-4, "", (), "crash"),
        (139, "", (), "crash"),
        (1, "Traceback (most recent call last):\nValueError: x\n", (), "crash"),
        (1, "OSError: [Errno 28] No space left on device\n", (), "no_space"),
        (0, "", FILES, "garbage"),
        (0, "\x00\xff garbage", FILES, "garbage"),
        (0, RESULT, ("log.txt",), "no_result"),
        (None, "", (), "crash"),
    ],
)
def test_a_mode_is_judged_by_code_text_and_files(
    code: int | None, log: str, present: tuple[str, ...], kind: str
) -> None:
    failure = PLATFORM.read_failure("release", code, log, present)
    assert (failure.kind if failure else "") == kind


def test_a_board_that_runs_out_of_memory_says_so(tmp_path: Path) -> None:
    """A real limit on a real process: 200 layers of 4 MB do not fit into 900 MB of address space."""
    model, data = chain(tmp_path / "chain.onnx", 200), tmp_path / "x.bin"
    noise((1, 16, 256, 256)).tofile(data)
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -v 900000\nexec {sys.executable} "$@"\n')
    limited.chmod(0o755)
    argv = PLATFORM.invocation(BOARD.identity, job("debug", model, str(data), dump="all", dump_mb=4000)).argv
    ran = run_runner(tmp_path / "run", model, *argv[3:], "--optimizations", "disabled", python=str(limited))
    failure = PLATFORM.read_failure("debug", ran.code, ran.log, ran.present)
    assert failure is not None
    assert failure.kind == "memory"
    assert "dump_mb" in failure.hint


def test_a_board_without_onnxruntime_is_told_how_to_get_it() -> None:
    failure = PLATFORM.read_failure("info", 1, "error: no_onnxruntime: No module named 'onnxruntime'\n", ())
    assert failure is not None
    assert failure.hint == "harness boards prepare NAME --wheels DIR"


def test_only_onnx_files_with_their_weights_inside_are_taken(quantized: Path, tmp_path: Path) -> None:
    PLATFORM.check_model(quantized, BOARD.identity)
    text = tmp_path / "notes.txt"
    text.write_text("no model")
    with pytest.raises(InputError, match="not an ONNX model"):
        PLATFORM.check_model(text, BOARD.identity)
    outside = tmp_path / "outside.onnx"
    proto = onnx.load(str(small_float(tmp_path / "inside.onnx")))
    onnx.save_model(proto, str(outside), save_as_external_data=True, size_threshold=0)
    with pytest.raises(InputError, match="weights are in external files"):
        PLATFORM.check_model(outside, BOARD.identity)


def test_a_reference_is_fed_with_the_boards_own_bytes(tmp_path: Path) -> None:
    spec, data = TensorSpec("x", "f32", (2, 3)), noise((2, 3))
    np.save(tmp_path / "x.npy", data)
    assert PLATFORM.reference_feed(NO_INFO, spec, data.tobytes()) == data.tobytes()
    assert PLATFORM.reference_feed(NO_INFO, spec, (tmp_path / "x.npy").read_bytes()) == data.tobytes()
    with pytest.raises(InputError, match="needs 24 bytes"):
        PLATFORM.reference_feed(NO_INFO, spec, b"123")


def test_an_array_for_open_sizes_reaches_the_reference_with_its_shape(tmp_path: Path) -> None:
    spec = TensorSpec("ids", "s64", (-1, -1))
    values = np.arange(14, dtype=np.int64).reshape(2, 7)
    np.save(tmp_path / "ids.npy", values)
    fed = PLATFORM.reference_feed(NO_INFO, spec, (tmp_path / "ids.npy").read_bytes())
    assert np.array_equal(arrays_of_bytes([spec], {"ids": fed})["ids"], values)
    for bad, words in ((values.tobytes(), "dynamic size: give an .npy"), (fed[:40], "not a readable .npy")):
        with pytest.raises(InputError, match=words):
            arrays_of_bytes([spec], {"ids": bad})


def test_the_runner_is_one_file_that_is_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    first = bundle.runner_archive()
    content = first.read_bytes()
    first.write_bytes(b"damaged")
    assert bundle.runner_archive() == first
    assert first.read_bytes() == content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
ROW = st.dictionaries(
    st.sampled_from(
        ("name", "file", "dtype", "shape", "aliases", "quantization", "index", "op", "is_output", "total_us", "count")
    ),
    JSON | st.just("t00000.bin") | st.just("s8"),
)


@given(rows=st.lists(ROW | JSON, max_size=4), top=JSON)
def test_no_manifest_from_a_board_breaks_a_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], top: Any
) -> None:
    folder = tmp_path_factory.mktemp("board")
    (folder / "manifest.json").write_text(json.dumps({"tensors": rows}))
    (folder / "ops.json").write_text(json.dumps({"ops": rows, "frames_seen": top}))
    for name in ("latency.json", "memory.json"):
        (folder / name).write_text(json.dumps(top))
    for dump in (*PLATFORM.read_dumps(folder, "", NO_INFO), *PLATFORM.read_outputs(folder, "", NO_INFO)):
        assert dump.path.parent == folder
    PLATFORM.read_ops(folder, "")
    PLATFORM.read_latency(folder, "")
    PLATFORM.read_memory(folder)
    log = "\n".join(f"{key}: {json.dumps(top)}" for key in ("input", "output", "model", "versions", "run"))
    PLATFORM.read_model_info(log)
    PLATFORM.read_latency(folder, log)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "t1.bin", "t00000.bin/../../x", "t00000.bin\n"])
def test_a_file_name_that_leads_elsewhere_is_no_dump(tmp_path: Path, name: str) -> None:
    row = {"name": "x", "file": name, "dtype": "s8", "shape": [1]}
    (tmp_path / "manifest.json").write_text(json.dumps({"tensors": [row]}))
    assert PLATFORM.read_dumps(tmp_path, "", NO_INFO) == ()
