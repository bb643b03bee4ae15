"""What another interpreter or a container left is read as untrusted: nothing in it is believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError, HostError, InputError
from harness.reference.results import read_results
from harness.reference.runtime import Task, how_ended

TASK = Task(Path("m.onnx"), {}, ("HB_ONNXRuntime",), (("b",),))


def result_folder(folder: Path, **changes: Any) -> Path:
    """A good result: output y and layer b."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "t00000.npy", np.arange(4, dtype=np.float32))
    np.save(folder / "t00001.npy", np.arange(6, dtype=np.int8).reshape(2, 3))
    record = {
        "format": 1,
        "runtime": {"name": "HB_ONNXRuntime", "module": "horizon_tc_ui", "versions": {"numpy": "1"}, "python": "3.6"},
        "outputs": ["y"],
        "dumping_changed_outputs": False,
        "tensors": [
            {"name": "y", "file": "t00000.npy", "dtype": "float32", "shape": [4]},
            {"name": "b", "file": "t00001.npy", "dtype": "int8", "shape": [2, 3]},
        ],
        "skipped": [],
    }
    (folder / "result.json").write_text(json.dumps(record | changes))
    return folder


def test_a_good_result_is_read(tmp_path: Path) -> None:
    result = read_results(result_folder(tmp_path / "r"), "here", TASK)
    assert result.outputs == ("y",) and result.values["b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert result.facts["name"] == "HB_ONNXRuntime" and result.dumping_changed_outputs is False


def replace_by_link(folder: Path) -> None:
    (folder / "t00000.npy").rename(folder.parent / "elsewhere.npy")
    (folder / "t00000.npy").symlink_to(folder.parent / "elsewhere.npy")


def hard_link(folder: Path) -> None:
    os.link(folder / "t00000.npy", folder.parent / "elsewhere.npy")


def pipe(folder: Path) -> None:
    (folder / "t00000.npy").unlink()
    os.mkfifo(folder / "t00000.npy")


def pickled(folder: Path) -> None:
    np.save(folder / "t00000.npy", np.array([{}], object), allow_pickle=True)


def fortran(folder: Path) -> None:
    np.save(folder / "t00001.npy", np.asfortranarray(np.zeros((2, 3), np.int8)))


def cut(folder: Path) -> None:
    (folder / "t00000.npy").write_bytes((folder / "t00000.npy").read_bytes()[:-1])


def absurd_header(folder: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,), }\n"
    (folder / "t00000.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def json_of(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "result.json").write_text(text)

    return write


def result_is_a_link(folder: Path) -> None:
    (folder / "result.json").rename(folder.parent / "result.json")
    (folder / "result.json").symlink_to(folder.parent / "result.json")


@pytest.mark.parametrize(
    "damage",
    [replace_by_link, hard_link, pipe, pickled, fortran, cut, absurd_header, result_is_a_link]
    + [json_of(text) for text in ("", "[]", "{", '{"format": 1, "format": 1}', '{"format": NaN}', "[" * 100_000)],
)
def test_what_is_not_as_agreed_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = result_folder(tmp_path / "r")
    damage(folder)
    with pytest.raises(HostError, match="invalid result"):
        read_results(folder, "here", TASK)


GOOD = {"name": "y", "file": "t00000.npy", "dtype": "float32", "shape": [4]}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"tensors": [GOOD | {"file": "../../etc/passwd"}]},
        {"tensors": [GOOD | {"file": "t00000.npy\n"}]},
        {"tensors": [GOOD | {"name": "never asked for"}]},
        {"tensors": [GOOD, GOOD]},
        {"tensors": [GOOD | {"shape": [5]}]},
        {"tensors": [GOOD | {"dtype": "int32"}]},
        {"tensors": "all"},
        {"outputs": [1]},
        {"skipped": [{"name": "z", "reason": ""}]},
        {"runtime": []},
        {"runtime": {"name": "another", "versions": {}}},
    ],
)
def test_a_record_that_claims_too_much_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(HostError, match="invalid result"):
        read_results(result_folder(tmp_path / "r", **changes), "here", TASK)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("model_refused", InputError), ("bad_inputs", InputError), ("out_of_memory", HostError), ("new kind", HostError)],
)
def test_the_runtimes_words_are_passed_on_printable_and_short(
    tmp_path: Path, kind: str, error: type[HarnessError]
) -> None:
    record = {"format": 1, "error": {"kind": kind, "text": "\x1b[31m bad\nop \u202e" + "x" * 9000, "tried": []}}
    (tmp_path / "result.json").write_text(json.dumps(record))
    with pytest.raises(error) as caught:
        read_results(tmp_path, "image", TASK)
    assert caught.value.message.isprintable() and len(caught.value.message) < 800
    assert "bad op" in caught.value.message


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    record=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-3, 9)
        | st.text(max_size=6)
        | st.sampled_from([GOOD, "y", "t00000.npy"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "kind", "text", "tried", "tensors", "outputs", "skipped", "runtime", "versions"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_no_result_is_a_crash(tmp_path: Path, record: Any) -> None:
    folder = tmp_path / "r"
    result_folder(folder)
    changes = record if isinstance(record, dict) else {"tensors": record}
    (folder / "result.json").write_text(json.dumps(json.loads((folder / "result.json").read_text()) | changes))
    try:
        read_results(folder, "here", TASK)
    except HarnessError as error:
        assert error.message.isprintable()


@pytest.mark.parametrize(
    ("status", "words"),
    [(-11, "SIGSEGV"), (139, "SIGSEGV"), (-9, "SIGKILL"), (137, "SIGKILL"), (1, "exit status 1"), (124, "status 124")],
)
def test_how_a_process_ended_is_named(status: int, words: str) -> None:
    assert words in how_ended(status)
