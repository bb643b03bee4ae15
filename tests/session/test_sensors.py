"""What a board says of its sensors is kept, unless it says more than a run can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.platforms import load
from harness.records import Invocation, Run
from harness.session.alongside.sensors import Sensors
from harness.session.record import RunFile
from tests.support.servers import agent_of

LIMIT_S = 10.0


@pytest.mark.parametrize(("count", "kept"), [(110, 110), (111, 0)])
def test_a_flood_of_samples_is_not_kept_and_said(count: int, kept: int, tmp_path: Path) -> None:
    record = RunFile(tmp_path, Run())
    with agent_of("dash", tmp_path) as agent:
        token = agent.jobs.start(Invocation(("true",)), agent.files.new_folder("flood"), LIMIT_S)
        agent.jobs.wait(token)
        line = "cs=100 load1=0.5 whole=1\n"
        (Path(agent.work) / "jobs" / token / "sense.txt").write_text(line * count)
        Sensors(agent, False, load("hbdnn"), record, LIMIT_S).collect("release", token)
    assert len(record.run.telemetry.samples) == kept
    message = f"release: {count} implausible sensor samples discarded"
    assert record.run.notes == (() if kept else (message,))
