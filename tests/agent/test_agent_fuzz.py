"""Whatever a board answers, the host gives a plain error or a value: no crash, no guess, no control characters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.agent import Agent
from harness.agent.files import read_hashes
from harness.agent.packing import maybe_inflated
from harness.agent.words import (
    escape,
    read_answer,
    read_facts,
    read_lease,
    read_samples,
    read_state,
    unescape,
)
from harness.errors import MeasurementError
from harness.records import Invocation
from harness.transports.base import CommandResult, printable
from harness.transports.copying import Copying

QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = [
    "agent",
    "work",
    "arch",
    "boot",
    "uptime_cs",
    "clock_s",
    "memory_kb",
    "free_bytes",
    "cpu_count",
    "tool",
    "state",
]
KEYS += [
    "code",
    "elapsed_cs",
    "log_bytes",
    "error",
    "detail",
    "have",
    "part",
    "lease",
    "top",
    "live",
    "holder",
    "folder",
]
values = st.binary(max_size=80) | st.sampled_from(
    [b"-1", b"1e9", b"nan", b"9" * 400, b"\x1b[2J", b"\\0999", b"", b"inf"]
)
lines = st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=12)


def answer_of(pairs: list[tuple[str, bytes]], end: bool) -> bytes:
    return b"".join(key.encode() + b"=" + value + b"\n" for key, value in pairs) + (b"end=1\n" if end else b"")


class Parrot(Copying):
    """A transport to a board that answers everything with the same bytes."""

    where = "user@board:22"

    def __init__(self, out: bytes, code: int = 0) -> None:
        super().__init__()
        self._out, self._code = out, code

    @contextmanager
    def _answer(self) -> Iterator[Replies]:
        yield Replies(self._out, self._code)

    def stream(self, argv: Sequence[str], **_: object) -> object:  # type: ignore[override]
        return self._answer()

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._out = b""

    def __enter__(self) -> Parrot:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Replies:
    def __init__(self, out: bytes, code: int) -> None:
        self.code, self.err, self._out = code, b"\x1b[31mwords", out

    def __iter__(self) -> Iterator[bytes]:
        yield self._out


def talking_to(out: bytes, code: int) -> Agent:
    agent = Agent(Parrot(out, code), "work", patience_s=0.0)  # type: ignore[arg-type]
    agent.link.work, agent.link._file = "/work", "/work/agent.sh"
    return agent


@QUIET
@given(pairs=lines, end=st.booleans(), code=st.sampled_from([0, 1, 2, 127, 137, -1]))
def test_any_answer_is_a_value_or_a_plain_error(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, bytes]], end: bool, code: int
) -> None:
    outcome_of(answer_of(pairs, end), code, tmp_path_factory.getbasetemp() / "fuzz")


@QUIET
@given(out=st.binary(max_size=600), code=st.sampled_from([0, 1, 127]))
@example(out=b"whole\n\x1b]0;x\x07\n", code=0)
@example(out=b"whole\n/work\n", code=0)
@example(out=b"\x1f\x8b" + b"\0" * 40, code=0)
def test_any_bytes_are_a_plain_error(tmp_path_factory: pytest.TempPathFactory, out: bytes, code: int) -> None:
    outcome_of(out, code, tmp_path_factory.getbasetemp() / "fuzz")


def outcome_of(out: bytes, code: int, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    model = folder / "model.bin"
    model.write_bytes(b"model")
    for question in (
        lambda agent: agent.install(),
        lambda agent: agent.hello(["tool"]),
        lambda agent: agent.files.new_folder("x"),
        lambda agent: agent.jobs.poll("ab"),
        lambda agent: agent.jobs.start(Invocation(("true",)), "/work/runs/x", 5),
        lambda agent: agent.files.hash("/work/runs/x"),
        lambda agent: agent.files.fetch("/work/runs/x", ["a"], folder / "got"),
        lambda agent: agent.jobs.samples("ab"),
        lambda agent: agent.jobs.sense(),
        lambda agent: agent.lease.show(),
        lambda agent: agent.lease.take("me", 5),
        lambda agent: agent.clean(),
        lambda agent: agent.jobs.stop("ab"),
    ):
        try:
            question(talking_to(out, code))
        except MeasurementError as error:
            assert error.message.isprintable(), repr(error.message)
    assert sorted(p.name for p in folder.iterdir()) in (["model.bin"], ["got", "model.bin"])


@QUIET
@given(data=st.binary(max_size=800))
def test_readers_take_any_bytes(data: bytes) -> None:
    answer = read_answer(data)
    read_samples(data)
    read_lease(answer)
    for name, facts in read_hashes(data).items():
        assert facts.size_bytes >= 0 and not name.startswith("/") and ".." not in name.split("/")
    for reader in (lambda: read_state(answer), lambda: read_facts(answer, 0.0), lambda: list(maybe_inflated([data]))):
        try:
            reader()
        except MeasurementError as error:
            assert error.message.isprintable()


@QUIET
@given(text=st.text(max_size=80).filter(lambda t: "\0" not in t))
def test_escaping_is_undone_by_unescaping(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    name = os.fsdecode(raw)
    assert unescape(escape(name).encode()) == name
    assert escape(name).isascii() and "\n" not in escape(name)


@QUIET
@given(text=st.text(max_size=400))
def test_what_is_shown_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable() and len(printable(text)) <= 300


def test_a_refusal_carries_no_escape_sequences_to_the_terminal() -> None:
    answer = CommandResult(
        1, answer_of([("error", b"no_space"), ("detail", rb"\0033[2J\0033]0;owned\0007")], True), b""
    )
    with pytest.raises(MeasurementError) as error:
        talking_to(b"", 0).link.check(answer, "put")
    assert error.value.message.isprintable() and "owned" in error.value.message
