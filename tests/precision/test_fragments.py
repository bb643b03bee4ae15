"""Any choice of any offered option, on every march: lint accepts what is written, and no list refuses what it names."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from harness.emulator.rooms import room_of_soc, socs
from harness.errors import ConfigError, InputError
from harness.precision.base import FLOAT, ConfigTarget, TypeChange, room_of
from harness.precision.figures import SQNR
from harness.precision.magik.vendor import PICTURES
from harness.precision.prepared import prepare
from harness.precision.sensitivity import NO_TASK
from harness.precision.tune import Wanted, linted, tune
from tests.cli.answers import answer_of
from tests.precision import nets
from tests.precision.test_tune import silent
from tests.support.builds import harness
from tests.support.toolchain_samples import SAMPLES

TABLE = SAMPLES.parent / "research" / "op_support.csv"
OF_ZOO = {("bayes-e", "Conv"), ("bayes-e", "GlobalAveragePool")}  # the vendor's model zoo builds them so
DUAL = ("Conv", "ConvTranspose", "MatMul", "Gemm")  # article on dual int16
EC_WEIGHTS = ("Conv", "ConvTranspose", "MatMul")
SOCS = ("x3", "j5", "x5", "j6e", "j6p", "t40", "t41")


def rows() -> dict[str, dict[str, bool]]:
    """March -> op -> whether its row states int16."""
    if not TABLE.is_file():
        pytest.skip("no op_support.csv beside the samples")
    table: dict[str, dict[str, bool]] = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            stated = row["int16"] == "yes" or (row["march"], row["op"]) in OF_ZOO
            table.setdefault(row["march"], {})[row["op"]] = stated
    return table


def one_of_each(folder: Path, kinds: list[str]) -> Path:
    """A file with a node of every type, in a row: what lint reads of a model are names, types, inputs and outputs."""
    nodes = [helper.make_node(kind, [f"t{i}"], [f"t{i + 1}"], f"the_{kind}") for i, kind in enumerate(kinds)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("t0", f"t{len(kinds)}")]
    graph = helper.make_graph(nodes, "row", ends[:1], ends[1:])
    path = folder / "row.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), path)
    return path


def named(text: str, march: str) -> dict[str, dict[str, str]]:
    """Node -> its settings, as they stand in what was written."""
    values = yaml.safe_load(text)
    if march == "bernoulli2":
        names = values["calibration_parameters"].get("run_on_cpu", "")
        return {name: {"ON": "CPU"} for name in names.split(";") if name}
    if march.startswith("nash"):
        return dict(values["calibration_parameters"]["quant_config"].get("node_config", {}))
    if march.startswith("nna"):
        return {name: {"ON": "CPU"} for name in values["skip_node_quant"]}
    return dict(values["model_parameters"].get("node_info", {}))


def is_allowed(setting: dict[str, str], kind: str, states_int16: bool, march: str) -> bool:
    """By the operator list alone, not by the code that proposes."""
    wide = {key for key, value in setting.items() if value == "int16"}
    if not wide and "ec" not in setting.values():
        return setting in ({"ON": "CPU"}, {"qtype": "float32"})
    if not march.startswith("nash"):
        return states_int16 and set(setting) == {"InputType", "OutputType"} == wide
    if "input1" in setting:
        return states_int16 and kind in (EC_WEIGHTS if setting["input1"] == "ec" else DUAL)
    return states_int16 and setting == {"qtype": "int16"}


@dataclass(frozen=True)
class FragmentPlace:
    """A chip with a file that has a node of every op of its list, and samples of either kind."""

    soc: str
    kinds: tuple[str, ...]
    stated: Mapping[str, bool]  # op -> whether the list states int16
    folder: Path
    target: ConfigTarget


@pytest.fixture(scope="module", params=SOCS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FragmentPlace:
    soc, folder = request.param, tmp_path_factory.mktemp(request.param)
    chip, table = socs()[soc], rows()
    march = "nash" if chip.march.startswith("nash") else chip.march
    kinds = sorted(table.get(march, table["bayes-e"]))
    path = one_of_each(folder, kinds)
    for name in (PICTURES, "cal"):
        (folder / name).mkdir()
    for i in range(12):
        Image.new("RGB", (8, 8)).save(folder / PICTURES / f"{i}.png")
        np.save(folder / "cal" / f"{i}.npy", np.zeros((1, 3, 8, 8), np.float32))
    inputs, outputs = (("t0", (1, 3, 8, 8)),), (f"t{len(kinds)}",)
    target = ConfigTarget(path, chip, folder / "cal", inputs, frozenset({"the_Conv"}), 12, outputs)
    return FragmentPlace(soc, tuple(kinds), table.get(march, {}), folder, target)


@pytest.mark.slow
@settings(max_examples=300 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 5)
@given(data=st.data())
def test_no_fragment_names_what_the_march_refuses_and_lint_accepts_it(
    place: FragmentPlace, data: st.DataObject
) -> None:
    march, vendor = place.target.soc.march, room_of(place.target.soc)
    chosen = data.draw(st.lists(st.sampled_from(place.kinds), min_size=4, max_size=12, unique=True))
    options = {kind: data.draw(st.sampled_from(vendor.options(march, kind))) for kind in chosen}
    check(place, [TypeChange(f"the_{kind}", kind, option, "because") for kind, option in options.items()])


def test_every_option_of_every_listed_op_at_once(place: FragmentPlace) -> None:
    """The n-th option of every op, until no op has one: all that could ever be proposed, in few files."""
    march, vendor = place.target.soc.march, room_of(place.target.soc)
    options = {kind: vendor.options(march, kind) for kind in place.kinds}
    for number in range(max(map(len, options.values()))):
        check(
            place,
            [
                TypeChange(f"the_{kind}", kind, of[number], "because")
                for kind, of in options.items()
                if number < len(of)
            ],
        )


def check(place: FragmentPlace, changes: list[TypeChange]) -> None:
    march = place.target.soc.march
    config = room_of(place.target.soc).write(place.target, changes)
    for file, text in config.files.items():
        (place.folder / file).write_text(text)
    first = next(iter(config.files))
    findings = linted(place.folder / first, place.target.model, config.command)
    assert [one for one in findings if one.severity == "error"] == []
    written = named(config.files[first], march)
    assert written.keys() == {change.op for change in changes}
    for change in changes:
        assert is_allowed(written[change.op], change.kind, place.stated.get(change.kind, False), march), change


def test_what_no_list_allows_is_refused_here() -> None:
    """A near miss of the oracle itself: int16 of a MatMul on X5, and `ec` of an Add on J6."""
    assert not is_allowed(
        {"InputType": "int16", "OutputType": "int16"}, "MatMul", rows()["bayes-e"]["MatMul"], "bayes-e"
    )
    assert not is_allowed({"input0": "int16", "input1": "ec"}, "Add", True, "nash-e")
    assert not is_allowed({"qtype": "int16"}, "Gather", False, "nash-e")


# --------------------------------------------------------------------------- Magik


def test_magiks_json_names_what_is_left_out_and_the_text_beside_it_says_why(tmp_path: Path) -> None:
    path, folder = nets.outlier_mobilenet(tmp_path)
    subject = prepare(path, socs()["t40"], folder, {})
    proposal = tune(subject, Wanted(SQNR, 30.0, NO_TASK), tmp_path / "out", silent)
    assert proposal.is_good and 0 < proposal.changed <= proposal.nodes / 3
    assert [one for one in proposal.findings if one.severity == "error"] == []
    values = json.loads(proposal.files[0].read_text())
    names = [change.op for change in proposal.tuned.chosen.changes]
    assert values["skip_node_quant"] == names and values["feature_quantize_bits"] == 8
    why = proposal.files[1].read_text()
    assert all(f"  {name}: " in why for name in names) and "Not emulated" in why and "Not known" in why
    bits = json.loads(proposal.files[2].read_text())
    assert bits == {name: {"QUANT_FEATURE_BIT": 12} for name in names}
    assert len(list((tmp_path / "out" / PICTURES).glob("*.png"))) == nets.SAMPLES


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"skip_node_quant": "conv"}, ConfigError, "no list of names"),
        ({"skip_op_quant": ["Conv"]}, InputError, "not emulated"),
        ({"feature_quantize_bits": 12}, InputError, "8 bits only"),
        ([], ConfigError, "no list of names"),
    ],
)
def test_what_is_not_emulated_of_a_ptq_json_is_refused(
    tmp_path: Path, values: Any, error: type[Exception], words: str
) -> None:
    (tmp_path / "ptq.json").write_text(json.dumps(values))
    with pytest.raises(error, match=words):
        room_of_soc(socs()["t40"]).node_settings(tmp_path / "ptq.json", socs()["t40"])


def test_a_model_without_a_picture_is_none_for_magik(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    target = ConfigTarget(path, socs()["t41"], folder, (("x", (1, 12, 24)),))
    with pytest.raises(InputError, match="no picture"):
        room_of(target.soc).write(target, [TypeChange("softmax", "Softmax", FLOAT, "because")])


@pytest.mark.slow
def test_magiks_build_runs_on_the_emulated_board(tmp_path: Path) -> None:
    nets.outlier_mobilenet(tmp_path)
    result = harness(
        "tune",
        "net.onnx",
        "--calibration",
        "cal",
        "--soc",
        "t40",
        "--reach",
        "30",
        "--samples",
        "2",
        "--json",
        cwd=tmp_path,
    )
    answer = answer_of(result.stdout, "tune")
    assert result.returncode == 0, result.stderr
    assert answer["board"]["board"] == "emu-t40" and answer["board"]["is_reached"]
    assert answer["board"]["value"] == pytest.approx(answer["verified"]["value"], abs=0.01)
