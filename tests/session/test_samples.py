"""Many samples in one session, by the real command line on emulated boards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import samples as benchmark
from harness.errors import InputError
from harness.files.samples import open_samples
from harness.records import SamplesPlan
from harness.session.samples.batches import Batch, read_log
from tests.support.builds import ExampleModel, build, harness


def digits_samples(model: ExampleModel, folder: Path, count: int) -> Path:
    held = np.load(model.folder / "digits_test.npz")
    samples = folder / "samples"
    samples.mkdir()
    lines = ["stem,label"]
    for place in [0, 10, *range(1, 10)][:count]:
        np.save(samples / f"d{place}.npy", held["image"][place])
        lines.append(f"d{place},{held['label'][place]}")
    (folder / "truth.csv").write_text("\n".join(lines) + "\n")
    return samples


def run_json(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("runs/*/*/*/run.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


# --------------------------------------------------------------------------- which samples


def sources(tmp_path: Path, **folders: list[str]) -> SamplesPlan:
    for name, files in folders.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(b"1")
    return SamplesPlan(tuple((name, tmp_path / name) for name in folders))


def test_samples_are_paired_by_stem_and_counted_as_people_count(tmp_path: Path) -> None:
    plan = sources(tmp_path, a=["f10.bin", "f9.bin", "notes.txt", ".hidden"], b=["f9.npy", "f10.npy"])
    samples = open_samples(plan)
    assert samples.stems == ("f9", "f10")
    assert samples.inputs(0, tmp_path) == (("a", tmp_path / "a/f9.bin"), ("b", tmp_path / "b/f9.npy"))


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ({"a": ["x.bin"], "b": ["y.bin"]}, "samples without a partner of the same stem: 'x' only in .*'y' only in"),
        ({"a": ["x.bin", "x.npy"]}, "two files of stem 'x': x.bin and x.npy"),
        ({"a": ["notes.txt"]}, "no samples in it"),
    ],
)
def test_samples_that_cannot_be_paired(tmp_path: Path, folders: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_samples(sources(tmp_path, **folders))


def test_a_log_of_a_batch_is_told_apart_whatever_the_tool_prints() -> None:
    batch = Batch("release", (), Path("x.tar"))
    mark = batch.mark
    log = (
        f"\n{mark} begin s0\nhello\nharness-0 end s0 0 1.00 2.00\nno newline\n{mark} end s0 0 10.50 12.00\n"
        f"\n{mark} begin s1\n{mark} end s0 1 1.0 9.0\n\n{mark} end s1 139 12.00 12.25\n\n{mark} begin s2\ncut"
    )
    ended = read_log(log, batch)
    assert (ended["s0"].code, ended["s0"].seconds, ended["s0"].log) == (
        0,
        1.5,
        "hello\nharness-0 end s0 0 1.00 2.00\nno newline",
    )
    assert (ended["s1"].code, ended["s1"].seconds) == (139, 0.25)
    assert (ended["s2"].began, ended["s2"].code) == (True, None)
    assert "s3" not in ended


# --------------------------------------------------------------------------- on a board


@pytest.mark.slow
def test_the_failing_samples_feed_the_comparison(shared_folder: Path, tmp_path: Path) -> None:
    """One wrong element matters on one sample of five: that one is debugged, and the task is told for all stages."""
    digits = build(shared_folder, "digits")
    samples = digits_samples(digits, tmp_path, 5)
    result = harness(
        *("run", digits.model, "--board", "emu-x5", "--samples", samples, "--truth", tmp_path / "truth.csv"),
        *("--mode", "release,debug", "--wait", "120"),  # reference and stages: those beside the model
        *("--fault", "one_value@conv2:by=3"),
        cwd=tmp_path,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    record = run_json(tmp_path)
    together = record["samples"]
    by_verdict = {one["verdict"]: one["stem"] for one in together["samples"]}
    bad = [one["stem"] for one in together["samples"] if one["verdict"] == "differs"]
    assert 0 < len(bad) < 5 and "within" in by_verdict
    assert re.search(rf"samples +the board agrees with the quantized model on {5 - len(bad)} of 5", result.stdout)
    assert "float digits_x5_original_float_model.onnx" in result.stdout and "> reference > board: " in result.stdout
    assert "top-1: float 80 %, quantized 80 %, board 80 %; quantization cost 0 points" in result.stdout
    assert together["worst"] in bad and record["case"]["inputs"][0]["name"] == f"{together['worst']}.npy"
    assert set(together["debugged"]) >= {"d0", together["worst"]}
    conv2 = next(layer for layer in together["layers"] if layer["op"] == "conv2")
    assert conv2["differs"] == len(together["debugged"]) and conv2["worst"] in together["debugged"]
    assert [one["name"] for one in record["pushed"]].count(digits.model.name) == 1
    (run,) = tmp_path.glob("runs/*/*/*")
    assert {path.name for path in (run / "samples").iterdir()} == {
        one["kept"].removeprefix("samples/") for one in together["samples"] if one["kept"]
    }
    assert [one["stem"] for one in together["samples"] if one["kept"]] == bad


@pytest.mark.slow
def test_a_resumed_run_goes_on_after_the_last_batch(shared_folder: Path, tmp_path: Path) -> None:
    digits = build(shared_folder, "digits")
    samples = digits_samples(digits, tmp_path, 3)
    argv = ["run", str(digits.model), "--board", "emu-x5", "--samples", str(samples), "--mode", "release"]
    argv += ["--reference", str(digits.reference), "--wait", "120"]
    (scratch := tmp_path / "scratch").mkdir()
    command, around = [sys.executable, "-m", "harness", *argv], {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=around) as running:
        until = time.monotonic() + 120
        while not (lines := list(tmp_path.glob("runs/*/*/*/samples.jsonl"))) and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert not list(scratch.glob("harness-samples-*"))
    before = lines[0].read_text()
    assert before.count("\n") < 3
    (run,) = tmp_path.glob("runs/*/*/*")
    result = harness("run", "--resume", run, cwd=tmp_path)
    assert "the board agrees with the quantized model on 3 of 3 (all exactly)" in result.stdout, result.stderr
    after = (run / "samples.jsonl").read_text()
    assert after.startswith(before) and after.count("\n") == 3
    assert harness("run", "--resume", run, cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_samples_that_do_not_fit_are_told_together_and_none_is_sent(shared_folder: Path, tmp_path: Path) -> None:
    digits = build(shared_folder, "digits")
    samples = digits_samples(digits, tmp_path, 4)
    np.save(samples / "d1.npy", np.zeros((2, 2), np.float32))
    (samples / "d2.npy").write_bytes(b"cut short")
    argv = ("run", digits.model, "--board", "emu-x5", "--samples", samples, "--reference", digits.reference)
    result = harness(*argv, "--wait", "120", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "2 of 4 samples do not fit" in result.stderr and "d1.npy" in result.stderr and "d2.npy" in result.stderr
    assert not list(tmp_path.glob("runs/*/*/*/samples.jsonl"))


@pytest.mark.slow
def test_fifty_samples_behind_a_real_sshd_are_one_session_of_flat_memory(tmp_path: Path) -> None:
    """A part of `benchmarks/samples.py --count 200`."""
    figures = benchmark.measure(tmp_path, 50)
    assert (figures["samples"], figures["agreed"], figures["model_pushes"]) == (50, 50, 1), figures
    assert figures["session_overhead"] <= benchmark.MOST_OVERHEAD, figures
    assert figures["rss_last_mb"] - figures["rss_first_mb"] <= benchmark.MOST_GROWTH_MB, figures
    assert figures["wire_bytes_per_sample"] < 12_000, figures  # 5,800 of 200 samples
