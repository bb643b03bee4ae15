"""A board that lies: each answer ends in a plain error or a harmless value, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from harness.agent import Agent
from harness.agent.archive import Quotas
from harness.agent.packing import inflate
from harness.agent.words import MAX_SENSORS, Refused, read_samples
from harness.boards.prepare import read_python
from harness.cli.common import _UNSAFE, emit_json
from harness.errors import AgentError, BoardError, InputError, MeasurementError
from harness.records import BoardLimits
from harness.runs.folder import load_run
from harness.transports import open_transport
from harness.transports.base import CommandTimeout
from tests.faults.test_passwords import typed
from tests.support.servers import local_board

# Plays the shell that runs the agent: one verb gets another answer, all others the true one.
LIAR = """\
import os, sys, time
script, *words = sys.argv[1:]
verb = next((w for w in words if "=" not in w), "")
if verb == {verb!r}:
    out = sys.stdout.buffer
    {lie}
    out.flush()
    os._exit(0)
os.execv("/bin/sh", ["sh", script, *words])
"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[LyingBoard]:
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        yield LyingBoard(tmp_path, link)


class LyingBoard:
    """A real agent on a folder of this PC, behind a shell that may lie."""

    def __init__(self, folder: Path, link: object) -> None:
        self.folder, self.link = folder, link

    def lying(self, verb: str, lie: str, **fields: int) -> Agent:
        liar = self.folder / "liar.py"
        liar.write_text(LIAR.format(verb=verb, lie=lie))
        agent = Agent(self.link, "work", shell=(sys.executable, str(liar)), **fields)  # type: ignore[arg-type]
        agent.install()
        return agent


def says(text: bytes) -> str:
    return f"out.write({text!r})"


def test_a_run_that_never_ends_by_the_boards_word_is_given_up(board: LyingBoard) -> None:
    agent = board.lying("poll", says(b"state=running\nelapsed_cs=-5\nlog_bytes=1\nend=1\n"))
    began = time.monotonic()
    with pytest.raises(BoardError, match="did not stop the tool"):
        agent.jobs.wait("abc", limit_s=-59.0)
    assert time.monotonic() - began < 30


def test_numbers_of_thousands_of_digits_are_no_crash(board: LyingBoard) -> None:
    digits, md5 = b"9" * 6000, b"0" * 32
    lines = b"section=size\n%s a\n7 b\nsection=md5\n%s  ./b\nsection=odd\n%s %s c\nend=1\n" % (digits, md5, digits, md5)
    assert list(board.lying("hash", says(lines)).files.hash("anywhere")) == ["b"]


def test_names_that_lead_out_of_the_folder_are_never_asked_for(board: LyingBoard, tmp_path: Path) -> None:
    names = (b"../../evil", b"/etc/evil", b"a/../../b", b"good")
    sizes = b"".join(b"5 " + name + b"\n" for name in names)
    odd = b"5 %s \\0056\\0056/evil\n" % (b"0" * 32)
    agent = board.lying("hash", says(b"section=size\n" + sizes + b"section=md5\nsection=odd\n" + odd + b"end=1\n"))
    assert list(agent.files.hash("anywhere")) == ["good"]


def test_a_million_names_are_refused_before_they_fill_the_memory(board: LyingBoard) -> None:
    lie = 'out.write(b"section=size\\n"); [out.write(b"1 layer-%d\\n" % i) for i in range(10**6)]'
    with pytest.raises(BoardError, match=r"more than 1000 files.*"):
        board.lying("hash", lie, max_files=1000).files.hash("anywhere")


def test_a_little_gzip_that_holds_gigabytes_of_zeros_is_refused(board: LyingBoard) -> None:
    zeros = f"out.write(z.compress(bytes({2**20})))"
    lie = f"import zlib; z = zlib.compressobj(9, zlib.DEFLATED, 31)\n    for _ in range(4096): {zeros}"
    with pytest.raises(BoardError, match="more than 1000 files"):
        board.lying("hash", lie, max_files=1000).files.hash("anywhere")


def test_what_follows_a_compressed_stream_is_refused_and_not_kept() -> None:
    stream = iter([gzip.compress(b"fine"), *repeat(b"x" * 65536, 10**6)])
    with pytest.raises(BoardError, match="after the end of a compressed stream"):
        list(inflate(stream))
    assert next(stream), "most of it was never read"


def test_a_refusal_in_place_of_files_is_told_as_one(board: LyingBoard, tmp_path: Path) -> None:
    agent = board.lying("pack", says(b"error=stale_lease\ndetail=1.ab\nend=1\n"))
    place = agent.files.new_folder("run")
    (Path(place) / "a").write_text("a")
    with pytest.raises(Refused, match="lease has ended"):
        agent.files.fetch(place, ["a"], tmp_path / "got")


@pytest.mark.parametrize(
    "lie",
    [
        says(b"error=\n"),
        says(b"err"),
        says(b"error=" + b"x" * 100_000),
        says(bytes(512) * 5000),
        says(b"\x1f\x8b\x08"),
        'out.write(b"./a\\0" * 2**20)',
        "pass",
    ],
)
def test_nonsense_in_place_of_files_writes_nothing(board: LyingBoard, tmp_path: Path, lie: str) -> None:
    agent = board.lying("pack", lie)
    place = agent.files.new_folder("run")
    (Path(place) / "a").write_text("a")
    with pytest.raises(MeasurementError):
        agent.files.fetch(place, ["a"], tmp_path / "got", Quotas(10, 1000))
    assert [path for path in (tmp_path / "got").rglob("*") if path.is_file()] == []


def test_an_answer_without_end_is_cut(board: LyingBoard) -> None:
    agent = board.lying("hello", "\n    while True: out.write(b'tool=a\\tb\\n' * 10000)")
    with pytest.raises(AgentError, match="incomplete answer"):
        agent.hello()


FLOODS = {
    "values": 'out.write(b"work=/w\\n" + b"a=\\n" * (16 * 2**18) + b"end=1\\n")',
    "tools": 'out.write(b"work=/w\\n" + b"".join(b"tool=%x\\t/bin/x\\n" % i for i in range(10**6)) + b"end=1\\n")',
    "features": 'out.write(b"work=/w\\ncpu_features=" + b"a " * 2**23 + b"\\nend=1\\n")',
    "escapes": 'out.write(b"work=/w\\nos=" + b"\\\\0101" * (3 * 2**20) + b"\\nend=1\\n")',
}


@pytest.mark.parametrize("lie", FLOODS.values(), ids=FLOODS)
def test_megabytes_of_facts_cost_no_more_than_their_reading(tmp_path: Path, lie: str) -> None:
    """Held in a process of its own, whose highest memory is compared with that of a true answer."""
    liar = tmp_path / "liar.py"
    liar.write_text(LIAR.format(verb="hello", lie=lie))
    script = (
        "import resource, sys\n"
        "from harness.agent import Agent\n"
        "from harness.errors import MeasurementError\n"
        "from harness.transports import open_transport\n"
        "from tests.support.servers import local_board\n"
        "from pathlib import Path\n"
        "with open_transport(local_board(Path(sys.argv[1])).endpoint) as link:\n"
        "    Agent(link, 'work').install()\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    agent = Agent(link, 'work', shell=(sys.executable, sys.argv[2]))\n"
        "    agent.install()\n"
        "    try:\n"
        "        assert len(repr(agent.hello(['sh']))) < 10_000\n"
        "    except MeasurementError:\n"
        "        pass\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "board"), str(liar)]
    root = Path(__file__).parents[2]
    result = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, cwd=root)
    assert int(result.stdout) < 30_000, f"{result.stdout} KiB more than before"


def test_more_files_than_allowed_are_refused_however_short_their_names(board: LyingBoard) -> None:
    lie = says(b"section=size\n" + b"".join(b"1 %x\n" % index for index in range(11)) + b"section=md5\nend=1\n")
    with pytest.raises(BoardError, match=r"more than 10 files in .*") as error:
        board.lying("hash", lie, max_files=10).files.hash("anywhere")
    assert "limits: max_files" in error.value.hint


def test_the_limits_of_the_inventory_reach_the_agent(board: LyingBoard) -> None:
    limits = BoardLimits(max_files=7, cache_bytes=9)
    agent = Agent.of(board.link, "work", limits)  # type: ignore[arg-type]
    assert (agent.files.max_files, agent.cache.limit_bytes) == (7, 9)


def test_an_answer_that_never_comes_ends_by_the_time_limit(board: LyingBoard) -> None:
    agent = board.lying("clocks", "time.sleep(3600)")
    with pytest.raises(CommandTimeout, match="timed out after 1 s"):
        agent.link.ask("clocks", timeout_s=1.0)


@pytest.mark.parametrize("token", [b"1.a $(touch pwned)", b"1.a\\0012end=1", b"../../x", b"", b"-rf /", b"1.\\0033[2J"])
def test_a_token_of_the_board_is_never_more_than_a_word(board: LyingBoard, token: bytes) -> None:
    """`lease` is a verb with a word in front: `lease take ...`."""
    agent = board.lying("lease", says(b"lease=" + token + b"\nend=1\n"))
    agent.lease.take("anna", 60)
    if agent.link.lease_token:
        with pytest.raises(MeasurementError) as error:
            agent.files.new_folder("x")
        assert error.value.message.isprintable()
    assert not list(board.folder.rglob("pwned")) and not list(board.folder.rglob("work/runs/x"))


def test_sensors_without_end_are_bounded() -> None:
    flood = b"cs=1 " + b" ".join(b"temp:z%d=1" % index for index in range(100_000)) + b" whole=1\n"
    assert read_samples(flood) == [], "what marks a whole sample lies beyond what is read"
    long_name = b"cs=1 temp:" + b"z" * 5000 + b"=1 load1=1 whole=1\n"
    assert [sample.values for sample in read_samples(long_name)] == [{"load1": 1.0}]
    assert MAX_SENSORS > 100


DEEP = "[" * 200_000


def test_deep_json_is_no_crash(tmp_path: Path) -> None:
    assert read_python(DEEP.encode()) is None
    assert read_python(b'{"version": [1e999, 2], "bits": 64, "machine": "a", "libc": ["", ""]}') is None
    (tmp_path / "run.json").write_text(DEEP)
    with pytest.raises(InputError, match=r"not a readable run\.json"):
        load_run(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["report"], ["run", "--resume"], ["inspect"], ["compare"]])
def test_deep_json_in_a_foreign_folder_is_said(tmp_path: Path, command: list[str]) -> None:
    for name in ("run.json", "resume.json", "manifest.json"):
        (tmp_path / name).write_text(DEEP)
    more = [str(tmp_path)] if command == ["compare"] else []
    argv = [sys.executable, "-m", "harness", *command, str(tmp_path), *more]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in result.stderr and "bug in harness" not in result.stderr, result.stderr[-500:]


def test_json_on_a_terminal_carries_no_control_and_direction_characters(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "".join(map(chr, _UNSAFE)) + "\x1b]0;x\x07"
    emit_json("inspect", {"text": evil})
    shown = capsys.readouterr().out
    assert json.loads(shown)["text"] == evil, "nothing is lost"
    assert not set(shown) - {"\n"} & set(map(chr, _UNSAFE))


@pytest.mark.slow
def test_text_in_brackets_on_a_terminal_is_text(tmp_path: Path) -> None:
    """A library that draws may have a markup of its own; a holder, a file or a case may be called `[/b]`."""
    (tmp_path / "hosts.yaml").write_text(
        "boards: {away: {platform: ort, soc: x, user: '[/b]', address: 127.0.0.1, port: 1,\n"
        "  limits: {connect_timeout_s: 1}}}\n"
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    argv = ["run", str(tmp_path / "m.onnx"), "--board", "away", "--case", "[red]\x1b[2J", "--hosts"]
    code, output = typed([*argv, str(tmp_path / "hosts.yaml")], [], tmp_path, {**os.environ, "TERM": "xterm"})
    assert code == 3 and "connection refused" in output, output
    assert "Traceback" not in output and "MarkupError" not in output and "\x1b[2J" not in output
