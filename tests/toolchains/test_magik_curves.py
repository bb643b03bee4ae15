"""Symptoms from a transform log alone, without a run: which one, which side loses, and what a mean hides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.emulator.magik import printing
from harness.toolchains import board_readers, read_any
from harness.toolchains.records import Artifact
from tests.diagnosis.test_magik_findings import FINE, table
from tests.support import magik_texts

FALLING = [*FINE[:8], *[0.97 - 0.005 * i for i in range(12)]]


def read(text: str, folder: Path) -> Artifact:
    (folder / "transform.log").write_text(text)
    artifact = read_any(folder / "transform.log", *board_readers())
    assert artifact is not None
    return artifact


@pytest.mark.parametrize(
    ("cosines", "words"),
    [
        ([0.97, *FINE], "A (M-601): first layer layer_0_fwd 0.97000"),
        (FALLING, "B (M-602): first layer layer_0_fwd 0.99990, drops at layer_8_fwd 0.97000"),
        ([*FINE, 0.93], "C (M-603): first layer layer_0_fwd 0.99990, only the last ones drop: layer_20_fwd 0.93000"),
        (FINE, ""),
    ],
)
def test_a_log_alone_shows_the_guides_symptom(cosines: Sequence[float], words: str, tmp_path: Path) -> None:
    assert str(read(table(cosines), tmp_path).facts.get("symptom", "")).startswith(words)


@pytest.mark.parametrize(
    ("weights", "features", "words"),
    [(0.99, 0.92, "the features lose more"), (0.92, 0.99, "the weights lose more"), (0.95, 0.9505, "both alike")],
)
def test_both_fake_quant_tables_tell_which_side_loses(
    weights: float, features: float, words: str, tmp_path: Path
) -> None:
    sides = table([*FINE[:19], weights], "weight_fake_quant") + table([*FINE[:19], features], "feature_fake_quant")
    facts = read(table(FALLING) + sides, tmp_path).facts
    assert str(facts["losing_side"]).endswith(words) and "layer_19_fwd" in str(facts["losing_side"])
    assert "losing_side" not in read(table(FALLING) + table(FINE, "weight_fake_quant"), tmp_path).facts


def test_a_layer_with_a_good_mean_and_a_large_difference_is_named(tmp_path: Path) -> None:
    text = table(FINE)
    lines = text.splitlines()
    lines[7] = lines[7].replace("0.60000", "42.00000")
    name = lines[7].split()[0]
    assert str(read("\n".join(lines) + "\n", tmp_path).facts["outlier"]).startswith(f"{name} has a cosine of 99%")
    assert "outlier" not in read(text, tmp_path).facts


def test_a_console_names_its_errors_with_what_to_do(tmp_path: Path) -> None:
    artifact = read(magik_texts.BANNER + printing.error("Open model file [a.bin] failed.") + "\n", tmp_path)
    errors = [message for message in artifact.messages if message.severity == "error"]
    assert artifact.kind == "venus_log" and "a.bin cannot be opened" in errors[0].meaning
    alone = read("\x1b[0;32;31m[E/magik::venus]:\x1b[m Memory alloc failed.\n", tmp_path)
    assert "nmem" in alone.messages[0].meaning
