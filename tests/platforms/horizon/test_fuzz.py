"""Text that was cut, doubled, mixed, re-ordered or re-encoded: no reader crashes, and none invents a number."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.platforms import load
from harness.platforms.horizon.somstatus import read_somstatus
from harness.profiling import profile
from harness.records import ModelInfo
from tests.profile import WHOLE
from tests.support.horizon_fixtures import (
    BANNER_UCP,
    X3_SOMSTATUS,
    X5_SOMSTATUS,
    feature,
    nv12,
    perf_console,
    profiler_log,
    ucp_node,
    x5_info,
)
from tests.support.toolchain_samples import SAMPLES

PLATFORMS = [load("hbdnn"), load("ucp")]
ROUNDS = 20  # per text, in the fast suite


def own_texts() -> dict[str, str]:
    scaled = feature("318", (1, 8, 8, 4), "S32", stride="(2048,256,32,4,)", aligned_byte_size=2048)
    scaled |= {"quanti type": "SCALE", "scale data": "0.001,0.002,0.003,0.004,", "quantizeAxis": 3}
    zero = feature("z", (1, 5, 20, 300), "S8") | {
        "quanti type": "SCALE", "scale data": "(0.0077)", "zero_point data": "(3)", "stride": "(38400,7680,384,1)",
    }  # fmt: skip
    return {
        "own info": x5_info([nv12("images", 64, 96)], [scaled, feature("o", (1, 10))]),
        "own ucp info": x5_info([zero], [feature("o", (1, 10))], banner=BANNER_UCP),
        "own perf": perf_console(2.875, 321, 2, 498.625, 1),
        "own profiler": profiler_log(mean_ms=2.71828),
        "own ucp profiler": profiler_log(
            {"Node-0-BPU-c_bpu_segment_0": ucp_node(2.375)}, prefix="ucp_version: 3.7.3\n"
        ),
        "own somstatus x5": X5_SOMSTATUS,
        "own somstatus x3": X3_SOMSTATUS,
    }


def real_texts() -> dict[str, str]:
    folder = SAMPLES / "horizon-board"
    files = sorted(folder.glob("*.txt")) + sorted(folder.glob("*.log")) if folder.is_dir() else []
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in files}


TEXTS = own_texts() | real_texts()


# --------------------------------------------------------------------------- mutations

Mutation = Callable[[str, random.Random], str]


def cut(text: str, dice: random.Random) -> str:
    return text[: dice.randrange(len(text) + 1)]


def cut_front(text: str, dice: random.Random) -> str:
    return text[dice.randrange(len(text) + 1) :]


def doubled_lines(text: str, dice: random.Random) -> str:
    return "\n".join(line for line in text.split("\n") for _ in range(dice.choice((1, 1, 1, 2))))


def doubled(text: str, dice: random.Random) -> str:
    return text + cut_front(text, dice)


def lost_lines(text: str, dice: random.Random) -> str:
    return "\n".join(line for line in text.split("\n") if dice.random() > 0.15)


def shuffled(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    start = dice.randrange(len(lines))
    part = lines[start : start + 12]
    dice.shuffle(part)
    return "\n".join([*lines[:start], *part, *lines[start + 12 :]])


def interleaved(text: str, dice: random.Random) -> str:
    other = iter(dice.choice(list(TEXTS.values())).split("\n"))
    mixed: list[str] = []
    for line in text.split("\n"):
        mixed.append(line)
        if dice.random() < 0.4:
            mixed.append(next(other, ""))
    return "\n".join(mixed)


def joined_lines(text: str, dice: random.Random) -> str:
    return "".join(line + ("" if dice.random() < 0.2 else "\n") for line in text.split("\n"))


def re_encoded(text: str, dice: random.Random) -> str:
    source, target = dice.choice((("utf-8", "latin-1"), ("utf-16", "utf-8"), ("gbk", "utf-8"), ("utf-8", "ascii")))
    return text.encode(source, "replace").decode(target, "replace")


def wrong_bytes(text: str, dice: random.Random) -> str:
    characters = list(text)
    for _ in range(5):
        at = dice.randrange(len(characters) + 1)
        characters.insert(at, dice.choice('\x00\x1b[31m\r\n,:(){}[]"-.0９٣eE\ufffd运行时间 '))
    return "".join(characters)


def crlf(text: str, dice: random.Random) -> str:
    return text.replace("\n", dice.choice(("\r\n", "\r", "\n\n")))


MUTATIONS: tuple[Mutation, ...] = (
    cut,
    cut_front,
    doubled_lines,
    doubled,
    lost_lines,
    shuffled,
    interleaved,
    joined_lines,
    re_encoded,
    wrong_bytes,
    crlf,
)

# --------------------------------------------------------------------------- numbers

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def numbers_in(text: str) -> set[float]:
    return {float(token) for token in _NUMBER.findall(re.sub(r"[\x00]|\x1b\[[0-9;]*m", "", text)) if len(token) < 300}


def is_known(value: float, numbers: set[float], factors: tuple[float, ...]) -> bool:
    value = abs(value)
    return any(
        value * factor in numbers or any(abs(n - value * factor) <= 1e-9 * n for n in numbers) for factor in factors
    )


def info_numbers(info: ModelInfo) -> Iterator[float]:
    if info.load_us is not None:
        yield info.load_us / 1000.0
    for spec in (*info.inputs, *info.outputs):
        yield from spec.shape
        yield from spec.aligned_shape
        yield from spec.stride_bytes
        if spec.aligned_bytes is not None:
            yield spec.aligned_bytes
        if spec.quantization and info_has_scales(spec.quantization.scales):
            yield from spec.quantization.scales


def info_has_scales(scales: tuple[float, ...]) -> bool:
    """SHIFT data turn into powers of two, which are not in the text."""
    return any(math.frexp(scale)[0] != 0.5 for scale in scales)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_reader_crashes_or_invents_a_number(name: str, tmp_path: Path) -> None:
    mutate_and_check(name, ROUNDS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_reader_crashes_or_invents_a_number_in_many_rounds(name: str, tmp_path: Path) -> None:
    mutate_and_check(name, (20 if WHOLE else 5) * ROUNDS, tmp_path)


def mutate_and_check(name: str, rounds: int, folder: Path) -> None:
    dice = random.Random(f"{name} {rounds}")
    for _ in range(rounds):
        text = TEXTS[name]
        for mutation in dice.sample(MUTATIONS, dice.choice((1, 1, 2))):
            text = mutation(text, dice)
        check_all(text, folder)


def check_all(text: str, folder: Path) -> None:
    (folder / "profiler.log").write_text(text, encoding="utf-8", errors="replace")
    text = (folder / "profiler.log").read_text(encoding="utf-8")
    numbers, visible = numbers_in(text), text.replace("\x00", "")
    for platform in PLATFORMS:
        info = platform.read_model_info(text)
        for value in info_numbers(info):
            assert is_known(value, numbers, (1.0,)), (value, text)
        for key, version in platform.read_versions(text).items():
            assert key == "bpulib" or version in visible, (version, text)
        check_times(platform, text, folder, numbers)
        for mode in ("info", "release", "debug", "profile"):
            platform.read_failure(mode, 0, text, ())
            platform.read_failure(mode, 1, text, ("profiler.log",))
        platform.read_input_facts(info)
    for sense in read_somstatus(text):
        for where in (sense.temperatures_c, sense.clocks_mhz, sense.max_clocks_mhz, sense.load_percent):
            for value in where.values():
                assert is_known(value, numbers, (1.0, 1e3, 1e6)), (value, text)


def check_times(platform: object, text: str, folder: Path, numbers: set[float]) -> None:
    hbdnn = load("hbdnn") if platform is PLATFORMS[0] else load("ucp")
    ops = hbdnn.read_ops(folder, text)
    latency = hbdnn.read_latency(folder, text)
    values = [v for op in ops for v in (op.mean_us, op.min_us, op.max_us, *op.figures.values()) if v is not None]
    if latency is not None:
        mean = [] if latency.samples_us else [latency.mean_us]
        spread = [v for v in (latency.min_us, latency.max_us, latency.total_us) if v is not None]
        values += [*mean, *latency.samples_us, *spread]
        for exact in (latency.fps, latency.frames):
            assert exact is None or latency.samples_us or is_known(exact, numbers, (1.0,)), (exact, text)
        profile(latency, ops)
    for value in values:
        assert is_known(value / 1000.0, numbers, (1.0,)), (value, text)


@pytest.mark.parametrize(
    "line",
    [
        "name:" + " " * 40_000 + "x",
        "(" * 40_000,
        "{" * 40_000,
        "1," * 20_000,
        '"a": {' * 8_000,
        "1 " * 20_000 + "x",
    ],
    ids=["blanks", "brackets", "braces", "list", "nested", "row"],
)
def test_one_endless_line_does_not_stop_a_reader(line: str, tmp_path: Path) -> None:
    text = f"output[0]:\n{line}\nscale data: {line}\ncpu0: {line}\nmodel_latency\n"
    check_all(text + '{"model_latency": ' + line, tmp_path)
