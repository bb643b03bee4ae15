"""A run on emu-x5 with two faults, packed, opened in another empty folder: same ops and kinds, nothing private."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.files.archives import write_archive
from tests.support.builds import harness_here
from tests.support.emulator_kit import branched, input_file, kit_quantized

pytestmark = pytest.mark.slow
FAULTS = ("--fault", "wrong_pads@conv2", "--fault", "bias_dropped@conv4")
KINDS = {"conv2": "padding", "conv4": "bias"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that blames two ops; its own name is private."""
    folder = tmp_path_factory.mktemp("customer-secret")
    model, source = branched(), input_file(folder)
    words = ["run", model, "--board", "emu-x5", "--input", f"x={source}", "--reference", kit_quantized(model)]
    result = harness_here(*words, "--no-stages", "--mode", "debug", *FAULTS, cwd=folder)
    assert result.returncode == 1, result.stderr
    return folder


def packed(home: Path, *options: str) -> tuple[Path, dict[str, Any]]:
    archive = home / f"{'-'.join(options).strip('-') or 'plain'}.zip"
    result = harness_here("bundle", "runs", "-o", archive, "--json", *options, cwd=home)
    assert result.returncode == 0, result.stderr
    return archive, json.loads(result.stdout)


@pytest.mark.parametrize("level", ["names", "op"])
def test_another_folder_names_the_same_ops_and_kinds(home: Path, tmp_path: Path, level: str) -> None:
    archive, made = packed(home, "--redact", level)
    assert {one["op"]["op"]: one["op"]["kind"] for one in made["ops"]} == KINDS
    result = harness_here("unbundle", archive, "-o", "new", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert {one["replayed"]["op"]: one["replayed"]["kind"] for one in answer["ops"]} == KINDS
    assert all(one["replayed"]["by"] == "op.onnx" and one["replayed"]["same"] for one in answer["ops"])


def test_the_strictest_level_holds_nothing_private(home: Path) -> None:
    archive, made = packed(home, "--redact", "op")
    with zipfile.ZipFile(archive) as opened:
        everything = b"\n".join([name.encode() + b"\n" + opened.read(name) for name in opened.namelist()])
    words = [socket.gethostname(), str(Path.home()), str(home), str(Path.cwd()), home.name, "emu-x5"]
    words += [getpass.getuser()] if len(getpass.getuser()) > 3 and getpass.getuser() != "root" else []
    run = json.loads(next(home.rglob("run.json")).read_text())
    words += [run["board"]["facts"]["boot"], run["host"]["cache"], run["board"]["facts"]["work"]]
    text = everything.decode("latin-1")
    assert [word for word in words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)] == []
    assert all(name.startswith("ops/") or name == "README.txt" for name in (file["name"] for file in made["files"]))


def test_the_weights_stay_with_the_user(home: Path) -> None:
    _, made = packed(home, "--redact", "weights")
    names = [file["name"] for file in made["files"]]
    assert not [name for name in names if name.startswith("model/")]
    assert "run.json" in names and any(name.startswith("logs/debug/") for name in names)


def test_the_report_of_a_bundle_is_a_report(home: Path, tmp_path: Path) -> None:
    archive, _ = packed(home)
    assert harness_here("unbundle", archive, "-o", "new", cwd=tmp_path).returncode == 0
    assert harness_here("report", "new", cwd=tmp_path).returncode == 0
    text = (tmp_path / "new/run.json").read_text()
    assert str(home) not in text and '"hostname"' not in text and "wrong_pads@conv2" in text


def test_what_is_private_in_a_file_is_refused_and_can_be_left_out(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs", tmp_path / "runs")
    (log,) = (tmp_path / "runs").rglob("debug/log.txt")
    log.write_bytes(log.read_bytes() + b"\n-----BEGIN OPENSSH PRIVATE KEY-----\n")
    named = harness_here("bundle", "runs", "--redact", "none", "-o", "a.zip", cwd=tmp_path)
    assert named.returncode == 2 and "logs/debug/log.txt (line " in named.stderr and "a private key" in named.stderr
    assert not (tmp_path / "a.zip").exists()
    words = ["bundle", "runs", "--redact", "none", "--leave-out", "logs/debug/*", "-o", "a.zip"]
    assert harness_here(*words, cwd=tmp_path).returncode == 0 and (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(("faults", "code"), [((), 0), (("--fault", "wrong_pads@conv2"), 1)])
def test_the_op_runs_on_a_board(home: Path, tmp_path: Path, faults: tuple[str, ...], code: int) -> None:
    archive, _ = packed(home, "--redact", "op")
    _only(archive, "conv2", tmp_path / "one.zip")
    words = ["unbundle", "one.zip", "-o", "new", "--board", "emu-x5", "--json", "--wait", "60", *faults]
    result = harness_here(*words, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    (on_board,) = json.loads(result.stdout)["on_board"]
    kinds = [(one["op"], one["fingerprint"]["kind"]) for one in on_board["origins"]]
    assert kinds == ([("conv2", "padding")] if faults else [])


def _only(archive: Path, op: str, target: Path) -> None:
    """The archive with one of its ops."""
    with zipfile.ZipFile(archive) as opened:
        files: dict[str, Path | bytes] = {name: opened.read(name) for name in opened.namelist()}
    listed = json.loads(files["bundle.json"])
    listed["ops"] = [one for one in listed["ops"] if one["op"]["op"] == op]
    write_archive(target, {**files, "bundle.json": json.dumps(listed).encode()})


def test_a_file_that_is_not_that_of_the_list_is_refused(home: Path, tmp_path: Path) -> None:
    archive, _ = packed(home, "--redact", "op")
    with zipfile.ZipFile(archive) as opened:
        files: dict[str, Path | bytes] = {name: opened.read(name) for name in opened.namelist()}
    for name, changed in (
        ("other", {**files, "README.txt": b"another"}),
        ("more", {**files, "extra": b""}),
        ("none", {key: value for key, value in files.items() if key != "bundle.json"}),
        ("leads", {**files, "bundle.json": _leading(files["bundle.json"])}),
        ("newer", {**files, "bundle.json": b'{"format": 99}'}),
    ):
        write_archive(tmp_path / f"{name}.zip", changed)
        result = harness_here("unbundle", f"{name}.zip", cwd=tmp_path)
        assert result.returncode == 2 and "Traceback" not in result.stderr, (name, result.stderr)


def _leading(content: Path | bytes) -> bytes:
    assert isinstance(content, bytes)
    listed = json.loads(content)
    listed["ops"][0]["op"]["folder"] = "../../etc"
    return json.dumps(listed).encode()


def test_an_op_that_only_the_runs_own_policy_blames_is_named_elsewhere(tmp_path: Path) -> None:
    """Its limits go along, without its words; where the file is another one by now, the bundle says so."""
    home, away = tmp_path / "made", tmp_path / "opened"
    home.mkdir()
    away.mkdir()
    policy = home / "limits.yaml"
    policy.write_text(
        "policy: of a customer\nextends: default\nrules:\n"
        "  - name: words of a customer\n    dtypes: [f32]\n    limits: {relative_l2: 1.0e-7, range_floor: 0}\n"
    )
    model = branched()
    words = ["run", model, "--board", "emu-x5", "--input", f"x={input_file(home)}", "--policy", policy]
    words += ["--reference", kit_quantized(model), "--no-stages", "--mode", "debug", "--wait", "60"]
    assert harness_here(*words, "--fault", "scale@prob:by=1.000005", cwd=home).returncode == 1
    archive, made = packed(home, "--redact", "op")
    assert [one["op"]["policy"] for one in made["ops"]] == ["ops/policy.yaml"] and not made["notes"]
    result = harness_here("unbundle", archive, "-o", "new", "--json", cwd=away)
    assert result.returncode == 0, result.stderr
    (one,) = json.loads(result.stdout)["ops"]
    assert (one["replayed"]["op"], one["replayed"]["by"]) == ("prob", "op.onnx")
    assert "customer" not in (away / "new/ops/policy.yaml").read_text()

    policy.write_text("policy: default again\nextends: default\n")
    _, made = packed(home, "--redact", "op", "--list")
    assert made["notes"][0].startswith("limits.yaml, the policy of the run, is not where it was, or is another file")
