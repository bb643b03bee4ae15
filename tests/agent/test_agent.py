"""agents/agent.sh under dash, bash and busybox ash, asked through its host half."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent, FileFacts, Quotas
from harness.agent.packing import PROBE_BYTES, LinkPacking, inflate, maybe_inflated
from harness.agent.words import read_answer, read_clocks, read_samples, unescape
from harness.assets import asset
from harness.errors import AgentError, BoardError, InputError, ToolError, UserError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.servers import AGENT_KINDS, agent_of, installed, local_board, needs

NASTY_NAMES = ["a b", "it's", 'say "x"', "$(touch hacked)", "-rf", "line\nbreak", "\x1b[31m", "表.bin", "*", "\\n"]
NASTY_NAMES += ["\u202egnp.exe", os.fsdecode(b"\xff\xfe"), " blank ", "tab\t", "#", "%41", ";ls", "a" * 200]


@pytest.fixture(scope="module", params=AGENT_KINDS)
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with agent_of(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def place(agent: Agent) -> Iterator[str]:
    folder = agent.files.new_folder(f"test {time.time_ns()}")
    yield folder
    agent.files.remove(folder)
    assert not Path(folder).exists()


def sh(script: str, **environment: str) -> Invocation:
    return Invocation(("sh", "-c", script), environment)


def finish(agent: Agent, invocation: Invocation, folder: str, timeout_s: float = 30.0) -> tuple[int | None, str]:
    state = agent.jobs.wait(agent.jobs.start(invocation, folder, timeout_s))
    assert state.state == "done"
    return state.exit_code, (Path(folder) / "log.txt").read_text(errors="replace")


# --------------------------------------------------------------------------- hello and install


def test_shellcheck_is_content_with_the_agent() -> None:
    needs("shellcheck")
    result = subprocess.run(["shellcheck", str(asset("agents/agent.sh"))], capture_output=True, text=True, check=False)
    assert result.stdout == ""


def test_hello_tells_what_the_board_is(agent: Agent) -> None:
    facts = agent.hello(["sh", "no-such-tool"])
    assert facts.arch == os.uname().machine
    assert facts.kernel == os.uname().release
    assert facts.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts.cpu_count == len([x for x in Path("/proc/cpuinfo").read_text().splitlines() if "processor" in x])
    assert facts.free_bytes is not None and 0 < facts.free_bytes <= shutil.disk_usage(facts.work).total
    assert facts.memory_bytes and facts.memory_bytes > 2**20
    assert facts.uptime_s and facts.uptime_s > 1
    assert facts.clock_offset_s is not None and abs(facts.clock_offset_s) < 30
    assert facts.tools["sh"].endswith("sh") and facts.tools["no-such-tool"] == ""


def test_a_tool_is_found_in_the_folders_of_the_board_record(agent: Agent, tmp_path: Path) -> None:
    tool = tmp_path / "my tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert agent.hello(["my tool"], [str(tmp_path)]).tools == {"my tool": str(tool)}


def test_the_agent_is_sent_once_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    with open_transport(local_board(tmp_path).endpoint) as link:
        first = installed(link)
        file = next((tmp_path / "work folder" / "agent").iterdir())
        before = file.stat().st_mtime_ns
        assert installed(link).link.replaced_damaged is False and file.stat().st_mtime_ns == before
        file.write_text("echo broken")
        assert installed(link).link.replaced_damaged is True
        assert file.read_bytes() == asset("agents/agent.sh").read_bytes()
        assert first.hello().agent == "1"


def test_a_work_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        open_transport(local_board(tmp_path).endpoint) as link,
        pytest.raises(BoardError, match="work folder") as error,
    ):
        Agent(link, "file/work").install()
    assert "work:" in error.value.hint


def test_an_unknown_verb_is_refused(agent: Agent) -> None:
    with pytest.raises(AgentError, match="understand"):
        agent.link.ask("dance")


# --------------------------------------------------------------------------- runs


def test_a_run_gives_its_exit_code_its_log_and_its_time(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("echo out; echo err >&2; exit 7"), f"{place}/release", 30)
    state = agent.jobs.wait(token)
    assert (state.state, state.exit_code, state.timed_out) == ("done", 7, False)
    assert sorted((Path(place) / "release/log.txt").read_text().split()) == ["err", "out"]
    assert 0 <= state.duration_s < 10 and state.log_bytes == 8


def test_a_run_happens_in_its_folder_with_its_environment(agent: Agent, place: str) -> None:
    code, log = finish(agent, sh('pwd; echo "$A|$B"', A="it's $HOME\nx", B=""), f"{place}/a b")
    assert log == f"{place}/a b\nit's $HOME\nx|\n" and code == 0


@pytest.mark.parametrize("word", [*NASTY_NAMES, ""])
def test_arguments_of_a_run_arrive_as_they_are(agent: Agent, place: str, word: str) -> None:
    finish(agent, Invocation(("printf", "%s|%s", word, "end")), place)
    assert (Path(place) / "log.txt").read_bytes() == os.fsencode(word) + b"|end"


def test_a_run_has_no_input_and_no_open_files_of_the_agent(agent: Agent, place: str) -> None:
    assert finish(agent, sh("cat; ls /proc/self/fd | wc -l"), place)[1].strip() == "4"


def test_the_boards_tool_folders_come_before_path(agent: Agent, place: str, tmp_path: Path) -> None:
    tool = tmp_path / "mytool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert finish(agent, Invocation(("mytool",), {"HARNESS_PATH": str(tmp_path)}), place) == (0, "found\n")


def test_a_missing_tool_ends_with_127_and_says_so(agent: Agent, place: str) -> None:
    code, log = finish(agent, Invocation(("no-such-tool",)), place)
    assert code == 127 and "no-such-tool" in log


def test_a_signal_is_told_as_128_plus_its_number(agent: Agent, place: str) -> None:
    assert finish(agent, sh("kill -SEGV $$"), place)[0] == 139


def test_a_hung_tool_is_ended_on_the_board_with_all_it_started(agent: Agent, place: str) -> None:
    mark = f"3{time.time_ns() % 10**8}"
    script = f"sleep {mark} & setsid sleep {mark} & (sleep {mark} & sleep {mark}) & sleep {mark}"
    state = agent.jobs.wait(agent.jobs.start(sh(script), place, 1))
    assert state.timed_out and state.exit_code != 0
    assert processes(mark) == []


@pytest.mark.slow
def test_a_tool_that_ignores_the_request_to_end_is_killed(agent: Agent, place: str) -> None:
    mark = f"4{time.time_ns() % 10**8}"
    state = agent.jobs.wait(agent.jobs.start(sh(f"trap '' TERM; sleep {mark}; sleep {mark}; sleep {mark}"), place, 1))
    assert state.timed_out and processes(mark) == []


def test_children_that_a_tool_leaves_behind_are_ended(agent: Agent, place: str) -> None:
    mark = f"5{time.time_ns() % 10**8}"
    assert finish(agent, sh(f"sleep {mark} & exit 3"), place)[0] == 3
    assert processes(mark) == []


def test_a_daemon_that_a_tool_leaves_behind_is_ended_with_its_folder(agent: Agent) -> None:
    mark = f"6{time.time_ns() % 10**8}"
    folder = agent.files.new_folder("daemon")
    finish(agent, sh(f"setsid sleep {mark} </dev/null >/dev/null 2>&1 & sleep 0.3"), folder)
    agent.files.remove(folder)
    assert processes(mark) == []


def processes(mark: str) -> list[str]:
    """Living processes `sleep <mark>`; a zombie has no command line."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"sleep\0{mark}".encode() in entry.read_bytes():
                pids.append(entry.parent.name)
        except OSError:
            continue
    return pids


def test_a_run_can_be_stopped(agent: Agent, place: str) -> None:
    mark = f"7{time.time_ns() % 10**8}"
    token = agent.jobs.start(sh(f"sleep {mark}"), place, 60)
    assert agent.jobs.poll(token).state == "running"
    agent.jobs.stop(token)
    assert agent.jobs.poll(token).state == "stopped" and processes(mark) == []
    agent.jobs.stop(token)


def test_starting_a_token_twice_starts_it_once(agent: Agent, place: str) -> None:
    job = sh("echo once >>count; sleep 0.2")
    token = agent.jobs.start(job, place, 30)
    assert agent.jobs.start(job, place, 30, token=token) == token
    agent.jobs.wait(token)
    assert (Path(place) / "count").read_text() == "once\n"


def test_a_poll_that_waits_answers_when_the_run_ends(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("sleep 0.5"), place, 30)
    assert agent.jobs.poll(token, 25).state == "done"


def test_a_poll_that_waits_comes_back_while_the_run_goes_on(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("sleep 30"), place, 60)
    assert agent.jobs.poll(token, 1).state == "running"
    agent.jobs.stop(token)


@pytest.mark.slow
def test_endless_output_ends_the_run(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("yes $(printf %01000d 0)"), place, 60, log_limit_bytes=100_000)
    with pytest.raises(ToolError, match="exceeded the output limit"):
        agent.jobs.wait(token)


def test_a_supervisor_that_is_killed_is_noticed(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("sleep 40"), place, 60)
    job = Path(agent.work) / "jobs" / token
    while not (job / "tool").exists():
        time.sleep(0.05)
    os.kill(int((job / "pid").read_text()), 9)
    with pytest.raises(BoardError, match="supervisor was killed"):
        agent.jobs.wait(token)


def test_a_reboot_in_the_middle_of_a_run_is_noticed(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("sleep 40"), place, 60)
    job = Path(agent.work) / "jobs" / token
    while not (job / "tool").exists():
        time.sleep(0.05)
    os.kill(int((job / "pid").read_text()), 9)
    (job / "started").write_text("another-boot 5\n")
    with pytest.raises(BoardError, match="rebooted"):
        agent.jobs.wait(token)


def test_state_that_a_power_cut_emptied_goes_with_the_next_removal(agent: Agent) -> None:
    place = agent.files.new_folder("torn")
    tokens = [agent.jobs.start(Invocation(("true",)), f"{place}/{turn}", 30) for turn in range(3)]
    for token in tokens:
        agent.jobs.wait(token)
    emptied, missing, whole = (Path(agent.work) / "jobs" / token for token in tokens)
    for job in (emptied, missing):
        (job / "started").write_text("another-boot 5\n")
    (emptied / "job").write_text("")
    (missing / "job").unlink()
    agent.files.remove(agent.files.new_folder("another"))
    assert [job.exists() for job in (emptied, missing, whole)] == [False, False, True]
    agent.files.remove(place)
    assert not whole.exists()


def test_what_ended_before_a_reboot_is_not_believed(agent: Agent) -> None:
    """Nothing is synced: a power cut may have emptied the dumps, and the file that says how the run ended."""
    token = agent.jobs.start(Invocation(("true",)), agent.files.new_folder("before"), 30)
    assert agent.jobs.wait(token).state == "done"
    job = Path(agent.work) / "jobs" / token
    (job / "end").write_text("")
    assert agent.jobs.poll(token).state == "lost"
    (job / "end").write_text("done 0 5\n")
    (job / "started").write_text("another-boot 100\n")
    assert agent.jobs.poll(token).state == "rebooted"
    (job / "started").write_text("")
    assert agent.jobs.poll(token).state == "rebooted"


def test_a_run_that_is_not_known_is_said(agent: Agent) -> None:
    with pytest.raises(BoardError, match="no run"):
        agent.jobs.poll("abcdef")


def test_a_run_without_a_command_or_with_a_wrong_limit_is_refused(agent: Agent, place: str) -> None:
    with pytest.raises(UserError, match="no command"):
        agent.jobs.start(Invocation(()), place, 5)
    with pytest.raises(InputError, match="time limit"):
        agent.jobs.start(sh("true"), place, 0)
    with pytest.raises(UserError, match="environment"):
        agent.jobs.start(sh("true", **{"A B": "x"}), place, 5)


@pytest.mark.parametrize("remains", ["a file", "nothing", "a link to nowhere"])
def test_a_folder_that_exists_is_no_place_for_a_run(agent: Agent, place: str, remains: str) -> None:
    """Two runs of one second, the first of them killed: its dumps were read as the second's."""
    jobs = set((Path(agent.work) / "jobs").iterdir())
    mode = Path(place) / "debug"
    if remains == "a link to nowhere":
        mode.symlink_to("/nowhere/at/all")
    else:
        mode.mkdir()
    if remains == "a file":
        (mode / "conv1.bin").write_bytes(b"another run's")
    with pytest.raises(BoardError, match="exists on the board") as refused:
        agent.jobs.start(sh("true"), str(mode), 30)
    assert "harness boards" in refused.value.hint
    assert set((Path(agent.work) / "jobs").iterdir()) == jobs, "nothing of a refused run stays"
    finish(agent, sh("true"), f"{place}/release")
    with pytest.raises(BoardError, match="exists on the board"):  # the run's own folder is no longer empty
        agent.jobs.start(sh("true"), place, 30)


def test_a_read_only_folder_is_said(agent: Agent) -> None:
    with pytest.raises(BoardError, match="cannot write"):
        agent.jobs.start(sh("true"), "/proc/nothing", 5)


def test_a_job_description_that_is_cut_short_does_not_start(agent: Agent) -> None:
    with pytest.raises(AgentError, match="understand"):
        agent.link.ask("start", "abc123", stdin=b"arg=touch\narg=/tmp/never")


@pytest.mark.parametrize("folder", ["/etc", "runs", "/", ""])
def test_only_folders_of_runs_can_be_removed(agent: Agent, folder: str) -> None:
    for path in (folder, f"{agent.work}/runs/../cache", f"{agent.work}/runs/", f"{agent.work}/runs/x/.."):
        with pytest.raises(AgentError, match="understand"):
            agent.files.remove(path)


@pytest.mark.parametrize("name", ["..", ".", "a/b", ""])
def test_a_folder_outside_runs_cannot_be_made(agent: Agent, name: str) -> None:
    with pytest.raises(AgentError, match="understand"):
        agent.files.new_folder(name)


def test_removing_a_folder_ends_its_run(agent: Agent) -> None:
    mark = f"8{time.time_ns() % 10**8}"
    folder = agent.files.new_folder("to be removed")
    token = agent.jobs.start(sh(f"sleep {mark}"), f"{folder}/sub", 60)
    while not processes(mark):
        time.sleep(0.05)
    agent.files.remove(folder)
    assert processes(mark) == [] and not Path(folder).exists()
    with pytest.raises(BoardError, match="no run"):
        agent.jobs.poll(token)


# --------------------------------------------------------------------------- files


def test_every_file_is_hashed_whatever_its_name(agent: Agent, place: str) -> None:
    wanted = {}
    for index, name in enumerate([*NASTY_NAMES, "plain.bin", "sub/deep/er.bin", "sub dir/x\ny"]):
        path = Path(place) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([index]) * index)
        wanted[name] = FileFacts(index, hashlib.md5(path.read_bytes()).hexdigest())
    assert agent.files.hash(place) == wanted


def test_an_empty_folder_has_no_hashes(agent: Agent, place: str) -> None:
    assert agent.files.hash(place) == {}


def test_hashing_a_folder_that_is_not_there_is_said(agent: Agent, place: str) -> None:
    with pytest.raises(BoardError, match="no folder"):
        agent.files.hash(f"{place}/absent")


def test_links_and_pipes_are_not_files(agent: Agent, place: str) -> None:
    (Path(place) / "link").symlink_to("/etc/passwd")
    os.mkfifo(Path(place) / "pipe")
    (Path(place) / "file").write_text("x")
    assert list(agent.files.hash(place)) == ["file"]


def test_files_of_any_name_come_home(agent: Agent, place: str, tmp_path: Path) -> None:
    for name in [*NASTY_NAMES, "sub/deep.bin"]:
        path = Path(place) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(777))
    names = list(agent.files.hash(place))
    stored = agent.files.fetch(place, names, tmp_path / "got")
    assert set(stored) == set(names) and len(set(stored.values())) == len(names)
    for name, file in stored.items():
        assert (tmp_path / "got" / file).read_bytes() == (Path(place) / name).read_bytes()
        assert file.isprintable() and "\u202e" not in file
    assert sum(1 for p in (tmp_path / "got").rglob("*") if p.is_file()) == len(names)


def test_only_the_files_that_are_asked_for_come(agent: Agent, place: str, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (Path(place) / name).write_text(name)
    reports: list[tuple[int, int]] = []
    got = agent.files.fetch(place, ["b"], tmp_path / "got", progress=lambda now, total: reports.append((now, total)))
    assert got == {"b": "b"} and [p.name for p in (tmp_path / "got").iterdir()] == ["b"] and reports[-1] == (1, 1)


def test_asking_for_a_file_that_is_not_there_is_said(agent: Agent, place: str, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="no file 'nope'"):
        agent.files.fetch(place, ["nope"], tmp_path / "got")


def test_a_file_that_changed_since_it_was_hashed_is_looked_at_again(agent: Agent, place: str, tmp_path: Path) -> None:
    (Path(place) / "a").write_text("one")
    agent.files.hash(place)
    (Path(place) / "a").write_text("two")
    agent.files.fetch(place, ["a"], tmp_path / "got")
    assert (tmp_path / "got" / "a").read_text() == "two"


def test_a_file_that_vanished_since_it_was_hashed_is_said(agent: Agent, place: str, tmp_path: Path) -> None:
    (Path(place) / "a").write_text("one")
    (Path(place) / "b").write_text("two")
    agent.files.hash(place)
    (Path(place) / "a").unlink()
    with pytest.raises(BoardError, match="'a' was deleted"):
        agent.files.fetch(place, ["a", "b"], tmp_path / "got")


def test_quotas_hold_before_anything_is_pulled(agent: Agent, place: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (Path(place) / name).write_bytes(bytes(1000))
    agent.files.hash(place)
    with pytest.raises(BoardError, match="2 files, limit 1"):
        agent.files.fetch(place, ["a", "b"], tmp_path / "got", Quotas(max_files=1))
    with pytest.raises(BoardError, match="2000 bytes, limit 1999"):
        agent.files.fetch(place, ["a", "b"], tmp_path / "got", Quotas(max_bytes=1999))
    assert not (tmp_path / "got").exists()


# --------------------------------------------------------------------------- sensing


def test_sensors_are_read_in_si_units(agent: Agent) -> None:
    sample = agent.jobs.sense()
    assert sample.values["load1"] >= 0 and sample.values["memory_available_bytes"] > 2**20 and sample.at_s > 0


def test_a_run_is_sensed_while_it_goes_on(agent: Agent, place: str) -> None:
    token = agent.jobs.start(sh("sleep 2.5"), place, 30, sense_every_s=1)
    agent.jobs.wait(token)
    times = [sample.at_s for sample in agent.jobs.samples(token)]
    assert len(times) >= 2 and times == sorted(times)


def test_a_made_up_sysfs_is_read_whole(tmp_path: Path) -> None:
    made = {
        "class/thermal/thermal_zone0/type": "soc thermal",
        "class/thermal/thermal_zone0/temp": "45250",
        "class/thermal/thermal_zone1/temp": "garbage; rm -rf",
        "class/hwmon/hwmon0/temp1_input": "-1500",
        "devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1800000",
        "devices/system/bpu/bpu0/ratio": "87",
        "class/devfreq/3d000000.bpu/cur_freq": "1000000000",
    }
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    out = subprocess.run(
        ["sh", str(asset("agents/agent.sh")), "sense"],
        env={"PATH": os.environ["PATH"], "HARNESS_SYSFS": str(tmp_path)},
        capture_output=True,
        check=True,
    ).stdout
    values = read_samples(read_answer(out).rest)[0].values
    assert values["temp:soc_thermal:0"] == 45.25 and values["temp:hwmon0:temp1"] == -1.5
    assert values["cpu_hz:0"] == 1.8e9 and values["npu_load:0"] == 0.87 and values["devfreq_hz:3d000000.bpu"] == 1e9
    assert not [key for key in values if "1" in key.split(":")[-1] and key.startswith("temp:zone")]


def test_governors_and_highest_clocks_are_read(tmp_path: Path) -> None:
    made = {
        "devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil",
        "devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000",
        "devices/system/bpu/bpu0/devfreq/28108000.bpu/governor": "performance",
        "devices/system/bpu/bpu0/devfreq/28108000.bpu/max_freq": "1000000000",
        "devices/system/cpu/cpufreq/policy4/cpuinfo_max_freq": "$(reboot)",
    }
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    out = subprocess.run(
        ["sh", str(asset("agents/agent.sh")), "clocks"],
        env={"PATH": os.environ["PATH"], "HARNESS_SYSFS": str(tmp_path)},
        capture_output=True,
        check=True,
    ).stdout
    clocks = read_clocks(read_answer(out))
    assert clocks.governors == {"policy0": "schedutil", "npu0": "performance"}
    assert clocks.max_clocks_mhz == {"policy0": 1800.0, "npu0": 1000.0}


# --------------------------------------------------------------------------- words


def test_every_byte_survives_the_agents_own_escaping(agent: Agent, place: str) -> None:
    name = os.fsdecode(bytes(b for b in range(1, 256) if b != ord("/")))
    (Path(place) / name).write_text("x")
    assert list(agent.files.hash(place)) == [name]


def test_unescaping_reads_octal_only() -> None:
    assert unescape(rb"a\0012b\\0999\n") == "a\nb" + r"\\0999\n"


# --------------------------------------------------------------------------- compression


def test_compression_is_chosen_where_it_is_faster() -> None:
    slow, fast = LinkPacking(), LinkPacking()
    fast.measured(PROBE_BYTES, 0.01)
    assert fast.decided == "plain" and not fast.zipped
    slow.measured(PROBE_BYTES, 4.0)
    assert not slow.decided and slow.zipped
    slow.measured(PROBE_BYTES, 1.0)
    assert slow.decided == "gzip" and slow.zipped


def test_compression_is_not_chosen_where_it_does_not_pay() -> None:
    packing = LinkPacking()
    packing.measured(1000, 100.0)  # too little to tell anything
    assert packing.plain_bytes_per_s == 0
    packing.measured(PROBE_BYTES, 1.0)
    packing.measured(PROBE_BYTES, 1.0)
    assert packing.decided == "plain" and not packing.zipped


def test_files_come_home_the_same_when_compressed(agent: Agent, place: str, tmp_path: Path) -> None:
    for index in range(30):
        (Path(place) / f"{index}.bin").write_bytes(os.urandom(100) * 5000)
    agent.files.packing.decided = "gzip"
    try:
        stored = agent.files.fetch(place, list(agent.files.hash(place)), tmp_path / "got")
    finally:
        agent.files.packing.decided = ""
    assert len(stored) == 30
    assert all((tmp_path / "got" / n).read_bytes() == (Path(place) / n).read_bytes() for n in stored)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"x" * 1000)[:-9]], ids=["none", "cut"])
def test_a_damaged_compressed_stream_is_said(data: bytes) -> None:
    with pytest.raises(BoardError, match="compressed"):
        list(inflate([data]))


def test_a_compressed_bomb_is_handed_on_in_small_parts() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert max(len(piece) for piece in inflate([bomb])) <= 2**20


def test_a_stream_is_inflated_only_when_it_begins_as_gzip() -> None:
    assert b"".join(maybe_inflated(iter([b"\x1f", gzip.compress(b"text")[1:]]))) == b"text"
    for plain in ([], [b"x"], [b"section=size\n", b"end=1\n"]):
        assert b"".join(maybe_inflated(iter(plain))) == b"".join(plain)
