"""Damaged toolchain files: never a crash, never a number that the whole file does not hold.

Every number that a damaged copy gives must be the number that the same row of the whole file gives.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.toolchains import read_any
from harness.toolchains.horizon.debug import read_qat_table, read_sensitivity
from harness.toolchains.horizon.files import read_advice, read_model_desc, read_node_info, read_quant_info
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.horizon.perf import read_perf
from harness.toolchains.horizon.verifier import read_verifier
from harness.toolchains.records import Artifact
from harness.toolchains.text import decode
from tests.support.toolchain_samples import TOOLCHAIN, sample, x5_log

FOREIGN = (
    "W1120 12:00:00.123456 4242 engine.cpp:77] foreign 0.123456 line\n",
    "\x1b[31m[E] 2026-11-20 12:00:00 other tool 99.5 us\x1b[0m\n",
    "校准数据 正在加载 55%|#####     | 5/9\n",
)
TABLES = (
    "x3_2021_lenet_makertbin_caffe.txt",
    "x5_2024_readme_repvgg_tables.txt",
    "x5_2024_readme_yolov8_cn.txt",
    "x5_bear_hb_mapper_checker.log",
    "x5_bear_hb_mapper_makertbin.log",
    "x5_hb_mapper_log_yolov8n_seg.txt",
    "j6p_hb_compile_calibration.log",
    "j6p_hb_verifier_onnx_vs_bc.log",
    "x5_doc_hb_verifier_mismatch.txt",
    "x3_doc_sensitivity_table.txt",
    "bayes_doc_qat_similarity.txt",
    "x3_2022_hb_perf.log",
)
STRUCTURED = ("x5_bear_quant_info.json", "bayes_doc_perf_model_dict.txt", "j6p_hrt_model_exec_model_info.log")
READERS: tuple[Callable[[str], Artifact], ...] = (
    read_build_log,
    read_quant_info,
    read_node_info,
    read_advice,
    read_model_desc,
    read_perf,
    read_verifier,
    read_sensitivity,
    read_qat_table,
)


def cut(text: str, dice: random.Random) -> str:
    return text[: dice.randrange(len(text))]


def cut_in_front(text: str, dice: random.Random) -> str:
    return text[dice.randrange(len(text)) :]


def cut_rows(text: str, dice: random.Random) -> str:
    """Rows of a table lose their ends, as a narrow terminal or an editor does."""
    lines = text.split("\n")
    rows = [i for i, line in enumerate(lines) if " id(" in line or "  --  " in line]
    for index in dice.sample(rows, min(5, len(rows))):
        lines[index] = lines[index][: dice.randrange(len(lines[index]) + 1)]
    return "\n".join(lines)


def doubled(text: str, dice: random.Random) -> str:
    return "\n".join(line for line in text.split("\n") for _ in range(dice.choice((1, 1, 1, 2))))


def interleaved(text: str, dice: random.Random) -> str:
    for _ in range(12):
        place = dice.randrange(len(text))
        text = text[:place] + dice.choice(FOREIGN) + text[place:]
    return text


def reordered(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(20):
        a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines)


def re_encoded(text: str, dice: random.Random) -> str:
    return decode(text.encode(dice.choice(("utf-16", "gb18030", "utf-8-sig"))))[0]


DAMAGE = (cut, cut_in_front, cut_rows, doubled, interleaved, reordered, re_encoded)


def numbers(artifact: Artifact) -> dict[tuple[Any, ...], set[float]]:
    """Every number of an artifact under the row and field that it belongs to."""
    by_place: dict[tuple[Any, ...], set[float]] = {}

    def put(value: float | int | None, *key: Any) -> None:
        if value is not None:
            by_place.setdefault(key, set()).add(float(value))

    for n in artifact.nodes:
        put(n.cosine, "node", n.name, "cosine")
        put(n.quantized_cosine, "node", n.name, "quantized")
        put(n.threshold, "node", n.name, "threshold")
        put(n.subgraph, "node", n.name, "subgraph")
    for o in artifact.outputs:
        for field in ("cosine", "l1", "l2", "chebyshev"):
            put(getattr(o, field), "output", o.name, field)
    for e in artifact.estimates:
        for field in ("fps", "latency_us", "ddr_bytes"):
            put(getattr(e, field), "estimate", e.subgraph, field)
    for s in artifact.similarities:
        for metric, value in s.metrics.items():
            put(value, "similarity", s.name, metric)
    for key, value in artifact.facts.get("memory_bytes", {}).items():
        put(value, "memory", key)
    return by_place


def assert_nothing_invented(whole: Artifact, damaged: Artifact) -> None:
    truth = numbers(whole)
    for key, values in numbers(damaged).items():
        assert key in truth, f"{key} is not in the whole file"
        assert values <= truth[key], f"{key}: {values} against {truth[key]}"


def read_text(text: str, folder: Path) -> Artifact | None:
    path = folder / "damaged.txt"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    return read_any(path)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", TABLES)
def test_damaged_real_output_invents_no_number(name: str, damage: Callable[..., str], tmp_path: Path) -> None:
    text = sample(name).read_text(encoding="utf-8")
    whole = read_any(sample(name))
    assert whole is not None
    dice = random.Random(f"{name} {damage.__name__}")
    for _ in range(4):
        damaged = read_text(damage(text, dice), tmp_path)
        if damaged is not None:
            assert_nothing_invented(whole, damaged)


@pytest.mark.parametrize("damage", [cut, interleaved, re_encoded], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", STRUCTURED)
def test_damaged_json_gives_all_or_nothing(name: str, damage: Callable[..., str], tmp_path: Path) -> None:
    text = sample(name).read_text(encoding="utf-8")
    whole = read_any(sample(name))
    assert whole is not None
    dice = random.Random(name)
    for _ in range(6):
        damaged = read_text(damage(text, dice), tmp_path)
        if damaged is not None and damaged.kind == whole.kind:
            assert_nothing_invented(whole, damaged)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_damaged_own_log_invents_no_number(damage: Callable[..., str]) -> None:
    whole = read_build_log(x5_log())
    for seed in range(60):
        damaged = read_build_log(damage(x5_log(), random.Random(seed)))
        assert_nothing_invented(whole, damaged)


def test_every_prefix_of_a_node_info_file_gives_whole_rows_only() -> None:
    text = (
        "Node,NodeType,ON,Threshold,Calibrated Cosine,Quantized Cosine,Output Data Type\n"
        "/a/Conv,Conv,BPU,2.605142,0.999893,0.999959,si8\n/a/Relu,Relu,BPU,fused,0.999961,0.999959,f32,si16\n"
    )
    whole = read_node_info(text)
    for end in range(len(text)):
        assert_nothing_invented(whole, read_node_info(text[:end]))


def test_every_prefix_of_an_own_log_gives_true_numbers_only() -> None:
    text = x5_log()
    whole = read_build_log(text)
    for end in range(0, len(text), 3):
        part = read_build_log(text[:end])
        assert_nothing_invented(whole, part)
        assert part.versions.items() <= whole.versions.items()
        assert part.march in ("", whole.march)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: decode(b)[0]))
def test_no_reader_raises_on_any_text(text: str) -> None:
    for reader in READERS:
        assert isinstance(reader(text), Artifact)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "inputs",
                        "thresholds",
                        "cosine_similarity",
                        "backend",
                        "tensor_names",
                        "x",
                        "summary",
                        "layer details",
                        "FPS",
                        "latency (us)",
                        "model_output_tensor",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_reader_raises_on_any_json(value: Any) -> None:
    import json

    for reader in (read_quant_info, read_advice, read_perf):
        assert isinstance(reader(json.dumps(value)), Artifact)
        assert isinstance(reader(json.dumps({"summary": value})), Artifact)


def test_binary_rubbish_in_the_samples_folder_is_no_crash(tmp_path: Path) -> None:
    if not TOOLCHAIN.is_dir():
        pytest.skip("real vendor output is not here (set HARNESS_SAMPLES)")
    data = sample("x5_bear_hb_mapper_checker.log").read_bytes()
    dice = random.Random(7)
    for _ in range(10):
        rubbish = bytearray(data)
        for _ in range(200):
            rubbish[dice.randrange(len(rubbish))] = dice.randrange(256)
        (tmp_path / "x.log").write_bytes(bytes(rubbish))
        read_any(tmp_path / "x.log")


LONG = {
    "blanks": "a" + " " * 200_000 + "x\n",
    "words": "ab " * 60_000 + "\n",
    "setting": "############# x info #############\n" + "a " * 50_000 + "\n",
    "rule": "=" * 100_000 + "x",
    "pipes": "| " * 100_000,
    "braces": "{" * 100_000,
    "quotes": '{"a":{"' * 20_000,
    "stamps": "2026-01-02 03:04:05,678 INFO x" * 20_000,
    "escapes": "\x1b[" * 100_000 + "\x1b]" * 100_000,
    "estimate": "FPS=1, latency = 2 us" + " " * 100_000,
}


@pytest.mark.parametrize("name", LONG)
def test_a_hostile_long_line_does_not_hang_a_reader(name: str, tmp_path: Path) -> None:
    """Each of these took minutes with a pattern that backtracks; the test would not end."""
    for reader in READERS:
        assert isinstance(reader(LONG[name]), Artifact)
    (tmp_path / "x.log").write_text(LONG[name])
    read_any(tmp_path / "x.log")
