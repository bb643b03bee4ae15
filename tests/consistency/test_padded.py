"""Padded dumps are hashed on the board by their valid bytes: the script, what it refuses, and whole runs."""

from __future__ import annotations

import ast
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.agent import Agent
from harness.agent.valid import PYTHON, SCRIPT, Padded, hash_valid, read_valid
from harness.agent.words import read_answer
from harness.assets import asset
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.hashed import HashedDump, hashed_beside
from harness.consistency.reading.layouts import storage
from harness.consistency.reading.predicted import ExpectedDump, placed_rows, predict_dumps
from harness.consistency.reading.tensor_files import dtype_of, encode, valid_md5
from harness.errors import BoardError
from harness.platforms import load
from harness.records import Dump, Layer, Quantization, TensorSpec
from harness.reference.open import Reference, ReferenceTensor
from harness.transports import open_transport
from tests.agent.test_agent import NASTY_NAMES
from tests.support.builds import ExampleModel, build, harness
from tests.support.servers import AGENT_KINDS, agent_of, installed, local_board

STORAGES = load("hbdnn").storages


@dataclass(frozen=True)
class Lab:
    """An agent, a folder of files on its board, and the pushed script."""

    agent: Agent
    folder: Path
    script: str

    def ask(self, *files: Padded, path: tuple[str, ...] = ()) -> dict[str, str]:
        """By this PC's Python, which a board that has only busybox on its PATH finds in a folder of its own."""
        own = self.folder.parent / "python"
        if not own.exists():
            own.mkdir()
            (own / PYTHON).symlink_to(sys.executable)
        return hash_valid(self.agent.link, str(self.folder), self.script, files, path or (str(own),))


@pytest.fixture(params=[kind for kind in AGENT_KINDS if kind != "jail"])  # which has no Python
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with agent_of(request.param, tmp_path / "board") as agent:
        (tmp_path / "dumps").mkdir()
        yield Lab(agent, tmp_path / "dumps", agent.cache.put_file(asset(SCRIPT)).path)


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Lab]:
    """A lab in a plain folder."""
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link)
        (tmp_path / "dumps").mkdir()
        yield Lab(agent, tmp_path / "dumps", agent.cache.put_file(asset(SCRIPT)).path)


def specs(rng: np.random.Generator) -> Iterator[TensorSpec]:
    """Tensors padded in every way that a board pads: rows, planes, channels, ends, strides; some not at all."""
    for number in range(80):
        dtype = str(rng.choice(["s8", "u8", "s16", "f16", "s32", "f32", "bool8", "s64"]))
        shape = tuple(int(n) for n in rng.integers(1, 24, int(rng.integers(1, 6))))
        spec = TensorSpec(f"t{number}", dtype, shape)
        grown = tuple(int(n + rng.choice([0, 0, 1, 5])) for n in shape)
        ends = storage(replace(spec, aligned_shape=grown)).size_bytes + int(rng.choice([0, 0, 64]))
        yield replace(spec, aligned_shape=grown, aligned_bytes=int(ends))
        steps, step = [], storage(spec).bits // 8
        for size in reversed(shape):
            step += int(rng.choice([0, 0, 16]))
            steps.append(step)
            step *= size
        yield replace(spec, name=f"s{number}", stride_bytes=tuple(reversed(steps)))


def values(rng: np.random.Generator, spec: TensorSpec) -> np.ndarray[Any, Any]:
    size = dtype_of(spec).itemsize * int(np.prod(spec.shape))
    raw = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    return np.frombuffer(raw, dtype_of(spec)).reshape(spec.shape)


def padded(spec: TensorSpec, name: str = "") -> Padded:
    placed = placed_rows(spec)
    assert placed is not None
    return Padded(name or spec.name, storage(spec).size_bytes, *placed)


# --------------------------------------------------------------------------- the md5


def test_the_boards_md5_is_of_the_valid_bytes_whatever_the_padding_holds(lab: Lab) -> None:
    rng = np.random.default_rng(1)
    expected, files = {}, []
    for spec in specs(rng):
        array = values(rng, spec)
        for fill in (0, 0xA5):
            files.append(padded(spec, f"{spec.name}-{fill}"))
            (lab.folder / files[-1].name).write_bytes(encode(array, spec, fill))
            expected[files[-1].name] = valid_md5(array)
    assert len(expected) == 320 and lab.ask(*files) == expected


def test_one_wrong_byte_among_the_valid_ones_is_another_md5(near: Lab) -> None:
    spec = TensorSpec("x", "s8", (1, 9, 7, 5), "NHWC", aligned_shape=(1, 10, 8, 8))
    array = values(np.random.default_rng(2), spec)
    data = np.frombuffer(encode(array, spec), np.uint8)
    valid = np.frombuffer(encode(np.ones_like(array), spec), np.uint8)
    for place in range(len(data)):
        turned = data.copy()
        turned[place] ^= 1
        (near.folder / f"x{place}").write_bytes(turned.tobytes())
    sums = near.ask(*(padded(spec, f"x{place}") for place in range(len(data))))
    assert [sums[f"x{place}"] != valid_md5(array) for place in range(len(data))] == [bool(v) for v in valid]


def test_tensors_larger_than_a_piece_are_hashed_in_little_memory(near: Lab) -> None:
    rows = TensorSpec("rows", "s8", (1, 700, 1000, 100), "NHWC", aligned_shape=(1, 704, 1000, 112))
    planes = TensorSpec("planes", "s8", (3, 500, 700), aligned_shape=(3, 512, 768))
    wide = TensorSpec("wide", "u8", (3, 900_001), aligned_shape=(3, 900_016))
    rng = np.random.default_rng(3)
    for spec in (rows, planes, wide):
        array = values(rng, spec)
        path = near.folder / spec.name
        path.write_bytes(encode(array, spec, 7))
        limited = f"ulimit -v 60000; exec {sys.executable} -I -S {asset(SCRIPT)}"
        result = subprocess.run(
            ["sh", "-c", limited], cwd=near.folder, input=padded(spec).line.encode(), capture_output=True, check=True
        )
        assert result.stdout.decode() == f"valid=0 {valid_md5(array)}\n", result.stderr


def test_files_of_any_name_are_hashed(lab: Lab) -> None:
    names = [name for name in NASTY_NAMES if "/" not in name]
    for name in names:
        (lab.folder / name).write_bytes(b"abcXYZ" * 8)
    assert len(set(lab.ask(*(Padded(name, 48, 48, ((6, 3),)) for name in names)).values())) == 1
    assert len(lab.ask(*(Padded(name, 48, 48, ((6, 3),)) for name in names))) == len(names)


def test_geometry_that_is_not_rows_within_rows_is_not_predicted() -> None:
    turned = TensorSpec("t", "s8", (1, 4, 6), stride_bytes=(24, 1, 4))
    blocked = TensorSpec("b", "s8", (1, 20, 3, 4), "NDHWC32")
    halves = TensorSpec("h", "s4", (3, 5), aligned_shape=(3, 8))
    empty = TensorSpec("e", "s8", (0, 5), aligned_shape=(0, 8))
    assert [placed_rows(spec) for spec in (turned, blocked, halves, empty)] == [None] * 4


# --------------------------------------------------------------------------- what has no md5


def test_a_file_that_is_not_as_told_has_no_md5(lab: Lab) -> None:
    (lab.folder / "right").write_bytes(bytes(64))
    (lab.folder / "short").write_bytes(bytes(63))
    (lab.folder / "long").write_bytes(bytes(65))
    (lab.folder / "folder").mkdir()
    (lab.folder / "link").symlink_to("right")
    os.mkfifo(lab.folder / "fifo")
    names = ("short", "long", "folder", "link", "fifo", "absent", "right")
    assert list(lab.ask(*(Padded(name, 64, 64, ((8, 3),)) for name in names))) == ["right"]


@pytest.mark.parametrize(
    ("body", "rows"), [(64, ((7, 3),)), (64, ((8, 9),)), (64, ((8, 0),)), (65, ()), (0, ()), (64, ((8, 6), (4, 2)))]
)
def test_rows_that_do_not_fit_have_no_md5(near: Lab, body: int, rows: tuple[tuple[int, int], ...]) -> None:
    (near.folder / "x").write_bytes(bytes(64))
    assert near.ask(Padded("x", 64, body, rows)) == {}


def test_a_file_that_changes_while_it_is_read_has_no_md5(near: Lab) -> None:
    path = near.folder / "x"
    with path.open("wb") as stream:
        stream.truncate(2**27)
    over = threading.Event()

    def touch() -> None:
        while not over.is_set():
            os.utime(path)

    writer = threading.Thread(target=touch)
    writer.start()
    try:
        assert near.ask(Padded("x", 2**27, 2**27, ((32, 24),))) == {}
    finally:
        over.set()
        writer.join()
    assert list(near.ask(Padded("x", 2**27, 2**27, ((32, 24),)))) == ["x"]


@pytest.mark.parametrize(
    ("output", "sums"),
    [
        (b"valid=0 " + b"a" * 32, {"x": "a" * 32}),
        (b"valid=1 " + b"a" * 32, {}),
        (b"valid=-1 " + b"a" * 32, {}),
        (b"valid=0 " + b"A" * 32, {}),
        (b"valid=0 " + b"a" * 31, {}),
        (b"valid=99999999999999999999 " + b"a" * 32, {}),
        (b"valid=0 " + b"a" * 32 + b"\nvalid=0 " + b"b" * 32, {}),
        (b"valid=0 \\0101" + b"a" * 32, {}),
        (b"\xff\xfe\0", {}),
    ],
)
def test_lines_that_make_no_sense_are_left_out(output: bytes, sums: dict[str, str]) -> None:
    assert read_valid(read_answer(output + b"\nend=1\n"), [Padded("x", 8, 8, ())]) == sums


def fake_python(folder: Path, script: str) -> tuple[str, ...]:
    folder.mkdir()
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return (str(folder),)


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo broken >&2; exit 1", "cannot hash: broken"), ("kill -SEGV $$", "cannot hash"), ("yes", "endless answer")],
)
def test_a_python_that_does_not_work_is_said(near: Lab, tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(BoardError, match=message):
        near.ask(Padded("x", 8, 8, ()), path=fake_python(tmp_path / "bin", script))


def test_a_board_without_python_refuses(tmp_path: Path) -> None:
    with agent_of("jail", tmp_path) as agent:
        assert agent.hello([PYTHON]).tools == {PYTHON: ""}
        with pytest.raises(BoardError, match="no_python"):
            hash_valid(
                agent.link,
                agent.files.new_folder("dumps"),
                agent.cache.put_file(asset(SCRIPT)).path,
                [Padded("x", 8, 8, ())],
            )


def test_the_script_is_python_3_6_with_nothing_but_its_own_library() -> None:
    tree = ast.parse(asset(SCRIPT).read_text(), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= set(sys.stdlib_module_names)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


# --------------------------------------------------------------------------- what is expected


def one_tensor(folder: Path, array: np.ndarray[Any, Any], spec: TensorSpec) -> ReferenceTensor:
    path = folder / f"{spec.name}.npy"
    np.save(path, array)
    return ReferenceTensor(spec.name, path, spec, op="conv", op_kind="Conv")


def expected_dump_of(tensor: ReferenceTensor, folder: Path, size: int, unit: str = "BPU") -> ExpectedDump | None:
    path = folder / "dump.bin"
    with path.open("wb") as stream:
        stream.truncate(size)
    predicted, tensors = predict_dumps(
        Reference({tensor.name: tensor}), [Dump(tensor.name, path, unit=unit)], STORAGES, {}
    )
    assert tensors == {path: tensor.name}
    return predicted.get(path)


def test_every_padded_storage_of_a_tensor_is_predicted_by_its_size(tmp_path: Path) -> None:
    spec = TensorSpec("t", "s8", (1, 18, 6, 10), "NCHW", quantization=Quantization((0.1,)))
    array = values(np.random.default_rng(4), spec)
    tensor = one_tensor(tmp_path, array, spec)
    seen = set()
    for stored in STORAGES(spec, "BPU"):
        expected = expected_dump_of(tensor, tmp_path, storage(stored).size_bytes)
        if expected is not None:
            seen.add(expected.spec.layout)
            wanted = array.transpose(0, 2, 3, 1) if expected.spec.layout == "NHWC" else array
            assert expected.md5() == valid_md5(wanted) and len(expected.content()) == storage(stored).size_bytes
    assert seen == {"NHWC", "NCHW"}
    assert expected_dump_of(tensor, tmp_path, 12345) is None


def test_a_dequantized_output_is_predicted(tmp_path: Path) -> None:
    spec = TensorSpec(
        "t", "s8", (1, 5, 3), "", quantization=Quantization((0.3, 0.01, 0.7, 0.2, 1.1), (3, 0, 1, 2, 9), 1)
    )
    array = values(np.random.default_rng(5), spec)
    tensor = one_tensor(tmp_path, array, spec)
    q = spec.quantization
    assert q is not None
    stored = TensorSpec("t", "f32", (1, 5, 3), aligned_shape=(1, 5, 4))
    real = (array.astype(np.int32) - np.array(q.zero_points)[:, None]).astype("f4") * np.array(q.scales, "f4")[:, None]
    expected = ExpectedDump("t", tensor, stored, storage(stored).size_bytes, *(placed_rows(stored) or (0, ())))
    assert expected.md5() == valid_md5(real.reshape(1, 5, 3))


# --------------------------------------------------------------------------- what was not pulled, compared


def compared(tensor: ReferenceTensor, path: Path, hashed: HashedDump) -> Layer:
    dump = Dump(tensor.name, path, unit="BPU")
    settings = CompareSettings(storages=STORAGES, hashed={path: hashed})
    return compare(Reference({tensor.name: tensor}), [dump], settings).layers[0]


def test_what_is_read_of_a_hashed_dump_is_what_the_board_hashed_or_it_is_not_compared(tmp_path: Path) -> None:
    spec = TensorSpec("t", "s8", (1, 18, 6, 10), "NCHW", quantization=Quantization((0.1,)))
    array = values(np.random.default_rng(6), spec)
    tensor = one_tensor(tmp_path, array, spec)
    expected = expected_dump_of(tensor, tmp_path, storage(STORAGES(spec, "BPU")[0]).size_bytes)
    assert expected is not None
    path = tmp_path / "dump.bin"
    path.write_bytes(expected.content())
    hashed = HashedDump("valid", "f" * 32, expected.md5())
    row = compared(tensor, path, hashed)
    assert (row.verdict, row.hashed, row.file_md5_board) == ("exact", "valid", "f" * 32)
    other = one_tensor(tmp_path, array // 2, replace(spec, name="other"))  # a later reference: the values still hold
    row = compared(replace(other, name="t"), path, hashed)
    assert (row.verdict, row.hashed) == ("differs", "valid")
    row = compared(replace(other, name="t"), path, replace(hashed, valid_md5="0" * 32))
    assert row.verdict == "not_compared" and "not downloaded" in row.note


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "modes": 3}', '{"format": 1, "modes": [{"folder": "debug"}]}']
)
def test_a_folder_beside_somebody_elses_run_json_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert hashed_beside(tmp_path / "debug") == {}


# --------------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(scope="module")
def mobilenet(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "mobilenet")


def run(net: ExampleModel, cwd: Path, *more: str, board: str = "emu-x5") -> dict[str, Any]:
    cwd.mkdir(exist_ok=True)
    argv = ["run", net.model, "--board", board, "--input", net.input, "--reference", net.reference, "--mode", "debug"]
    result = harness(*argv, *more, cwd=cwd)
    assert result.returncode in (0, 1) or "none" in more, result.stderr
    record: dict[str, Any] = json.loads(next(cwd.rglob("run.json")).read_text())
    return record | {"stdout": result.stdout, "code": result.returncode}


def files_obtained(record: dict[str, Any], way: str) -> dict[str, Any]:
    """Dumps of the debug run that came in this way, by name."""
    (debug,) = (mode for mode in record["modes"] if mode["mode"] == "debug")
    dumps = [file for file in debug["files"] if file["name"].endswith(".bin")]
    return {file["name"]: file for file in dumps if file["obtained"] == way}


def without_ways(record: dict[str, Any]) -> dict[str, Any]:
    """A comparison without what tells how a dump came: that, and the md5 of a file whose padding no two runs share."""
    comparison: dict[str, Any] = json.loads(json.dumps(record["comparison"]))
    for layer in comparison["layers"]:
        del layer["hashed"], layer["file_md5_board"]
    return comparison


@pytest.mark.slow
def test_a_clean_debug_run_pulls_no_dump_and_says_what_was_hashed(digits: ExampleModel, tmp_path: Path) -> None:
    record = run(digits, tmp_path)
    assert record["verdict"]["word"] == "consistent"
    assert (
        files_obtained(record, "pulled") == files_obtained(record, "") == {}
        and len(files_obtained(record, "verified_on_board")) == 6
    )
    assert "equal by hash on the board, not downloaded: 6 by the md5 of the valid region" in record["stdout"]
    by_file = {file["file"]: file for file in files_obtained(record, "verified_on_board").values()}
    rows = [layer for layer in record["comparison"]["layers"] if layer["hashed"] == "valid"]
    assert rows and {layer["verdict"] for layer in rows} == {"exact"}
    for layer in rows:
        assert layer["file_md5_board"] == by_file[layer["board_file"]]["md5"], "the board's own, not that of a copy"
        assert layer["file_md5_board"] != layer["valid_md5_board"] == layer["valid_md5_reference"]
    page = next(tmp_path.rglob("report.html")).read_text().replace("&#39;", "'")
    assert page.count("No bytes of them were downloaded") == 1, "what is so of every layer is said once"
    assert "<small>board's hash</small>" not in page
    again = harness("compare", digits.reference, next(tmp_path.rglob("debug")), "--input", digits.input, "--json")
    ways = {layer["name"]: (layer["hashed"], layer["file_md5_board"]) for layer in rows}
    layers = {layer["name"]: layer for layer in json.loads(again.stdout)["layers"]}
    assert {name: (layers[name]["hashed"], layers[name]["file_md5_board"]) for name in ways} == ways


@pytest.mark.slow
def test_without_python_on_the_board_padded_dumps_are_pulled_and_it_is_said(
    digits: ExampleModel, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for program in {p.name: p for f in ("/usr/bin", "/bin") for p in Path(f).iterdir()}.values():
        if not program.name.startswith("python"):
            (tools / program.name).symlink_to(program)
    before = os.environ["PATH"]
    os.environ["PATH"] = str(tools)
    try:
        record = run(digits, tmp_path / "run")
    finally:
        os.environ["PATH"] = before
    assert record["verdict"]["word"] == "consistent" and files_obtained(record, "verified_on_board") == {}
    assert len(files_obtained(record, "pulled")) == 6
    assert "6 padded dumps cannot be hashed on the board (no python3)" in " ".join(record["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("board", ["emu-x5", "emu-x5-ssh", "emu-x5-dropbear"])
def test_a_fault_is_judged_as_if_all_had_been_pulled(mobilenet: ExampleModel, tmp_path: Path, board: str) -> None:
    clean = run(mobilenet, tmp_path / "clean", board=board)
    assert (
        files_obtained(clean, "pulled") == {}
        and len(files_obtained(clean, "verified_on_board")) > 30
        and clean["code"] == 0
    )
    fault = ("--fault", "zeroed_column@block4_1_expand")
    some = run(mobilenet, tmp_path / "some", *fault, board=board)
    whole = run(mobilenet, tmp_path / "all", *fault, "--pull", "all", board=board)
    assert some["verdict"] == whole["verdict"] and some["code"] == whole["code"] == 1
    assert without_ways(some) == without_ways(whole) and some["findings"] == whole["findings"]
    assert files_obtained(whole, "verified_on_board") == files_obtained(whole, "reused") == {}
    differing = [
        name
        for name, file in files_obtained(some, "verified_on_board").items()
        if file["md5"] != files_obtained(whole, "pulled")[name]["md5"]
    ]
    assert len(differing) == len(files_obtained(some, "verified_on_board")), (
        "padding differs from run to run, which is no difference"
    )
    held_against_what_was_pulled(some, tmp_path / "some")


@pytest.mark.slow
@pytest.mark.parametrize("soc", ["j5", "s100"])
def test_the_other_families_padding_needs_no_pull_either(shared_folder: Path, tmp_path: Path, soc: str) -> None:
    """UCP pads rows and ends in its own way, and hands outputs out dequantized."""
    record = run(build(shared_folder, "mobilenet", soc), tmp_path, board=f"emu-{soc}")
    assert record["verdict"]["word"] == "consistent" and files_obtained(record, "pulled") == {}
    assert len(files_obtained(record, "verified_on_board")) > 30


def held_against_what_was_pulled(record: dict[str, Any], folder: Path) -> None:
    """Every layer that is not exact came over the link, and so did what its op reads, unless it is here bit for bit."""
    rows = {layer["name"]: layer for layer in record["comparison"]["layers"]}
    wrong = {name for name, layer in rows.items() if layer["verdict"] not in ("exact", "not_compared")}
    assert "block4_1_expand_relu6_out" in wrong
    graph = record["comparison"]["extras"]["graph"]["ops"]
    read = {name for op in graph if wrong.intersection(op["outputs"]) for name in op["inputs"]} - wrong
    hashed = files_obtained(record, "verified_on_board")
    assert {rows[name]["hashed"] for name in wrong} == {""}
    assert {rows[name]["hashed"] for name in read if name in rows} <= {"", "file"}
    assert not {rows[name]["board_file"] for name in (wrong | read) & set(rows)} & set(hashed)
    assert len(hashed) > 15, "layers before the fault stay on the board"


@pytest.mark.slow
def test_pull_all_and_pull_none_do_what_they_say(digits: ExampleModel, tmp_path: Path) -> None:
    fault = ("--fault", "halved@conv2")
    every, none = (run(digits, tmp_path / p, *fault, "--pull", p) for p in ("all", "none"))
    assert files_obtained(every, "verified_on_board") == files_obtained(every, "reused") == {} and files_obtained(
        every, "pulled"
    )
    assert (
        files_obtained(none, "pulled") == {} and files_obtained(none, "verified_on_board") and files_obtained(none, "")
    )
    assert none["code"] == 3, "what was left there is not compared, and so not good"
    not_pulled = {file["file"] or name for name, file in files_obtained(none, "").items()}
    rows = {layer["board_file"]: layer for layer in every["comparison"]["layers"]}
    assert all(rows[name]["verdict"] != "exact" for name in not_pulled if name in rows)
    assert none["comparison"]["coverage"]["layers_compared"] < every["comparison"]["coverage"]["layers_compared"]


@pytest.mark.slow
@pytest.mark.parametrize("lie", ["echo valid=0 $(printf %032d 0)", "exit 1"])
def test_a_board_that_lies_or_cannot_hash_has_its_dumps_pulled(digits: ExampleModel, tmp_path: Path, lie: str) -> None:
    """Whatever a board's python3 answers, what does not prove a layer equal is pulled."""
    (folder,) = fake_python(tmp_path / "bin", f"cat >/dev/null; {lie}")
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{before}"
    try:
        record = run(digits, tmp_path / "run")
    finally:
        os.environ["PATH"] = before
    assert (
        record["verdict"]["word"] == "consistent"
        and files_obtained(record, "verified_on_board") == {}
        and len(files_obtained(record, "pulled")) == 6
    )
    assert ("could not be hashed on the board" in " ".join(record["notes"])) == (lie == "exit 1")
