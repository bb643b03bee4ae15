"""What a mode left on the board, brought home: only files that this PC cannot write itself."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

from harness.agent import LOG_LIMIT_BYTES, Agent, FileFacts, Quotas, RunState
from harness.errors import ToolError
from harness.records import BoardLimits, Invocation
from harness.review.case_reference import CaseReference
from harness.session import board_hashes, repeats
from harness.session import record as run_record
from harness.session.progress import RunProgress


class Puller:
    """Brings home what modes leave. `hashing` asks for md5s of padded dumps; None before the model is known."""

    def __init__(self, agent: Agent, limits: BoardLimits, expected: CaseReference, progress: RunProgress) -> None:
        self._agent, self._limits, self._expected, self._progress = agent, limits, expected, progress
        self._pull = progress.resume.case.pull
        self.hashing: board_hashes.BoardHashes | None = None

    def collect(self, name: str, folder: str, invocation: Invocation, state: RunState) -> run_record.ModeRun:
        """Everything that a mode left in its folder on the board. Errors: ToolError, and those of the agent's files."""
        board = self._progress.record.run.board.name
        remote = self._agent.files.hash(folder)
        log_bytes = remote["log.txt"].size_bytes if "log.txt" in remote else 0
        if log_bytes > LOG_LIMIT_BYTES:  # the watchdog looks every few seconds only
            raise ToolError(
                f"{board}: the tool printed {log_bytes} bytes in mode {name}",
                "run it by hand",
            )
        kept = {n: f for n, f in remote.items() if any(fnmatch(n, p) for p in (*invocation.keep, "log.txt"))}
        local = self._progress.folder / name
        shutil.rmtree(local, ignore_errors=True)  # what an earlier try pulled may be of another run of this mode
        limits = Quotas(self._limits.max_files, self._limits.max_bytes)
        sizes = [facts.size_bytes for facts in kept.values()]  # also of what this PC writes itself, by its hash
        written = limits.fit(board, sizes, must=self._pull != "none") and self._pull != "all"
        reused = self._known(name, kept, local) if written else {}
        verified = self._hashed(name, folder, kept, reused) if written else {}
        pulled = self._agent.files.fetch(
            folder,
            self._to_pull(name, [n for n in kept if n not in reused and n not in verified]),
            local,
            limits,
            lambda completed, total: self._progress.tell(f"pulling {name}", completed, total),
            root=self._progress.folder,
        )
        log_file = local / "log.txt"
        log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.is_file() else ""
        reused |= {n: it.file for n, it in verified.items()}
        valid = {n: it.valid_md5 for n, it in verified.items()}
        files = tuple(run_record.file_record(n, facts, pulled, reused, valid, local) for n, facts in remote.items())
        return run_record.ModeRun(
            list(invocation.argv),
            invocation.environment,
            state.exit_code,
            state.duration_s,
            state.timed_out,
            log,
            files,
        )

    def _known(self, name: str, remote: dict[str, FileFacts], local: Path) -> dict[str, str]:
        """Files that this PC has already: the reference's, and those of the first turn of a repeated mode."""
        reused = self._expected.fill(remote, local)
        repeats.reuse_first_turn(self._progress.record.run.modes, name, remote, reused, self._progress.folder)
        return reused

    def _hashed(
        self, name: str, folder: str, kept: dict[str, FileFacts], reused: dict[str, str]
    ) -> dict[str, board_hashes.VerifiedDump]:
        """Padded dumps whose valid bytes are the reference's, by the board's own md5."""
        if self.hashing is None:
            return {}
        return self.hashing.verify_on_board(name, folder, kept, reused, self._progress.folder / name)

    def _to_pull(self, name: str, unknown: list[str]) -> list[str]:
        """With `--pull none` the dumps of a debug run stay on the board unless they are known; that is said."""
        if self._pull != "none" or not name.startswith("debug"):
            return unknown
        remaining = [n for n in unknown if n != "log.txt"]
        if remaining:
            self._progress.record.note(f"{name}: {len(remaining)} files not downloaded (--pull none), so not compared")
        return [n for n in unknown if n == "log.txt"]
