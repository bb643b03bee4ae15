"""Output of Venus programs as the tests make it: the vendor's formats, our own figures."""

from __future__ import annotations

import random

import pytest

from harness.emulator.magik.printing import END, GREEN, Timed, tables
from tests.support.toolchain_samples import SAMPLES

MAGIK = SAMPLES / "magik"


def captured(name: str) -> str:
    """Text of a real capture; the test is skipped where the samples are not."""
    path = MAGIK / name
    if not path.is_file():
        pytest.skip(f"real vendor output is not here: {MAGIK} (set HARNESS_SAMPLES)")
    return path.read_text(encoding="utf-8", errors="replace")


def info(text: str) -> str:
    return f"{GREEN}INFO(magik): {text}{END}\n"


BANNER = (
    "The soc-nna version is 20220525\n"
    + info("venus memory map size: 0")
    + info("venus version:0.9.6.2.ALPHA(00000906_0a1b2c3)  built:20220721-2110(7.2.0 r5.1.3 glibc2.29 mips@NNA1)")
    + info("model version:0.9.6.NNA1_0a1b2c3 ")
)
OLD_DRIVER = "Warning : The version number is not obtained. Please upgrade the soc-nna!\n"
RELEASE = (
    BANNER
    + "ori_image w,h: 100 ,200 \nmodel-->64 ,64 4 \ninput shape:\n-->64 64 \nscale---> 0.320000\n"
    + "test_net run time_ms:12.345000ms\npad_x:19 pad_y:0 scale:0.320000 \npost net time_ms:0.678000ms\n"
    + "box:   5 40 57 109 0.88 \nbox:   -3 24 79 112 0.73 \n"
)


def timed_ops(count: int, seed: int = 0) -> list[Timed]:
    """Ops with names that are short, long and repeated."""
    source = random.Random(seed)
    names = ["414_Quantize", "AppendInputOutputNOpOptimizer_input_nop_0_BatchNormScale", "427", "format_convert_0"]
    names += ["format_convert_1", "layer_116_QuantizeFeature", "layer_117_QuantizeFeature"]
    kinds = ["Convolution", "Normalize", "Add", "FormatConvert", "FormatConvert", "Convolution", "Convolution"]
    made = []
    for i in range(count):
        least = source.uniform(0.02, 9.0)
        filters = "{3,3,32,64}" if kinds[i % 7] == "Convolution" else "N/A"
        shapes = ("{1,96,160,64}", "{1,48,80,128}", filters, "{2,2}", "{1,1,1,1}", "N/A")
        average, most = least * 1.01, least * 1.1
        name = names[i % 7] + ("" if i < 7 else f"_{i}")
        work = (source.uniform(0, 2), source.uniform(0, 3), source.uniform(0, 600))
        made.append(Timed(name, kinds[i % 7], shapes, average, most, least, average, *work))
    return made


def profile(layout: str, count: int = 9, cycles: int = 10) -> str:
    return RELEASE + "\n".join(tables(layout, timed_ops(count), cycles)) + "\n"
