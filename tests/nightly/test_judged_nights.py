"""Nights that are judged by their history, on real boards' stand-ins by the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.nightly.lab import SUITE, Lab, planted, words
from tests.support.emulator_kit import branched_model, compile_to

TIMES = "times: {model: net.bin, modes: [profile]}"
SLOWER = planted("slow@conv2:by=1.09")  # about 3 % of the frame


def seed(lab: Lab, nights: int) -> None:
    """Earlier nights that measured what the first one did."""
    first = lab.newest()
    text = (first / "night.json").read_text()
    for day in range(1, nights + 1):
        stamp = f"202610{day:02d}T010000Z"
        folder = first.parent / stamp
        folder.mkdir()
        value = json.loads(text.replace(first.name, stamp))
        for record in (value, *value["cells"]):
            record["started_utc"] = f"2026-10-{day:02d}T01:00:00Z"
        for cell in value["cells"]:
            cell["run"] = ""
            cell["latency"]["median_us"] *= 1 + 0.001 * (day % 3 - 1)
        (folder / "night.json").write_text(json.dumps(value))
    shutil.rmtree(first)


def with_one_more_op() -> onnx.ModelProto:
    """An op that the accelerator has not: the CPU computes it, and the frame takes longer."""
    model = branched_model()
    pool = next(node for node in model.graph.node if node.name == "pool")
    more = onnx.helper.make_node("Softmax", [pool.input[0]], ["more"], name="more", axis=1)
    model.graph.node.insert(list(model.graph.node).index(pool), more)
    pool.input[0] = "more"
    return model


def latency(night: dict[str, Any], board: str) -> dict[str, Any]:
    (cell,) = [cell for cell in night["cells"] if cell["board"] == board]
    value: dict[str, Any] = cell["latency"]
    return value


@pytest.mark.slow
def test_a_board_that_becomes_three_percent_slower_is_found_on_the_third_night_and_nothing_else_is(
    tmp_path: Path,
) -> None:
    lab = Lab(tmp_path, {"b1": "", "b2": ""})
    lab.write_suite([TIMES], SUITE)
    assert lab.nightly()[0] == 0
    seed(lab, 14)
    lab.write_hosts({"b1": SLOWER, "b2": ""})
    for number in (1, 2, 3):
        code, night = lab.nightly()
        assert 2.5 < latency(night, "b1")["percent"] < 3.5
        seen = words(night)
        assert seen["times", "b2"] == "pass" and latency(night, "b2").get("alarm", "") == ""
        if number < 3:
            assert (code, seen["times", "b1"], latency(night, "b1")["alarm"]) == (0, "pass", "waiting")
            assert night["incidents"] == night["tickets"] == []
    assert (code, seen["times", "b1"], latency(night, "b1")["alarm"]) == (3, "slower", "lasting")
    assert [(one["board"], one["kind"]) for one in night["incidents"]] == [("b1", "slower")]
    assert night["tickets"] == []


@pytest.mark.slow
def test_a_slower_model_is_confirmed_in_one_sitting_on_its_first_night(tmp_path: Path) -> None:
    """The last good model comes from the store; the same change on a known night needs no second sitting."""
    lab = Lab(tmp_path, {"b1": ""})
    lab.write_suite([TIMES], SUITE)
    assert lab.nightly()[0] == 0
    seed(lab, 14)
    compile_to(tmp_path, with_one_more_op(), name="net")
    code, night = lab.nightly()
    measured = latency(night, "b1")
    assert (words(night)["times", "b1"], measured["alarm"]) == ("slower", "confirmed"), measured
    assert measured["sitting"]["pairs"] == 8 and measured["sitting"]["p"] < 0.01
    assert (code, [one["word"] for one in night["tickets"]]) == (1, ["slower"])
    sittings = {path.name for path in (lab.newest() / "sittings").iterdir()}
    assert sittings == {"times.last-good", "times.tonight"}
    code, night = lab.nightly()
    assert (words(night)["times", "b1"], latency(night, "b1")["alarm"]) == ("slower", "known")
    assert not (lab.newest() / "sittings").exists()
