"""The steps of one run on the board, and the run.json that grows with them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.agent import ASK_TIMEOUT_S, Agent, BoardFacts, Quotas
from harness.agent.leases import Keeper
from harness.agent.valid import PYTHON
from harness.boards.connect import refuse_wrong_soc
from harness.boards.lease import hold_board_lease
from harness.errors import BoardError, HarnessError, LinkError, ToolError
from harness.platforms.base import Platform
from harness.records import Board, Job, ModelInfo, SoakPlan
from harness.records.codec import to_json
from harness.records.workload import PROFILE_MODE
from harness.review.case_reference import CaseReference
from harness.session import unchanged
from harness.session.alongside.beside import BesideLoad
from harness.session.alongside.sensors import SENSE_EVERY_S, Sensors
from harness.session.board_hashes import BoardHashes
from harness.session.job import check_name
from harness.session.modes import ModeRunner
from harness.session.progress import RunProgress
from harness.session.pulling import Puller
from harness.session.pushing import Pusher
from harness.session.rehash import Copies
from harness.session.samples.focus import SampledSession
from harness.session.samples.running import Parts
from harness.session.turns import Turn, soak_turns, turns
from harness.transports.base import Transport

AROUND_A_MODE_S = 600.0  # to bring home what a mode left, at most, before a load is ended by its time limit


class Session:
    """One run on one board: what its parts (pushing, modes, pulling, sensors) do, in order."""

    def __init__(self, board: Board, expected: CaseReference, progress: RunProgress) -> None:
        self.board, self.expected, self.progress = board, expected, progress
        self.platform, self.record, self.case = expected.platform, progress.record, progress.resume.case
        self.left_clean = True  # nothing of this run lies on the board
        self.keeper: Keeper | None = None  # of the board's lease, once it was taken

    def run(self, board: Board, transport: Transport) -> None:
        """Everything that needs the board."""
        self.board = board
        with self.progress.at("connecting"):
            self.agent = Agent.of(transport, board.folders.work, board.limits)
            self.agent.files.hash_timeout_s = ASK_TIMEOUT_S + self.case.timeout_s
            self.agent.install()
            self._connect_parts(self._hello())
        resume = self.progress.resume
        with hold_board_lease(
            self.agent.lease, board.name, nonce=resume.nonce, wait_s=self.case.wait_s, tell=self.progress.say
        ) as self.keeper:
            self._held()

    def _hello(self) -> str:
        """Ask what the board is, and refuse another one; gives where it has a Python that padded dumps are hashed with.

        Errors: InputError for another board than before, WrongSocError for one that is no `soc:` of hosts.yaml,
        BoardError for one without the platform's tools.
        """
        monitors = [argv[0] for argv in self.platform.monitors(self.board.identity)]
        facts = self.agent.hello(tools=(*self.platform.tools, PYTHON, *monitors), path=self.board.environment.tools)
        described = to_json(facts)
        unchanged.refuse_other_board(self.record.run, described, self.progress.resume)
        self.record.run = replace(self.record.run, board=replace(self.record.run.board, facts=described))
        refuse_wrong_soc(self.board.identity, facts)
        _refuse_missing_tools(self.board.name, self.platform, facts)
        self._senses = self.board.emulated is None or bool(facts.sysfs)
        self._present = frozenset(name for name in monitors if facts.tools.get(name))
        return facts.tools.get(PYTHON, "")

    def _connect_parts(self, python: str) -> None:
        agent, board, progress = self.agent, self.board, self.progress
        self.copies = Copies(agent, board.folders.shared, self.record, progress.tell, progress.resume.files)
        self.sensors = Sensors(
            agent,
            not self._senses,
            self.platform,
            self.record,
            self.case.timeout_s,
            _sense_every_s(self.case.soak),
        )
        self.pusher = Pusher(board.identity, board.folders.work, self.expected, progress, self.copies, python)
        self.puller = Puller(agent, board.limits, self.expected, progress)
        self.modes = ModeRunner(
            agent, (board.identity, board.environment), self.platform, progress, self.copies, self.sensors, self.puller
        )
        self.modes.monitors.present = self._present
        self.load = BesideLoad(agent, (board.identity, board.environment), progress, self.puller)
        self._python = python

    @property
    def may_cycle(self) -> bool:
        """Whether nobody else can have the board by now: a lease that is over may be another's."""
        return self.keeper is None or self.keeper.surely_holds

    def _held(self) -> None:
        """The board is ours."""
        with self._giving_up():
            self.sensors.look("before")
            self.sensors.clocks()
            model = self.pusher.push_model()
        self.left_clean = False
        self.modes.place = self.agent.files.new_folder(self.progress.resume.place)
        try:
            self._on_board(model)
        except LinkError:
            raise  # what runs on the board goes on, and `--resume` picks it up
        except BaseException:
            self._clean()
            raise
        self._clean()

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Once a run is stopped, or its link given up, a silent board gets little more time."""
        try:
            yield
        except (KeyboardInterrupt, LinkError):
            self.agent.link.patience.stop()
            raise

    def _clean(self) -> None:
        with contextlib.suppress(HarnessError):
            self.agent.files.remove(self.modes.place)
            self.left_clean = True
            self.progress.resume = replace(self.progress.resume, tokens={})

    def _on_board(self, model: str) -> None:
        with self._giving_up():
            _run_commands(self.agent, self.progress, self.board.commands.setup, "setup")
        try:
            with self._giving_up():
                self._run_modes(model)
        except BaseException:
            broke_at = self.progress.step
            with contextlib.suppress(HarnessError):  # the first error is the one to tell, and where it was
                _run_commands(self.agent, self.progress, self.board.commands.teardown, "teardown")
            self.progress.step = broke_at
            raise
        _run_commands(self.agent, self.progress, self.board.commands.teardown, "teardown")

    def _run_modes(self, model: str) -> None:
        info = self._info(model)
        samples = _samples_of(self, model, info)
        given = samples.run() if samples else ()
        if self.case.samples and self.case.samples.sequence:
            return
        with self.progress.at("pushing inputs"):
            inputs = self.pusher.push_inputs(info, given)
        self._run_beside(model, inputs)
        while _is_in_doubt(self.expected, self.progress) and self._replaced(self.expected.doubt_reason):
            self.modes.forget([mode.mode for mode in self.record.run.modes])
            self._info(model)
            self._run_beside(model, inputs)
        if samples:
            samples.debug_others()
        self.sensors.look("after")

    def _run_beside(self, model: str, inputs: tuple[str, ...]) -> None:
        """The modes, under the application's own load where there is one."""
        case = self.case
        times = {"release": case.repeat, "debug": case.repeat, "profile": case.rounds}  # about values, about times
        wanted = list(turns(case.modes or self.platform.modes, times, case.workload, case.sweep))
        soak_s = case.soak.duration_s if case.soak else 0.0
        with self.load.running(self.modes.place, soak_s + (len(wanted) + 1) * (case.timeout_s + AROUND_A_MODE_S)):
            if case.soak:
                self._run_soak(case.soak, model, inputs)
            else:
                self._run_turns(wanted, model, inputs)

    def _run_soak(self, plan: SoakPlan, model: str, inputs: tuple[str, ...]) -> None:
        """Turn after turn; what one leaves on the board is removed, for there are hours of them."""
        modes = self.case.modes or self.platform.modes
        for at_s, turn in soak_turns(modes, plan, self.case.workload, lambda: self.record.run.modes):
            self.progress.tell(f"soak: {turn.label}", round(min(at_s, plan.duration_s)), round(plan.duration_s))
            if self.record.run.mode(turn.name) is None:
                self._mode(turn.mode, turn.name, self.pusher.job(turn.mode, model, inputs, turn.workload))
            self.record.mark_mode(turn.name, round(at_s, 3))
            self.modes.remove_from_board(turn.name)

    def _run_turns(self, wanted: Sequence[Turn], model: str, inputs: tuple[str, ...]) -> None:
        for turn in wanted:
            if self.record.run.mode(turn.name) is None:
                if turn.label:
                    self.progress.say(f"setting {turn.label}")
                _make_ready(self, turn)
                self._mode(turn.mode, turn.name, self.pusher.job(turn.mode, model, inputs, turn.workload))

    def _replaced(self, reason: str) -> bool:
        """Whether the board's copies were damaged; a link that is gone by now costs no result, and is noted."""
        try:
            return self.copies.replaced(reason)
        except LinkError as error:
            self.record.note(f"{reason}; the board's files could not be verified: {error.message}")
            return False

    def _info(self, model: str) -> ModelInfo:
        finished, failure = self.modes.run("info", "info", self.pusher.job("info", model, ()))
        info = self.platform.read_model_info(finished.log)
        self.puller.hashing = BoardHashes(
            self.agent,
            self.expected,
            info,
            self._python,
            self.board.environment.tools,
            self.pusher.put,
            self.record.note,
        )
        unchanged.refuse_other_versions(self.record.run, info.versions)
        self.record.run = replace(self.record.run, model_info=info, versions=info.versions)
        self.modes.keep("info", finished, failure)
        check_name(self.case.model.name, self.case.model_name, info.models_in_file)
        if failure:
            words = f" - {failure.evidence}" if failure.evidence else ""
            raise ToolError(f"{self.board.name}: {failure.message}{words}", failure.hint)
        return info

    def _mode(self, mode: str, name: str, job: Job) -> None:
        finished, failure = self.modes.run(mode, name, job)
        failure = self.load.ended() or failure
        self.record.add_versions(self.platform.read_versions(finished.log))
        notes = self.platform.read_notes(mode, self.progress.folder / name, finished.log)
        self.record.note(*(f"{name}: {sentence}" for sentence in notes))
        self.modes.keep(name, finished, failure)


def _make_ready(session: Session, turn: Turn) -> None:
    """Before a profile run: the pause between two of them, and a board that is cool enough."""
    if turn.mode != PROFILE_MODE:
        return
    case, say = session.case, session.progress.say
    ends_at = time.monotonic() + (case.pause_s if turn.name != turn.mode else 0.0)
    while (left_s := ends_at - time.monotonic()) > 0:
        say(f"pausing before {turn.name}")
        time.sleep(min(1.0, left_s))
    session.sensors.wait_until_cool(case.start_c, case.cool_s, say)


def _samples_of(session: Session, model: str, info: ModelInfo) -> SampledSession | None:
    """Where the case has samples, all of them with what the session lends."""
    if session.case.samples is None:
        return None
    board = session.board
    around, limits = (board.identity, board.environment), Quotas(board.limits.max_files, board.limits.max_bytes)
    lent = (session.expected, session.progress, session.pusher)
    parts = Parts(session.agent, around, board.folders.shared, limits, *lent)
    return SampledSession(parts, session.copies, model, info, session.modes.place)


def _is_in_doubt(expected: CaseReference, progress: RunProgress) -> bool:
    """Whether what the run left speaks against its board, as far as anybody looks now."""
    if expected.doubted is None:
        return True
    with progress.at("comparing"):
        return expected.doubted(progress.folder)


def _sense_every_s(soak: SoakPlan | None) -> float:
    """How often sensors are read: about 3,600 times in a soak, once a second else."""
    return max(SENSE_EVERY_S, round((soak.duration_s if soak else 0.0) / 3600))


def _refuse_missing_tools(board: str, platform: Platform, facts: BoardFacts) -> None:
    missing = [tool for tool in platform.tools if not facts.tools.get(tool)]
    if missing:
        raise BoardError(
            f"{board}: {', '.join(missing)} is not on the board", platform.tool_hint.replace("{board}", board)
        )


def _run_commands(agent: Agent, progress: RunProgress, commands: tuple[tuple[str, ...], ...], what: str) -> None:
    """The inventory's setup or teardown commands; one that fails stops the run, with its own words."""
    for argv in commands:
        with progress.at(what):
            result = agent.lease.run_guarded(argv, progress.resume.case.timeout_s)
            if result.code != 0:
                text = (result.err or result.out).decode("utf-8", "replace").strip()[:500]
                raise BoardError(
                    f"{what} command {list(argv)} failed with exit code {result.code}: {text}",
                    "correct it in hosts.yaml",
                )
