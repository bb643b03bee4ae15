"""Host half of the agent: sends agents/agent.sh by content hash, asks it, and believes nothing that comes back.

One class for each stage: the link that is asked (link.py), the cache that files are pushed to (pushing.py), the jobs
(jobs.py), the folders that come home (files.py), the lease (leases.py). `Agent` is all of them for one board.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.agent import words
from harness.agent.archive import Quotas
from harness.agent.files import BoardFiles
from harness.agent.jobs import LOG_LIMIT_BYTES, Jobs
from harness.agent.leases import Lease
from harness.agent.link import ASK_TIMEOUT_S, AgentLink
from harness.agent.pushing import BoardCache
from harness.agent.words import BoardFacts, Cleaned, FileFacts, LeaseFacts, Put, RunState, SensorReading, escape
from harness.records import BoardLimits
from harness.transports.base import Transport

__all__ = [
    "ASK_TIMEOUT_S",
    "LOG_LIMIT_BYTES",
    "Agent",
    "AgentLink",
    "BoardCache",
    "BoardFacts",
    "BoardFiles",
    "FileFacts",
    "Jobs",
    "Lease",
    "LeaseFacts",
    "Put",
    "Quotas",
    "RunState",
    "SensorReading",
]


class Agent:
    """The agent of one board, over one transport. Call `install()` first.

    `work` is the folder on the board (relative to the login's home, or absolute); `cache_bytes` caps the
    content-addressed cache in it. `patience_s` changes the transport's. Errors of every method, of its parts too:
    LinkError (after the patience of trying again), AgentError for an answer that makes no sense, BoardError for what
    the board refuses.
    """

    def __init__(
        self,
        transport: Transport,
        work: str = "harness-work",
        *,
        cache_bytes: int = 2 * 2**30,
        shell: Sequence[str] = ("sh",),
        patience_s: float | None = None,
        max_files: int = 200_000,
    ) -> None:
        self.link = AgentLink(transport, work, shell)
        if patience_s is not None:
            self.link.patience.limit_s = patience_s
        self.lease = Lease(self.link)
        self.cache = BoardCache(self.link, cache_bytes)
        self.jobs = Jobs(self.link)
        self.files = BoardFiles(self.link, max_files)

    @classmethod
    def of(cls, transport: Transport, work: str, limits: BoardLimits) -> Agent:
        """The agent of a board of the inventory, with the limits that hosts.yaml sets."""
        return cls(transport, work, cache_bytes=limits.cache_bytes, max_files=limits.max_files)

    def install(self) -> None:
        """Make sure that this very agent is on the board: sent only when it is absent or damaged.

        Errors: BoardError also for a board without the few programs that this takes; `hello` looks for the others.
        """
        self.link.install()

    @property
    def where(self) -> str:
        return self.link.where

    @property
    def work(self) -> str:
        """The work folder on the board; absolute once the agent is installed."""
        return self.link.work

    def hello(self, tools: Sequence[str] = (), path: Sequence[str] = ()) -> BoardFacts:
        """What the board is; BoardError, too, for one without the programs that the agent needs.

        `tools` are looked for in the folders of `path` first, then on PATH.
        """
        lines = "".join(escape(tool) + "\n" for tool in tools).encode()
        answer = self.link.ask("hello", stdin=lines, options=[f"path={':'.join(path)}"] if path else [])
        return words.read_facts(answer, time.time(), tools)

    def clean(self, *, keep_cache: bool = False, last: bool = False) -> Cleaned:
        """Delete what runs, pushes and agents left in the work folder; runs that still go on stay, with what they need.

        `keep_cache` keeps models and inputs that lie whole in the cache. With `last` the lease of this agent ends,
        too, and `install()` comes before the next question.
        """
        self.files.forget()
        options = [*(["keep"] if keep_cache else []), *(["last"] if last else [])]
        cleaned = words.read_cleaned(self.link.ask("clean", *options, timeout_s=600.0))
        if last:
            self.link.lease_token = ""
        return cleaned
