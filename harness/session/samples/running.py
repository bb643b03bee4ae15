"""All samples of a case through its board: batch after batch, the next one made ready while the board runs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from harness.agent import Agent, FileFacts, Quotas
from harness.errors import BoardError
from harness.files.memory import rss_mb
from harness.files.samples import SampleSet, is_frames_truth, open_samples
from harness.platforms.base import Platform
from harness.records import BoardIdentity, CommandEnvironment, InputFacts, ModelInfo, Sample
from harness.review.case_reference import CaseReference, Fed
from harness.review.samples import kept
from harness.review.samples.one import JudgedSample, SampleJudge
from harness.review.samples.trajectories import Trajectories
from harness.session import record as run_record
from harness.session import sending
from harness.session.environment import board_environment
from harness.session.inputs import plan_inputs, tool_name, wants_raw
from harness.session.job import timed_out
from harness.session.progress import RunProgress
from harness.session.pushing import Pusher
from harness.session.samples import batches
from harness.session.samples.batches import Batch, PreparedSample, SampleEnding
from harness.session.samples.evaluating import SampleReferences, Stages, failed, keep_outputs, keep_values
from harness.session.samples.fitting import refuse_unfit
from harness.tasks.truth import read_truth, refuse_missing

BATCH_S = 60.0  # of the tool, as the first sample tells: how often a person sees a number move
MOST_IN_BATCH = 64
BATCH_BYTES = 32 * 2**20
MOST_FAILURES = 8  # in a row: the board is not going to recover by itself
NOT_RUN = f"not run: {MOST_FAILURES} samples before it failed, one after the other"


@dataclass(frozen=True)
class Parts:
    """What a session lends."""

    agent: Agent
    board: tuple[BoardIdentity, CommandEnvironment]
    shared: tuple[str, str]  # the board's shared folder, as of `sending`
    quotas: Quotas
    expected: CaseReference
    progress: RunProgress
    pusher: Pusher


@dataclass(frozen=True)
class Running:
    """A batch that is on the board."""

    batch: Batch
    references: Mapping[str, SampleReferences]
    scratch: Path
    archive: str  # on the board
    folder: str = ""
    token: str = ""
    limit_s: float = 0.0
    is_for_outputs: bool = False  # though its mode leaves every layer


class SamplesPass:
    """Runs every sample in release mode, and some in debug mode."""

    def __init__(self, parts: Parts, model: str, info: ModelInfo, place: str) -> None:
        self._parts, self._model, self._info, self._place = parts, model, info, place
        self.case = parts.progress.resume.case
        assert self.case.samples is not None
        self.set: SampleSet = open_samples(self.case.samples)
        self.folder = parts.progress.folder
        has_csv = self.case.samples.truth and not is_frames_truth(self.case.samples)
        truths = read_truth(Path(self.case.samples.truth)) if has_csv else {}
        if truths:
            refuse_missing(Path(self.case.samples.truth), truths, self.set.stems)
        self._platform: Platform = parts.expected.platform
        self._facts: Sequence[InputFacts] = self._platform.read_input_facts(info)
        self._mode = self._platform.sampled_mode
        self._raw = wants_raw((self._mode,), self._facts, values=bool(self.case.reference or self.case.floats))
        self._stages = Stages(parts.expected, info)
        self._judge = SampleJudge(self.case, self._platform, info, truths)
        plan = self.case.samples.sequence
        self._trajectories = Trajectories(self.folder, len(self.set.stems), plan) if plan else None
        self._usual_s = 0.0  # of the slowest sample so far
        self._left_bytes = 0  # on the board, by the sample that left most
        self._failures = 0
        self.finished: dict[str, Sample] = kept.read(self.folder)
        self._figures = kept.read_figures(self.folder)

    # ---- all of them

    def run(self) -> None:
        """Errors: as of a mode, InputError for samples that do not fit, before one is sent; samples that failed are
        recorded and told."""
        self._remove_left()
        queue = deque(place for place, stem in enumerate(self.set.stems) if stem not in self.finished)
        refuse_unfit(self.set, list(queue), self._facts, raw=self._raw)
        self._stages.refuse_missing([self.set.stems[place] for place in queue])
        with self._in_scratch():
            self._run(queue)

    @contextlib.contextmanager
    def _in_scratch(self) -> Iterator[None]:
        """A folder for what batches need on this PC, gone however this ends."""
        with tempfile.TemporaryDirectory(prefix="harness-samples-", ignore_cleanup_errors=True) as folder:
            self._scratch = Path(folder)
            yield

    def _run(self, queue: deque[int]) -> None:
        began, before = time.monotonic(), self._figures.session_s
        running: Running | None = None
        while queue or running:
            if self._failures >= MOST_FAILURES:
                self._give_up(queue)
            following = self._prepared(self._next(queue)) if queue else None
            is_late = self._waited(running) if running else False
            ended, running = running, self._started(following) if following else None
            if ended is not None:  # the board runs the next one meanwhile
                queue.extend(self._judged(*self._collected(ended), is_late))
                self._saved(before + time.monotonic() - began)

    def _saved(self, session_s: float) -> None:
        used_mb = rss_mb()
        memory = (*self._figures.rss_mb, *(() if used_mb is None else (used_mb,)))
        self._figures = replace(self._figures, session_s=round(session_s, 3), rss_mb=memory)
        kept.save_figures(self.folder, self._figures)
        self._parts.progress.tell("samples", len(self.finished), len(self.set.stems))

    def forget(self) -> None:
        """Every result so far is none: the board computed with damaged files."""
        self.finished = {}
        self._failures, self._usual_s, self._left_bytes = 0, 0.0, 0  # of that model
        if self._trajectories is not None:
            self._trajectories.forget()
        kept.clear(self.folder)

    def _give_up(self, queue: deque[int]) -> None:
        lost = [Sample(self.set.stems[place], "failed", failure=NOT_RUN) for place in queue]
        queue.clear()
        self._add(lost)

    def _add(self, samples: Sequence[Sample]) -> None:
        kept.append(self.folder, samples)
        self.finished |= {sample.stem: sample for sample in samples}

    def _next(self, queue: deque[int]) -> list[int]:
        """The first alone, to learn how long one takes; then as many as `BATCH_S` holds."""
        count = max(1, min(MOST_IN_BATCH, int(BATCH_S / self._usual_s))) if self._usual_s else 1
        size = sum(fact.size_bytes or 0 for fact in self._facts) + self._left_bytes  # a board may keep it in memory
        count = min(count, max(1, BATCH_BYTES // size)) if size else count
        return [queue.popleft() for _ in range(min(count, len(queue)))]

    # ---- layers of some

    def debug(self, stems: Sequence[str]) -> None:
        """Run samples in debug mode and keep the figures of their layers; one that fails is noted. Errors: as `run`."""
        places = [place for place, stem in enumerate(self.set.stems) if stem in stems]
        if not places:
            return
        with self._in_scratch():
            started = self._started(self._prepared(places, debug=True))
            self._waited(started)
            self._debugged(*self._collected(started))
        kept.save_figures(self.folder, self._figures)

    def _debugged(self, running: Running, ran: Mapping[str, SampleEnding], left: Mapping[str, tuple[str, ...]]) -> None:
        for sample in running.batch.samples:
            how = ran.get(sample.name, SampleEnding())
            failure = self._platform.read_failure("debug", how.code, how.log, (*left[sample.name], "log.txt"))
            if failure is not None or how.code is None:
                words = failure.message if failure else "the tool did not end"
                self._parts.progress.record.note(f"sample {sample.stem}: its layers were not compared: {words}")
                continue
            self._compare_layers(running, sample, how.log)

    def _compare_layers(self, running: Running, sample: PreparedSample, log: str) -> None:
        reference = running.references[sample.name].reference
        if reference is not None:
            local = running.scratch / "left" / sample.name
            kept.append_layers(self.folder, sample.stem, self._judge.layers(local, log, reference))

    # ---- one batch

    def _prepared(self, places: Sequence[int], *, debug: bool = False) -> Running:
        """Inputs and what the PC says of them: of outputs, or of all layers to `debug`. Errors: InputError."""
        scratch = Path(tempfile.mkdtemp(dir=self._scratch))
        samples = tuple(self._sample(place, scratch) for place in places)
        batch = Batch("debug" if debug else self._mode, samples, scratch / "inputs.tar")
        batches.pack(samples, batch.archive)
        opened = self._whole if debug else self._stages.references
        references = {one.name: opened(one, scratch / one.name) for one in samples}
        put = sending.put(self._parts.agent, self._parts.shared, batch.archive, lambda *_: None)
        pushes, sent_bytes = self._figures.pushes + 1, self._figures.sent_bytes + put.sent_bytes
        self._figures = replace(self._figures, pushes=pushes, sent_bytes=sent_bytes)
        return Running(batch, references, scratch, put.path, is_for_outputs=not debug and self._mode != "release")

    def _whole(self, sample: PreparedSample, scratch: Path) -> SampleReferences:
        known = CaseReference(self.case, self._platform, lambda *_: None)
        known.open(self._info, sample.fed, scratch / "whole")
        return SampleReferences(known, known.reference, None)

    def _sample(self, place: int, scratch: Path) -> PreparedSample:
        name = f"s{place:06}"
        given = self.set.inputs(place, scratch / name)
        plan = plan_inputs(given, self._facts, scratch / name / "inputs", raw=self._raw)
        files = [(item.tensor, item.path) for item in plan]
        packed = self._platform.pack_inputs(self._info, files, scratch / name / "packed")
        records = tuple(run_record.input_record(item) for item in plan)
        names = tuple(tool_name(record) for record in records)
        if len(packed) != len(plan):
            names = tuple(path.name for path in packed)
        return PreparedSample(self.set.stems[place], name, packed, names, tuple(Fed(*file) for file in files))

    def _started(self, ready: Running) -> Running:
        parts = self._parts
        folder = str(PurePosixPath(self._place) / f"samples-{ready.batch.mark.rpartition('-')[2]}")
        self._figures = replace(self._figures, folder=folder)
        kept.save_figures(self.folder, self._figures)
        base = parts.pusher.job(ready.batch.mode, self._model, ())
        identity, around = parts.board
        jobs = {
            one.name: self._platform.invocation(identity, batches.job_of_sample(base, folder, one))
            for one in ready.batch.samples
        }
        program = batches.script(ready.batch, ready.archive, jobs)
        first = replace(next(iter(jobs.values())), argv=("sh", "-c", program), environment={})
        whole = board_environment(around, identity.libraries, first)
        limit_s = self.case.timeout_s + 3 * self._usual_s * len(jobs)
        token = parts.agent.jobs.start(whole, folder, limit_s)
        return replace(ready, folder=folder, token=token, limit_s=limit_s)

    def _waited(self, running: Running) -> bool:
        """Wait for a batch; whether its time limit ended it."""
        return self._parts.agent.jobs.wait(running.token, self._parts.progress.say, running.limit_s).timed_out

    def _collected(self, running: Running) -> tuple[Running, dict[str, SampleEnding], dict[str, tuple[str, ...]]]:
        """Bring home what this PC cannot write itself of a batch that has ended, and clear the board of it."""
        agent = self._parts.agent
        remote = agent.files.hash(running.folder)
        wanted, left = ["log.txt"], {}
        for sample in running.batch.samples:
            own = _below(remote, sample.name)
            self._left_bytes = max(self._left_bytes, sum(facts.size_bytes for facts in own.values()))
            reference = running.references[sample.name].known
            fitting = reference.of_its_sizes(own) if running.is_for_outputs else own
            known = reference.fill(own, running.scratch / "left" / sample.name)
            wanted += [f"{sample.name}/{name}" for name in fitting if name not in known]
            left[sample.name] = tuple(own)
        agent.files.fetch(running.folder, wanted, running.scratch / "left", self._parts.quotas, root=running.scratch)
        pulled_bytes = self._figures.pulled_bytes + sum(remote[name].size_bytes for name in wanted)
        self._figures = replace(self._figures, pulled_bytes=pulled_bytes)
        agent.files.remove(running.folder)
        log = (running.scratch / "left" / "log.txt").read_text(encoding="utf-8", errors="replace")
        ran = batches.read_log(log, running.batch)
        if not ran:
            words = log.strip().splitlines()[-1:] or ["it printed nothing"]
            raise BoardError(f"{self._parts.board[0].name}: a batch of samples did not start: {words[0][:200]}")
        return running, ran, left

    def _judged(
        self, running: Running, ran: Mapping[str, SampleEnding], left: Mapping[str, tuple[str, ...]], is_late: bool
    ) -> list[int]:
        """Judge what was run; gives the places of samples that were not reached, which come again."""
        finished, again = [], []
        for sample in running.batch.samples:
            how = ran.get(sample.name, SampleEnding())
            if not how.began:
                again.append(self._place_of(sample))
                continue
            judged = self._one(running, sample, how, left[sample.name], is_late)
            local = running.scratch / "left" / sample.name
            finished.append(self._with_outputs(judged, self._place_of(sample), local))
        self._add(finished)
        shutil.rmtree(running.scratch, ignore_errors=True)
        return again

    @staticmethod
    def _place_of(sample: PreparedSample) -> int:
        return int(sample.name[1:])

    def _with_outputs(self, judged: JudgedSample, place: int, local: Path) -> Sample:
        sample = judged.sample
        if self._trajectories is not None and judged.values:
            self._trajectories.add(place, judged.values)
        if self.case.samples is not None and self.case.samples.keep_values:
            keep_values(self.folder, judged, place)
        count = sum(bool(one.kept) for one in self.finished.values())
        return replace(sample, kept=keep_outputs(self.folder, sample, local, place, count))

    def _one(
        self, running: Running, sample: PreparedSample, how: SampleEnding, present: tuple[str, ...], is_late: bool
    ) -> JudgedSample:
        self._usual_s = max(self._usual_s, how.seconds or 0.0)
        failure = self._platform.read_failure(running.batch.mode, how.code, how.log, (*present, "log.txt"))
        if how.code is None:
            failure = timed_out(self.case.timeout_s) if is_late else failure
        if failure is not None or how.code is None:
            self._failures += 1
            return failed(sample, failure.message if failure else "the tool did not end", how)
        self._failures = 0
        expected = running.references[sample.name]
        local = running.scratch / "left" / sample.name
        return self._judge.judge(sample.stem, local, how.log, expected.reference, expected.floats, how.seconds or 0.0)

    def _remove_left(self) -> None:
        if self._figures.folder:
            self._parts.agent.files.remove(self._figures.folder)
            self._figures = replace(self._figures, folder="")


def _below(remote: Mapping[str, FileFacts], name: str) -> dict[str, FileFacts]:
    """Files of one sample, by their names in its folder."""
    return {path.removeprefix(f"{name}/"): facts for path, facts in remote.items() if path.startswith(f"{name}/")}
