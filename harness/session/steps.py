"""The steps of one run on the board, and the run.json that grows with them."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from harness.agent import ASK_TIMEOUT_S, LOG_LIMIT_BYTES, Agent, BoardFacts, FileFacts, Quotas
from harness.agent.leases import Keeper
from harness.agent.valid import PYTHON, SCRIPT
from harness.assets import asset
from harness.boards.lease import hold
from harness.errors import COULD_NOT_MEASURE, BoardError, HarnessError, LinkError, ToolError
from harness.records import Board, Failure, Invocation, Job, ModelInfo, Verdict
from harness.records.codec import to_json
from harness.review.expectation import Expectation, Fed
from harness.runs import folder as store
from harness.runs.resume import Resume
from harness.runs.resume import save as save_resume
from harness.session import board_hashes, repeats, sending, unchanged
from harness.session import record as run_record
from harness.session.environment import with_paths
from harness.session.inputs import plan_inputs, wants_raw
from harness.session.job import check_name, job_of, on_board, timed_out
from harness.session.rehash import Copies
from harness.session.sensors import Sensors
from harness.transports.base import Transport

Tell = Callable[[str, int, int], None]  # (what is being done, done, total or -1)


class Session:
    """The steps of one run, and the run.json that grows with them."""

    def __init__(
        self,
        board: Board,
        folder: Path,
        tell: Tell,
        expected: Expectation,
        record: run_record.RunFile,
        resume: Resume,
    ) -> None:
        self.board, self.case, self.folder, self.tell = board, resume.case, folder, tell
        self.expected, self.platform, self.record, self.resume = expected, expected.platform, record, resume
        self.support: list[str] = []  # where the platform's own files lie on the board
        self._always: tuple[Path, ...] = ()  # files of this PC that every mode needs there, besides the inputs
        self._began = time.monotonic()
        self._step = "starting"
        self.left_clean = True  # nothing of this run lies on the board
        self.keeper: Keeper | None = None  # of the board's lease, once it was taken
        self._python = ""  # where the board has one, which the agent then hashes padded dumps with
        self._model_info: ModelInfo | None = None  # told by the run of mode info
        self._save()

    # ---- the story

    def run(self, board: Board, transport: Transport) -> None:
        """Everything that needs the board."""
        self.board = board
        with self._at("connecting"):
            self.agent = Agent.of(board, transport)
            self.agent.files.hash_timeout_s = ASK_TIMEOUT_S + self.case.timeout_s
            self.agent.install()
            self.copies = Copies(self.agent, board, self.record, self.tell, self.resume.files)
            self.sensors = Sensors(self.agent, board, self.platform, self.record, self.case.timeout_s)
            facts = self.agent.hello(tools=(*self.platform.tools, PYTHON), path=board.tools)
            told = to_json(facts)
            unchanged.refuse_other_board(self.record.run, told, self.resume)
            self.record.run = replace(self.record.run, board=replace(self.record.run.board, facts=told))
            self._refuse_missing_tools(facts)
            self._python = facts.tools.get(PYTHON, "")
        nonce, wait_s = self.resume.nonce, self.case.wait_s
        with hold(
            self.agent.lease, board.name, nonce=nonce, wait_s=wait_s, tell=lambda text: self.tell(text, 0, -1)
        ) as self.keeper:
            self._held()

    @property
    def may_cycle(self) -> bool:
        """Whether nobody else can have the board by now: a lease that is over may be another's."""
        return self.keeper is None or self.keeper.surely_holds

    def _held(self) -> None:
        """The board is ours."""
        with self._giving_up():
            self.sensors.look("before")
            self.sensors.clocks()
            model = self._push_model()
        self.left_clean = False
        place = self.agent.files.new_folder(self.resume.place)
        try:
            self._on_board(model, place)
        except LinkError:
            raise  # what runs on the board goes on, and `--resume` picks it up
        except BaseException:
            self._clean(place)
            raise
        self._clean(place)

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Once a run is stopped, or its link given up, a silent board gets little more time."""
        try:
            yield
        except (KeyboardInterrupt, LinkError):
            self.agent.link.patience.stop()
            raise

    def _push_model(self) -> str:
        """The model and the platform's own files; gives the model's path on the board."""
        with self._at("pushing the model"):
            support = self.platform.files(self.board, self._job("info", "", ()))
            script = [asset(SCRIPT)] if self._python else []
            self._always = (self.case.model, *support, *script)
            given = [path for _, path in self.case.inputs if path.is_file()]  # one that is not is told later
            sending.reserve(self.agent, self.board, (*self._always, *given))
            model = self._put(self.case.model)
            self.support = [self._put(path) for path in support]
        return model

    def _clean(self, place: str) -> None:
        with contextlib.suppress(HarnessError):
            self.agent.files.remove(place)
            self.left_clean = True
            self.resume = replace(self.resume, tokens={})

    def _on_board(self, model: str, place: str) -> None:
        with self._giving_up():
            self._commands(self.board.setup, "setup")
        try:
            with self._giving_up():
                self._modes(model, place)
        except BaseException:
            broke_at = self._step
            with contextlib.suppress(HarnessError):  # the first error is the one to tell, and where it was
                self._commands(self.board.teardown, "teardown")
            self._step = broke_at
            raise
        self._commands(self.board.teardown, "teardown")

    def _modes(self, model: str, place: str) -> None:
        info = self._info(model, place)
        with self._at("pushing inputs"):
            inputs = self._push_inputs(info)
        self._run_modes(model, inputs, place)
        while self._is_in_doubt() and self._replaced("the result diverges"):
            self._forget([done.mode for done in self.record.run.modes], place)
            self._info(model, place)
            self._run_modes(model, inputs, place)
        self.sensors.look("after")

    def _run_modes(self, model: str, inputs: tuple[str, ...], place: str) -> None:
        for mode in self.case.modes or self.platform.modes:
            for turn in range(self.case.repeat if mode in ("release", "debug") else 1):
                name = mode if turn == 0 else f"{mode}-{turn + 1}"
                if self.record.run.mode(name) is None:
                    self._mode(mode, name, self._job(mode, model, inputs), place)

    def _is_in_doubt(self) -> bool:
        with self._at("comparing"):
            return self.expected.doubted(self.folder)

    def _replaced(self, doubt: str) -> bool:
        """Whether the board's copies were damaged; a link that is gone by now costs no result, and is noted."""
        try:
            return self.copies.replaced(doubt)
        except LinkError as error:
            self.record.note(f"{doubt}; the board's copies could not be hashed once more: {error.message}")
            return False

    def _forget(self, names: list[str], place: str) -> None:
        """Modes that are to be run again: what they left is no result, here or on the board."""
        for name in names:
            self.agent.files.remove(str(PurePosixPath(place) / name))
        kept = {name: token for name, token in self.resume.tokens.items() if name not in names}
        self.resume = replace(self.resume, tokens=kept)
        self.record.drop_modes(names)
        self._save()

    # ---- steps

    @contextlib.contextmanager
    def _at(self, step: str) -> Iterator[None]:
        """Mark where we are, so that an interrupted run says where it stopped, and time the step."""
        self._step = step
        self.record.run = replace(self.record.run, stopped_at=step)  # a run whose process was killed says where, too
        self.tell(step, 0, -1)
        began = time.monotonic()
        yield
        self.record.add_time(step, time.monotonic() - began)
        self._save()

    def _refuse_missing_tools(self, facts: BoardFacts) -> None:
        missing = [tool for tool in self.platform.tools if not facts.tools.get(tool)]
        if missing:
            raise BoardError(
                f"{self.board.name}: {', '.join(missing)} is not on the board",
                self.platform.tool_hint.replace("{board}", self.board.name),
            )

    def _put(self, path: Path, name: str = "") -> str:
        """Push by content hash; returns the path on the board and records what really crossed the link."""
        put = self.copies.put(path)
        self.record.add_pushed(name or path.name, put)
        return put.path

    def _job(self, mode: str, model: str, inputs: tuple[str, ...]) -> Job:
        asked = job_of(self.board, self.case, mode, model)
        return on_board(asked, inputs, self.support, self.record.run.case.inputs)

    def _info(self, model: str, place: str) -> ModelInfo:
        done, failure = self._judged("info", self._job("info", model, ()), place, "info")
        info = self._model_info = self.platform.read_model_info(done.log)
        unchanged.refuse_other_versions(self.record.run, info.versions)
        self.record.run = replace(self.record.run, model_info=info, versions=info.versions)
        self._record_mode("info", done, failure)
        check_name(self.case, info.models_in_file)
        if failure:
            words = f" - {failure.evidence}" if failure.evidence else ""
            raise ToolError(f"{self.board.name}: {failure.message}{words}", failure.hint)
        return info

    def _push_inputs(self, info: ModelInfo) -> tuple[str, ...]:
        facts = self.platform.read_input_facts(info)
        raw = wants_raw(self.case, self.platform.modes, facts)
        kept = self.resume.files
        with unchanged.held(kept, ("input",), self.record.run):
            plan = plan_inputs(self.case.inputs, facts, self.folder / "inputs", raw=raw)
        self.record.add_inputs(run_record.input_record(item) for item in plan)
        self.record.note(*(item.note for item in plan if item.note))
        fed = [Fed(item.tensor, item.path) for item in plan]
        with unchanged.held(kept, ("reference", "float model", "graph"), self.record.run, folders=False):
            self.expected.open(info, fed, self.folder / "reference")
            self.expected.open_floats(info, fed, self.folder / "float")
        self.record.add_reference(self.expected.record())
        sending.reserve(self.agent, self.board, (*self._always, *(item.path for item in plan)))
        return tuple(self._put(item.path, item.tensor) for item in plan)

    def _mode(self, mode: str, name: str, job: Job, place: str) -> None:
        done, failure = self._judged(mode, job, place, name)
        self.record.add_versions(self.platform.read_versions(done.log))
        remarks = self.platform.read_remarks(mode, self.folder / name, done.log)
        self.record.note(*(f"{name}: {said}" for said in remarks))
        self._record_mode(name, done, failure)

    def _judged(self, mode: str, job: Job, place: str, name: str) -> tuple[run_record.ModeRun, Failure | None]:
        """Run a mode; once more where it fails and the board's copies of its files turn out to be damaged."""
        done = self._start(job, place, name)
        failure = self._failure(mode, done)
        if failure is not None and self.copies.replaced(f"{name} failed ({failure.message})"):
            self._forget([name], place)
            done = self._start(job, place, name)
            failure = self._failure(mode, done)
        return done, failure

    def _start(self, job: Job, place: str, name: str) -> run_record.ModeRun:
        """Run one mode on the board to its end and bring home what it left."""
        folder = str(PurePosixPath(place) / name)
        job = replace(job, folder=folder)
        invocation = with_paths(self.board, self.platform.invocation(self.board, job))
        with self._at(f"running {name}"):
            token = self._picked_up(name)
            if not token and name in self.resume.tokens:
                self.agent.files.remove(folder)  # what an earlier try left there is no result of this one
            token = token or self._started(name, invocation, folder)
            state = self.agent.jobs.wait(
                token, lambda text: self.tell(f"running {name}: {text}", 0, -1), self.case.timeout_s
            )
            self.sensors.collect(name, token)
        with self._at(f"collecting {name}"):
            return self._collect(name, folder, invocation, state.exit_code, state.duration_s, state.timed_out)

    def _started(self, name: str, invocation: Invocation, folder: str) -> str:
        """Start a mode; its token is on disk before the board hears of it, so that no run is lost or doubled."""
        token = secrets.token_hex(8)
        self.resume = self.resume.started(name, token)
        self._save()
        return self.agent.jobs.start(
            invocation, folder, self.case.timeout_s, sense_every_s=self.sensors.every_s, token=token
        )

    def _picked_up(self, name: str) -> str:
        """The token of a run of this mode that an earlier try left on the board and that is of use; else ""."""
        token = self.resume.tokens.get(name, "")
        if not token:
            return ""
        try:
            return token if self.agent.jobs.poll(token).state in ("running", "done") else ""
        except BoardError:
            return ""  # the board does not know it (any more)

    def _collect(
        self, name: str, folder: str, invocation: Invocation, code: int | None, duration_s: float, timed_out: bool
    ) -> run_record.ModeRun:
        there = self.agent.files.hash(folder)
        log_bytes = there["log.txt"].size_bytes if "log.txt" in there else 0
        if log_bytes > LOG_LIMIT_BYTES:  # the watchdog looks every few seconds only
            raise ToolError(f"{self.board.name}: the tool printed {log_bytes} bytes in mode {name}", "run it by hand")
        kept = {n: f for n, f in there.items() if any(fnmatch(n, p) for p in (*invocation.keep, "log.txt"))}
        here = self.folder / name
        shutil.rmtree(here, ignore_errors=True)  # what an earlier try pulled may be of another run of this mode
        limits = Quotas(self.board.limits.max_files, self.board.limits.max_bytes)
        sizes = [facts.size_bytes for facts in kept.values()]  # also of what this PC writes itself, by its hash
        written = limits.fit(self.board.name, sizes, must=self.case.pull != "none") and self.case.pull != "all"
        known = self._known(name, kept, here) if written else {}
        hashed = self._hashed(name, folder, kept, known) if written else {}
        pulled = self.agent.files.fetch(
            folder,
            self._to_pull(name, [n for n in kept if n not in known and n not in hashed]),
            here,
            limits,
            lambda done, total: self.tell(f"pulling {name}", done, total),
            root=self.folder,
        )
        log_file = here / "log.txt"
        log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.is_file() else ""
        known |= {n: it.file for n, it in hashed.items()}
        valid = {n: it.valid_md5 for n, it in hashed.items()}
        files = tuple(run_record.file_record(n, facts, pulled, known, valid) for n, facts in there.items())
        return run_record.ModeRun(
            list(invocation.argv), invocation.environment, code, duration_s, timed_out, log, files
        )

    def _known(self, name: str, there: dict[str, FileFacts], here: Path) -> dict[str, str]:
        """Files that this PC has already: the reference's, and those of the first turn of a repeated mode."""
        known = self.expected.fill(there, here)
        repeats.fill(self.record.run.modes, name, there, known, self.folder)
        return known

    def _hashed(
        self, name: str, folder: str, kept: dict[str, FileFacts], known: dict[str, str]
    ) -> dict[str, board_hashes.Hashed]:
        """Padded dumps whose valid bytes are the reference's, by the board's own md5."""
        if self._model_info is None:
            return {}
        hashing = board_hashes.Hashing(
            self.agent, self.expected, self._model_info, self._python, self.board.tools, self._put, self.record.note
        )
        return hashing.fill(name, folder, kept, known, self.folder / name)

    def _to_pull(self, name: str, unknown: list[str]) -> list[str]:
        """With `--pull none` the dumps of a debug run stay on the board unless they are known; that is said."""
        if self.case.pull != "none" or not name.startswith("debug"):
            return unknown
        left = [n for n in unknown if n != "log.txt"]
        if left:
            self.record.note(f"{name}: {len(left)} files stayed on the board (--pull none): not compared")
        return [n for n in unknown if n == "log.txt"]

    def _failure(self, mode: str, done: run_record.ModeRun) -> Failure | None:
        """The time limit is ours: the platform would only see a tool that was killed."""
        if done.timed_out:
            return timed_out(self.case)
        return self.platform.read_failure(mode, done.code, done.log, done.present)

    def _record_mode(self, name: str, done: run_record.ModeRun, failure: Failure | None) -> None:
        self.record.add_mode(run_record.mode_record(name, done, failure))
        self._save()

    def _commands(self, commands: tuple[tuple[str, ...], ...], what: str) -> None:
        """The inventory's setup or teardown commands; one that fails stops the run, with its own words."""
        for argv in commands:
            with self._at(what):
                done = self.agent.lease.run_guarded(argv, self.case.timeout_s)
                if done.code != 0:
                    text = (done.err or done.out).decode("utf-8", "replace").strip()[:500]
                    raise BoardError(f"{what} command {list(argv)} ended with {done.code}: {text}", "see hosts.yaml")

    # ---- the record

    def stop(self, state: str, message: str, hint: str) -> None:
        """Close the record: complete, failed or interrupted, and where."""
        self.record.run = replace(
            self.record.run,
            state=state,
            stopped_at="" if state == "complete" else self._step,
            finished_utc=run_record.now(),
            duration_s=round(time.monotonic() - self._began, 6),
        )
        if message:
            problems = (*self.record.run.problems, f"{message} ({hint})" if hint else message)
            verdict = Verdict("not_measured", message, COULD_NOT_MEASURE)
            self.record.run = replace(self.record.run, problems=problems, verdict=verdict)
        store.free_reserve(self.folder)  # where this PC's disk is full, this is the room for how the run ended
        self._save()

    def _save(self) -> None:
        self.record.save()
        save_resume(self.folder, self.resume)  # until the run is judged: see review.judge
