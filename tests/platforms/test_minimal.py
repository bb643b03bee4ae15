"""A platform that writes only what it must: every generic path gets along with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.boards.flat import compose
from harness.errors import InputError
from harness.platforms.base import Platform
from harness.records import BoardIdentity, Case, Failure, InputFacts, Invocation, Job, ModelInfo, Run, TensorSpec
from harness.report import write_report
from harness.review import judge
from harness.review.case_reference import CaseReference
from harness.session import run_case


class Minimal(Platform):
    """A tool that copies its input to its output, and tells nothing."""

    name = "minimal"
    modes = ("release", "debug", "profile")
    units = ("DSP",)

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        return Invocation(("sh", "-c", 'for f in "$@"; do cp "$f" out.bin; done; echo done', "tool", *job.inputs))

    def read_model_info(self, text: str) -> ModelInfo:
        return ModelInfo("", inputs=(TensorSpec("x", "u8", (4,)),))

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return None if code == 0 else Failure("crash", f"exit code {code}")

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return tuple(InputFacts(spec.name, 4, spec.dtype) for spec in info.inputs)


def quiet(*_: object) -> None:
    return


def measured(tmp_path: Path, reference: str) -> Run:
    """One run with every mode, from the board to the report."""
    (tmp_path / "model").write_bytes(b"model")
    board = compose("desk", "minimal", "", transport="local", work=str(tmp_path / "work"))
    case = Case("net", tmp_path / "model", reference=reference)
    expected = CaseReference(case, Minimal(), quiet)
    look = judge.FirstLook(expected, quiet)
    folder = run_case(board, judge.check_before(case), tmp_path / "runs", quiet, expected)
    run = judge.judge(folder, expected, quiet, look.compared)
    assert write_report(folder).is_file()
    return run


def test_a_run_of_a_platform_with_nothing_but_the_abstract_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "pc.npz", y=np.zeros(4, np.uint8))
    run = measured(tmp_path, str(tmp_path / "pc.npz"))
    assert [(mode.mode, mode.failure) for mode in run.modes] == [(mode, None) for mode in ("info", *Minimal.modes)]
    assert run.verdict is not None and run.verdict.word == "not_comparable"
    assert run.case.reference is not None and run.case.reference.inputs is None


class Wordy(Minimal):
    """With options of its own that are called as what a session knows is."""

    options = {"work": "a number", "support": "a word", "input_names": "names"}  # noqa: RUF012

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        options = [f"{name}={value}" for name, value in job.options.items()]
        return Invocation(("echo", "options", *options, "work", job.work, "inputs", *job.input_names))


def test_options_of_a_platform_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"model")
    (tmp_path / "x.bin").write_bytes(b"1234")
    board = compose("desk", "minimal", "", transport="local", work=str(tmp_path / "work"))
    given = {"work": "3", "support": "yes", "input_names": "n"}
    case = Case("net", tmp_path / "model", (("", tmp_path / "x.bin"),), modes=("release",), options=given)
    folder = run_case(board, case, tmp_path / "runs", quiet, CaseReference(case, Wordy(), quiet))
    log = (folder / "release" / "log.txt").read_text()
    assert log.strip() == f"options work=3 support=yes input_names=n work {board.folders.work} inputs x.bin"


def test_what_a_platform_does_not_write_has_an_answer(tmp_path: Path) -> None:
    platform, spec = Minimal(), TensorSpec("x", "u8", (4,))
    assert platform.gaps(()) is None and platform.storages(spec, "DSP") == (spec,)
    with pytest.raises(
        InputError, match="platform minimal cannot convert the board input to the reference's input 'x'"
    ):
        platform.reference_feed(ModelInfo(""), spec, b"1234")


class Empty(Platform):
    name, modes, units = "empty", (), ()


class Nameless(Minimal):
    def __getattribute__(self, key: str) -> Any:
        if key == "units":
            raise AttributeError(key)
        return super().__getattribute__(key)


def test_a_platform_without_its_abstract_members_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="invocation"):
        Empty()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="Nameless has no units"):
        Nameless()
