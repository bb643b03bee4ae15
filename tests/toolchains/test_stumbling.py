"""A reader that stumbles over a file says so: no crash of `inspect`, no measurement lost for a log beside the model."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.diagnosis.plan import join, read_build
from harness.records.codec import to_json
from harness.toolchains import board_readers, read_any
from harness.toolchains.base import FileProbe, FileReader
from harness.toolchains.records import Artifact
from harness.toolchains.text import count_of, counts_of, number_of
from tests.support.toolchain_samples import x5_log

MANY = "9" * 5000
ODD = ("1.2.3", "1e999", "-", "", "²", "٣", MANY, "9" * 400 + ".5", "NaN", "Infinity", "--", "0x1", "1,2")
TEXTS = {
    "log": x5_log() + "FPS=10.5, latency = 2.5 us, DDR = 77 bytes (see s0.html)\nONNX model output num : 3\n"
    "input 'x' : original model shape: [1, 3, 8, 8]\nconsumed time 2.5\nstatic memory: 55\n",
    "ddr": "timestamp,read_a/s,write_a/s\n1.5,2,3\n2.5,3,4\ntimestamp,read_a/s,write_a/s,total\n3.5,4,5,9\n",
    "monitor": "BPU Utilization:\n Core 0: busy= 22.5% idle= 77.5%\nDDR Bandwidth:\n Read: 12.5 MB/s\n"
    "Mem: RSS= 5.5 MB\n",
    "perf": '{"summary": {"FPS": 55, "latency (us)": 77.5, "DDR bytes per run": 88, "frame per run": 1,'
    ' "layer details": [["layer", "ops", "computing cost (no DDR)"], ["a", "33", "29 us (0% of model)"]]}}\n',
    "quant": '{"a": {"type": "Conv", "cosine_similarity": "0.99", "thresholds": [[1.5, 2]], "inputs": ["x"]}}\n',
    "console": "input[0]: \nname: x\nvalid shape: (1,3,8,8,)\naligned byte size: 192\nstride: (192,64,8,1)\n"
    "input[x], name=x, type=u8, shape=(1, 3, 8, 8)\nLoad model to DDR cost 12.5ms.\nThis model file has 1 model:\n"
    "Frame count: 77, Thread Average: 2.5 ms, thread max latency: 3.5 ms, thread min latency: 1.5 ms, FPS: 40.5\n"
    "Perf result:\nFrame count is: 77\nProgram run time: 192.5 ms\nInfer time: 2.5 ms\n",
    "status": "=====1=====\ntemperature-->\n CPU : 55.5 (C)\ncpu frequency-->\n min cur max\n cpu0: 1 2 3\n",
    "verifier": "mismatch line num: 3\ntotal line num: 77\nStrict check FAILED\n| output_name | ret | m | a | r |\n"
    "+---+---+---+\n| x | True | 3/77 (1%) | 0.5 | 0.5 |\n",
    "layers": "mod_name,cosine,mse\na,0.5,0.25\nb,0.75,1.5\n",
    "magik": "Data dumping to:/a/b.bin--->shape:[1,8,8]\nfeature name  cosine_avg  euclidean\na  0.99999  0.00001\n",
    "kernels": '[{"cat": "Node", "name": "a_kernel_time", "dur": 5}, {"name": "a_kernel_time", "dur": 7}]\n',
}


def read(path: Path, text: str) -> Artifact | None:
    path.write_text(text, encoding="utf-8")
    return read_any(path, *board_readers())


def damaged(text: str, dice: random.Random) -> str:
    """Lines cut, repeated, in another order, and one number in another form."""
    lines = text.splitlines(keepends=True)
    for _ in range(dice.randrange(3)):
        lines.insert(dice.randrange(len(lines)), dice.choice(lines))
    if dice.random() < 0.3:
        dice.shuffle(lines)
    text = "".join(lines)
    digits = [place for place, letter in enumerate(text) if letter.isdigit() and letter.isascii()]
    place = dice.choice(digits)
    text = text[:place] + dice.choice(ODD) + text[place + 1 :]
    return text[: dice.randrange(len(text))] if dice.random() < 0.3 else text


@pytest.mark.parametrize("name", TEXTS)
def test_no_reader_stumbles_over_odd_lines_and_numbers(name: str, tmp_path: Path) -> None:
    """Nor does the guard around the readers hide that one did: every number is converted with care."""
    dice = random.Random(name)
    assert read(tmp_path / "x.txt", TEXTS[name]) is not None
    for _ in range(25):
        text = damaged(TEXTS[name], dice)
        artifact = read(tmp_path / "x.txt", text)
        if artifact is not None:
            json.dumps(to_json(artifact), allow_nan=False)
            assert not any("nothing of it could be read" in problem for problem in artifact.problems), text


@pytest.mark.parametrize("error", [KeyError("read_a/s"), ValueError("1.2.3"), IndexError(3), OverflowError("inf")])
def test_what_a_reader_raises_is_a_problem_of_the_file(error: Exception, tmp_path: Path) -> None:
    def read_it(probe: FileProbe) -> Artifact:
        raise error

    (tmp_path / "x.txt").write_text("x")
    artifact = read_any(tmp_path / "x.txt", [FileReader("odd", "odd file", lambda probe: True, read_it)])
    assert artifact is not None and artifact.kind == "odd" and type(error).__name__ in artifact.problems[0]


def test_a_reader_that_stumbles_while_recognising_leaves_the_file_to_others(tmp_path: Path) -> None:
    def matches(probe: FileProbe) -> bool:
        raise ValueError("odd")

    (tmp_path / "x.log").write_text(x5_log())
    artifact = read_any(tmp_path / "x.log", [FileReader("odd", "odd", matches, lambda probe: Artifact("odd", "odd"))])
    assert artifact is not None and artifact.kind == "hb_mapper_log"


@pytest.mark.parametrize("name", ["ddr", "log"])
def test_inspect_says_what_it_could_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(TEXTS[name].replace("FPS=10.5", "FPS=1.2.3"))
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "x.log")])
    assert result.exit_code == 0 and "internal" not in result.output


def test_a_file_beside_the_model_that_cannot_be_read_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    """It is read after the measurement, which must be judged all the same."""
    plan = join(read_build([tmp_path / "gone.log"]), None, None)
    assert plan is not None and plan.problems == ("gone.log: no such file",)


def test_numbers_are_finite_and_counts_are_whole() -> None:
    assert [number_of(one) for one in ("1e999", "-1e999", MANY, "٣", "nan", "1.2.3")] == [None] * 6
    assert [count_of(one) for one in ("²", "٣", MANY, "-1", "")] == [None] * 5
    assert count_of("1,234") == 1234 and number_of(" -1.5e3 ") == -1500.0
    assert counts_of("1, 3,8,") == (1, 3, 8) and counts_of(f"1,{MANY}") is None
