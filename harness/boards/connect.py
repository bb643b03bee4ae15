"""Reaching a board: connect, stand an emulated one up, and see what answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness import platforms
from harness.agent import Agent, BoardFacts
from harness.boards.managers import lent
from harness.errors import ConfigError
from harness.platforms import recognise
from harness.records import Board, BoardIdentity
from harness.records.boards import SERVED
from harness.transports import Patience, Prompt, open_transport
from harness.transports.base import Transport


@contextlib.contextmanager
def open_board(
    board: Board,
    prompt: Prompt | None = None,
    patience: Patience | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[tuple[Board, Transport]]:
    """Connect to a board; one that others manage is held, and an emulated one prepared, and served on loopback, for as
    long as this lasts.

    `prompt` asks a person for a password; without it nobody is asked. With `patience` the board is tried again until
    that is over, which `tell` reports; without it once.
    """
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(lent(board))
        if board.emulated and board.emulated.server != SERVED:
            from harness.emulator.built_in import stand_up

            board = stack.enter_context(stand_up(board))
        reached = board
        if patience is None:
            transport = open_transport(reached.endpoint, prompt)
        else:
            transport = patience.retry(lambda: open_transport(reached.endpoint, prompt, patience), tell=tell)
        yield reached, stack.enter_context(transport)


def look_at(board: Board, prompt: Prompt | None = None) -> dict[str, object]:
    """What answers: for `harness boards check`. `state` is "ready" only when the platform's tools are there."""
    with open_board(board, prompt) as (reached, transport):
        agent = Agent.of(transport, reached.folders.work, reached.limits)
        agent.install()
        facts = agent.hello(tools=platforms.load(reached.identity.platform).tools, path=reached.environment.tools)
    missing = [tool for tool, where in facts.tools.items() if not where]
    wrong = _contradiction(board.identity, facts)
    return {
        "state": "wrong soc" if wrong else "tool missing" if missing else "ready",
        "arch": facts.arch,
        "kernel": facts.kernel,
        "free_MB": facts.free_bytes // 10**6 if facts.free_bytes is not None else "",
        "tools": " ".join(tool for tool, where in facts.tools.items() if where),
        "remark": wrong or (f"not found: {' '.join(missing)}" if missing else ""),
        "soc": reached.identity.soc,
        "soc_name": facts.soc_name,
        "image": facts.image,
        "npu_cores": facts.npu_cores,
    }


class WrongSocError(ConfigError):
    """The board itself contradicts its `soc:` in hosts.yaml; `board` is its name."""

    board = ""


def refuse_wrong_soc(board: BoardIdentity, facts: BoardFacts) -> None:
    """The soc decides how models are checked, layouts read and times judged. Errors: WrongSocError."""
    wrong = _contradiction(board, facts)
    if wrong:
        error = WrongSocError(
            f"board {board.name}: wrong `soc: {board.soc}`: {wrong}",
            f"correct `soc:` in hosts.yaml, then: harness boards check {board.name}",
        )
        error.board = board.name
        raise error


def _contradiction(board: BoardIdentity, facts: BoardFacts) -> str:
    described = (facts.soc_name, facts.npu_cores) if _speaks(board) else ("", "")
    return recognise.wrong_soc(board.platform, board.soc, *described)


def _speaks(board: BoardIdentity) -> bool:
    """Whether what answers is the board: one that is emulated on this PC without a server shows this PC's own files."""
    return board.emulated is None or board.emulated.server == SERVED
