"""The faults of the link once more, over the OpenSSH client: the same contract, so the same tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent
from tests.faults import test_link as link
from tests.faults.rig import SERVERS, Rig, agent_on, rig_of
from tests.support.servers import needs

pytestmark = pytest.mark.slow


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    needs("ssh", "sshd", "dropbear", "ssh-keygen")
    with rig_of(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def agent(rig: Rig) -> Iterator[Agent]:
    with rig.open("openssh") as transport:
        yield agent_on(transport)


test_pushing = link.test_a_link_cut_while_pushing_goes_on_where_it_was
test_again_and_again = link.test_a_link_that_is_cut_again_and_again_still_brings_the_file_over
test_starting = link.test_a_link_cut_while_starting_starts_the_run_once
test_running = link.test_a_link_cut_while_running_neither_kills_nor_doubles_the_run
test_pulling = link.test_a_link_cut_while_pulling_goes_on_with_what_is_missing
test_staying_away = link.test_a_link_that_stays_away_is_an_error_and_the_run_is_picked_up_later
test_killed_server = link.test_an_ssh_server_that_is_killed_and_comes_back_is_reached_again
test_reboot = link.test_a_reboot_in_the_middle_of_a_run_is_noticed_and_said
test_frozen_running = link.test_a_link_that_freezes_while_running_is_noticed_and_replaced
test_frozen_pulling = link.test_a_link_that_freezes_while_pulling_is_noticed
test_frozen_pushing = link.test_a_link_that_freezes_while_pushing_is_noticed_and_the_push_goes_on
test_loss = link.test_a_slow_link_that_loses_packets_brings_everything
test_512_mib = link.test_a_file_of_exactly_512_MiB_comes_home
test_20000_dumps = link.test_20000_small_dumps_come_home
