"""`harness compare` and `harness policy` as people call them: exit codes, tables that fit, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.reference.open import Reference
from tests.support.nets import board_folder, float_model, inputs_of, quantized_reference, spread


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Path]:
    """A reference, and beside it `good` and `bad` board folders."""
    folder = tmp_path_factory.mktemp("cli")
    reference = quantized_reference("pyramid", folder)
    board_folder(folder / "good", reference)
    board_folder(folder / "bad", reference, spread("relu9_out", reference, lambda x: x >> 1))
    return reference, folder


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_equal_folders_are_exit_code_0_and_say_how_much_was_compared(net: tuple[Reference, Path]) -> None:
    result = call("compare", net[1] / "reference", net[1] / "good")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("consistent: 11 of 11 layers, all exact")
    assert "compared 11 of 11 layers, 100.0% of bytes" in result.stdout


def test_a_difference_is_exit_code_1_with_the_origin_on_top(net: tuple[Reference, Path]) -> None:
    result = call("compare", net[1] / "reference", net[1] / "bad")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("diverges: conv8 (Conv): shift")
    table = [line for line in lines if "relu" in line or "_out" in line]
    assert "relu9_out" in table[0] and "ORIGIN" in table[0]
    assert "conv8: shift" in result.stdout and "output far" in result.stdout


def test_json_holds_every_row_and_nothing_else_is_on_stdout(net: tuple[Reference, Path]) -> None:
    result = call("compare", net[1] / "reference", net[1] / "bad", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1 and answer["verdict"]["word"] == "diverges"
    assert [layer["name"] for layer in answer["layers"]][:2] == ["images", "relu1_out"]
    assert answer["origins"][0]["op"] == "conv8" and answer["coverage"]["layers_total"] == 11


def test_csv_has_one_line_per_row(net: tuple[Reference, Path]) -> None:
    result = call("compare", net[1] / "reference", net[1] / "bad", "--csv")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert len(rows) == 12 and rows["relu9_out"]["role"] == "origin" and rows["relu9_out"]["fault"] == "shift"
    assert rows["relu1_out"]["verdict"] == "exact" and rows["mul11_out"]["single_max_step"] == "0.0"


def test_what_could_not_be_matched_is_listed_with_the_reason(net: tuple[Reference, Path], tmp_path: Path) -> None:
    board_folder(tmp_path, net[0], leave_out=("resize6_out", "concat7_out"))
    (tmp_path / "manifest.json").write_text(
        (tmp_path / "manifest.json").read_text(encoding="utf-8").replace('"relu3_out"', '"nobody"'), encoding="utf-8"
    )
    result = call("compare", net[1] / "reference", tmp_path)
    assert result.exit_code == 0
    assert "not compared (no_dump): no board dump of relu3_out, resize6_out, concat7_out" in result.stdout
    assert "not compared (no_reference): not in the reference: nobody" in result.stdout
    assert "compared 8 of 11 layers" in result.stdout


def test_nothing_comparable_is_exit_code_3(net: tuple[Reference, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "other_thing.npy", np.zeros(3))
    result = call("compare", net[1] / "reference", tmp_path)
    assert result.exit_code == 3 and result.stdout.startswith("not_comparable")


@pytest.mark.parametrize("missing", ["reference", "dumps"])
def test_a_folder_that_is_not_there_is_exit_code_2(net: tuple[Reference, Path], missing: str, tmp_path: Path) -> None:
    paths = {"reference": net[1] / "reference", "dumps": net[1] / "good", missing: tmp_path / "nowhere"}
    result = call("compare", paths["reference"], paths["dumps"])
    assert result.exit_code == 2 and "nowhere" in result.output


def test_an_unknown_platform_is_asked_wrongly(net: tuple[Reference, Path]) -> None:
    result = call("compare", net[1] / "reference", net[1] / "good", "--platform", "nonsense")
    assert result.exit_code == 2 and "nonsense" in result.output


def test_an_empty_folder_is_asked_wrongly(net: tuple[Reference, Path], tmp_path: Path) -> None:
    assert call("compare", net[1] / "reference", tmp_path).exit_code == 2


def test_an_onnx_is_run_for_its_reference(net: tuple[Reference, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", inputs_of(float_model("pyramid"), 5)["images"])
    given = (net[1] / "pyramid_quantized.onnx", net[1] / "good", "--input", tmp_path / "images.npy")
    assert call("compare", *given).exit_code == 0
    assert call("compare", *given[:2]).exit_code == 2


def test_plain_folders_get_their_graph_from_an_onnx(net: tuple[Reference, Path], tmp_path: Path) -> None:
    for name in ("reference", "bad"):
        (tmp_path / name).mkdir()
        for path in json.loads((net[1] / name / "manifest.json").read_text(encoding="utf-8"))["tensors"]:
            source, spec = net[1] / name / path["file"], path
            value = np.load(source) if source.suffix == ".npy" else np.fromfile(source, np.int8).reshape(spec["shape"])
            np.save(tmp_path / name / f"{path['name']}.npy", value)
    without = call("compare", tmp_path / "reference", tmp_path / "bad")
    assert without.exit_code == 1 and "first in file order" in without.stdout and "no graph" in without.stdout
    graph = call("compare", tmp_path / "reference", tmp_path / "bad", "--graph", net[1] / "pyramid_quantized.onnx")
    assert graph.exit_code == 1 and graph.stdout.startswith("diverges: conv8 (Conv)")


def test_a_policy_and_a_mapping_are_taken_from_files(net: tuple[Reference, Path], tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "policy: lenient\nrules:\n  - {name: all, dtypes: [integer], limits: {max_step: 255, mismatch_share: 1}}\n",
        encoding="utf-8",
    )
    result = call("compare", net[1] / "reference", net[1] / "bad", "--policy", policy)
    assert result.exit_code == 0 and "policy lenient" in result.stdout
    assert call("compare", net[1] / "reference", net[1] / "bad", "--policy", tmp_path / "none.yaml").exit_code == 2
    mapping = tmp_path / "m.yaml"
    mapping.write_text("near: no_such\n", encoding="utf-8")
    assert call("compare", net[1] / "reference", net[1] / "good", "--map", mapping).exit_code == 2


def test_a_stage_before_the_reference_makes_a_stage_comparison(net: tuple[Reference, Path]) -> None:
    assert call("reference", net[1] / "pyramid.onnx", "--input", _image(net[1]), "-o", net[1] / "float").exit_code == 0
    result = call("compare", net[1] / "reference", net[1] / "bad", "--stage", f"float={net[1] / 'float'}")
    assert "stage float to reference" in result.stdout and "first differing stage: board" in result.stdout
    assert call("compare", net[1] / "reference", net[1] / "bad", "--stage", "nonsense").exit_code == 2


def _image(folder: Path) -> Path:
    path = folder / "images.npy"
    np.save(path, inputs_of(float_model("pyramid"), 5)["images"])
    return path


def test_a_float_model_is_fed_with_the_input(net: tuple[Reference, Path]) -> None:
    argv = ["compare", net[1] / "reference", net[1] / "bad", "--float", net[1] / "pyramid.onnx"]
    assert call(*argv).exit_code == 2
    result = call(*argv, "--input", _image(net[1]))
    assert result.exit_code == 1 and "three-way: " in result.stdout and "noise ratio" in result.stdout


def test_the_noise_ratio_is_shown_where_a_float_reference_is_given(net: tuple[Reference, Path]) -> None:
    call("reference", net[1] / "pyramid.onnx", "--input", _image(net[1]), "-o", net[1] / "float")
    result = call("compare", net[1] / "reference", net[1] / "bad", "--float", net[1] / "float")
    assert "three-way: far: noise ratio" in result.stdout


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_fits_the_terminal(net: tuple[Reference, Path], columns: int) -> None:
    """On a real pseudo-terminal of that width no line is longer."""
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    code = "import sys; from harness.__main__ import main; sys.argv[0] = 'harness'; main()"
    argv = [sys.executable, "-c", code, "compare", str(net[1] / "reference"), str(net[1] / "bad"), "--all"]
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}  # they overrule the terminal
    environment = {**inherited, "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen(argv, stdout=follower, stderr=subprocess.DEVNULL, env=environment)
    os.close(follower)
    output = b""
    while chunk := _read(leader):
        output += chunk
    os.close(leader)
    assert process.wait(timeout=120) == 1
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode()).replace("\r", "").splitlines()
    start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("#"))
    stop = next(i for i, line in enumerate(lines) if line.startswith("conv8: "))
    assert stop > start + 10 and max(len(line) for line in lines[start:stop]) <= columns


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_names_that_steer_terminals_are_made_harmless(net: tuple[Reference, Path], tmp_path: Path) -> None:
    board_folder(tmp_path, net[0])
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    (tmp_path / "manifest.json").write_text(text.replace('"near"', '"\\u001b[2Jnear"'), encoding="utf-8")
    for more in ((), ("--csv",)):
        assert "\x1b" not in call("compare", net[1] / "reference", tmp_path, *more).stdout


# --------------------------------------------------------------------------- policy


def test_policy_show_prints_the_rules_and_the_limits_of_one_op() -> None:
    shown = call("policy", "show")
    assert shown.exit_code == 0 and "integers" in shown.stdout and "waivers" not in shown.stdout
    limits = json.loads(call("policy", "show", "--for", "Softmax", "--json").stdout)["limits"]
    assert limits["mismatch_share"] == 0.01
    assert json.loads(call("policy", "show", "--json").stdout)["policy"] == "default"


def test_policy_check_names_the_line_and_the_near_word(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("policy: p\nrules:\n  - name: a\n    limits: {max_stepp: 1}\n", encoding="utf-8")
    result = call("policy", "check", path)
    assert result.exit_code == 2 and "p.yaml:4" in result.output and "max_step" in result.output


def test_policy_check_is_red_for_an_expired_waiver(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("policy: p\nwaivers:\n  - {op: conv1, reason: ticket 12, until: 2001-01-01}\n", encoding="utf-8")
    result = call("policy", "check", path)
    assert result.exit_code == 1 and "expired on 2001-01-01" in result.output
    answer = json.loads(call("policy", "check", path, "--json").stdout)
    assert answer["expired"][0]["until"] == "2001-01-01"


def test_a_reference_in_the_place_of_the_dumps_is_exit_code_2(net: tuple[Reference, Path], tmp_path: Path) -> None:
    (tmp_path / "relu1_out.bin").write_bytes(b"x")
    result = call("compare", tmp_path, net[1] / "reference")
    assert result.exit_code == 2 and "swap them" in result.stderr


def _plain(folder: Path) -> Path:
    """A folder of two plain tensors."""
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", np.arange(6, dtype=np.float32))
    return folder


@pytest.mark.parametrize("place", ["reference", "dumps", "earlier"])
@pytest.mark.parametrize("kind", ["file", "folder", "manifest", "gone"])
def test_a_link_that_leads_out_of_a_folder_is_refused_by_its_name(tmp_path: Path, place: str, kind: str) -> None:
    """Whoever made the folder chose where it leads; what the user typed may be a link."""
    outside = _plain(tmp_path / "own")
    (outside / "manifest.json").write_text('{"format": 1, "tensors": []}')
    folders = {name: _plain(tmp_path / "given" / name) for name in ("reference", "dumps", "earlier")}
    name, target = {
        "file": ("c.npy", outside / "a.npy"),
        "folder": ("more", outside),
        "manifest": ("manifest.json", outside / "manifest.json"),
        "gone": ("c.bin", tmp_path / "gone.bin"),
    }[kind]
    (folders[place] / name).symlink_to(os.path.relpath(target, folders[place]))
    result = call("compare", folders["reference"], folders["dumps"], "--float", folders["earlier"])
    assert result.exit_code == 2 and result.stdout == ""
    assert f"{folders[place] / name}: a link to {target}, outside of {folders[place]}" in result.stderr
    assert "cp -rL" in result.stderr


def test_links_to_a_folder_and_inside_of_it_are_followed(tmp_path: Path) -> None:
    reference, dumps = _plain(tmp_path / "reference"), _plain(tmp_path / "dumps")
    (dumps / "b.npy").rename(dumps / "b.0.npy")
    (dumps / "b.npy").symlink_to("b.0.npy")
    (tmp_path / "typed").symlink_to(dumps)
    result = call("compare", reference, tmp_path / "typed", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["coverage"]["layers_compared"] == 2
