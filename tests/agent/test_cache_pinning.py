"""The board's cache: what the running session needs stays in it; what cannot fit is said before anything is sent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from harness.agent import Agent
from harness.errors import BoardError, ConfigError
from harness.transports import open_transport
from tests.support.builds import harness
from tests.support.servers import installed, local_board


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four files of 1000 bytes."""
    made = [tmp_path / f"{name}.bin" for name in ("old", "model", "input", "other")]
    for path in made:
        path.write_bytes(os.urandom(1000))
    return made


def cached(agent: Agent, path: Path) -> bool:
    """Whether the board has it: looked at in its folder, not asked."""
    held = [file.read_bytes() for file in (Path(agent.work) / "cache").iterdir() if file.suffix == ".bin"]
    return path.read_bytes() in held


def aged(agent: Agent) -> None:
    """All marks become years old, in the order in which they were set: nothing was used in this session yet."""
    marks = sorted((Path(agent.work) / "cache").glob(".*.ok"), key=lambda mark: mark.stat().st_mtime_ns)
    for index, mark in enumerate(marks):
        os.utime(mark, (1_000_000 + index, 1_000_000 + index))


def test_an_input_does_not_drive_out_the_model_of_its_own_run(tmp_path: Path, files: list[Path]) -> None:
    old, model, given, other = files
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, cache_bytes=2500)
        agent.cache.put_file(model)
        agent.cache.put_file(old)
        aged(agent)  # the model is the least recently used
        agent.cache.reserve([model, given])
        assert agent.cache.put_file(model).sent_bytes == 0
        aged(agent)
        agent.cache.put_file(given)
        assert (cached(agent, model), cached(agent, given), cached(agent, old)) == (True, True, False)
        agent.cache.reserve([other])  # the next session needs neither
        agent.cache.put_file(other)
        assert cached(agent, other) and not cached(agent, model)


def test_what_the_limit_cannot_hold_is_said_before_anything_is_sent(tmp_path: Path, files: list[Path]) -> None:
    _, model, given, other = files
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, cache_bytes=2500)
        with pytest.raises(ConfigError, match=r"needs 3000 bytes .*model\.bin 1000 bytes.*limit 2500") as error:
            agent.cache.reserve([model, given, other])
        assert error.value.exit_code == 2 and "cache_bytes: 3000" in error.value.hint
        assert not list((Path(agent.work) / "cache").glob("*.bin"))


def test_what_the_disk_cannot_hold_is_said_before_anything_is_sent(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 MiB stays free for the system, so 2500 bytes more hold the model, but not the model and its input."""
    _, model, given, other = files
    df = tmp_path / "bin" / "df"
    df.parent.mkdir()
    used = f"$(cat '{tmp_path}/board/work folder/cache/'*.bin 2>/dev/null | wc -c)"
    line = f"echo /dev/root 9000000 4000000 $((1024 + 3 - ({used} + 1023) / 1024)) 45% /"
    df.write_text(f"#!/bin/sh\necho Filesystem\n{line}\n")
    df.chmod(0o755)
    monkeypatch.setenv("PATH", f"{df.parent}:{os.environ['PATH']}")
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, ("dash",))
        large = tmp_path / "large.bin"
        large.write_bytes(os.urandom(2500))
        with pytest.raises(BoardError, match=r"3500 bytes are to come, 1051648 are free.*large\.bin 2500") as error:
            agent.cache.reserve([model, large])
        assert "boards clean" in error.value.hint and not list((Path(agent.work) / "cache").glob("*.bin"))
        agent.cache.put_file(other)
        agent.cache.reserve([model, given, files[0]])  # fits once `other` is gone
        assert not cached(agent, other)
        for path in (model, given, files[0]):
            agent.cache.put_file(path)
        assert all(cached(agent, path) for path in (model, given, files[0]))


def test_cut_off_pushes_and_files_without_a_mark_leave_first(tmp_path: Path, files: list[Path]) -> None:
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, cache_bytes=4500)
        cache = Path(agent.work) / "cache"
        kept = Path(agent.cache.put_file(files[0]).path)
        (cache / f".{'a' * 32}.bin.part").write_bytes(bytes(1000))
        (cache / f".{'b' * 32}.bin.part").write_bytes(bytes(1000))
        (cache / f".{'b' * 32}.bin.part.lock").mkdir()
        (cache / ("c" * 32)).write_bytes(bytes(1000))
        agent.cache.put_file(files[1])
        agent.cache.put_file(files[2])
        remaining = sorted(path.name[:5] for path in cache.iterdir() if path.is_file() and path.suffix in (".part", ""))
        assert remaining == [".bbbb"] and kept.exists(), "one that is being pushed now is left alone"


def test_a_large_model_stays_pinned_under_the_name_it_gets(tmp_path: Path, files: list[Path]) -> None:
    model = tmp_path / "large.bin"
    model.write_bytes(os.urandom(2**24 + 1))
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, cache_bytes=2**24 + 1500)
        agent.cache.reserve([model, files[0]])
        agent.cache.put_file(model)
        aged(agent)
        agent.cache.put_file(files[0])
        agent.cache.put_file(files[1])  # of nobody's reservation: it does not fit, and drives nothing out
        assert cached(agent, model) and cached(agent, files[0])


@pytest.mark.slow
@pytest.mark.parametrize("spare_bytes", [0, -1])
def test_a_whole_run_either_fits_or_says_what_to_type(tmp_path: Path, spare_bytes: int) -> None:
    elements = 100_000
    model = tmp_path / "m.onnx"
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1, elements], bytes(4 * elements), raw=True)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, elements]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "c"], ["y"])], "add", ends[:1], ends[1:], [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), model)
    (tmp_path / "x.bin").write_bytes(bytes(4 * elements))
    limit = 10**9

    def run(case: str) -> tuple[int, str]:
        board = {"platform": "ort", "soc": "x86", "transport": "local", "address": str(tmp_path / case)}
        board |= {"options": {"python": sys.executable}, "limits": {"cache_bytes": limit}}
        (tmp_path / "hosts.yaml").write_text(json.dumps({"boards": {"here": board}}))
        argv = ["run", model, "--board", "here", "--input", tmp_path / "x.bin", "--mode", "release", "--case", case]
        result = harness(*argv, "--hosts", tmp_path / "hosts.yaml", cwd=tmp_path)
        return result.returncode, " ".join((result.stdout + result.stderr).split())

    run("measured")
    (record,) = tmp_path.glob("runs/measured/here/*/run.json")
    pushed = {row["md5"]: row["bytes"] for row in json.loads(record.read_text())["pushed"]}
    script_bytes = (Path(__file__).parents[2] / "agents/valid_md5.py").stat().st_size
    limit = sum(pushed.values()) + script_bytes + spare_bytes
    code, output = run("tight")
    if spare_bytes < 0:
        assert code == 2 and f"cache_bytes: {limit + 1}" in output and "m.onnx" in output and "x.bin" in output, output
        assert not list((tmp_path / "tight").rglob("cache/*.onnx"))
    else:
        assert code in (0, 3) and "cannot open" not in output and "cache_bytes" not in output, output
        assert list((tmp_path / "tight").rglob("cache/*.onnx"))
