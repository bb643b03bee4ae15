"""Acme, a vendor that does not exist: all that harness has to know of it, in this file and the files beside it."""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from harness.boards.managers import BoardManager
from harness.consistency.metrics.by_name import Array, Metric
from harness.diagnosis.rules import DiagnosisVendor, Findings, Rule, RunView, finding
from harness.errors import BoardInUseError, ConfigError, InputError
from harness.lint import base as lint
from harness.lint.findings import LintFinding
from harness.lint.findings import LintRule as LintRule
from harness.platforms.base import Platform, PlatformVendor
from harness.records import (
    BoardIdentity,
    Dump,
    Endpoint,
    Failure,
    InputFacts,
    Invocation,
    Job,
    ModelInfo,
    Run,
    TensorSpec,
)
from harness.report.exporting import Exporter
from harness.tasks.metric import TaskMetric, Truth
from harness.toolchains.base import ToolchainVendor, text_reader
from harness.toolchains.records import Artifact
from harness.transports.base import Kind
from harness.transports.kinds import telnet
from harness.vendors import Vendor

HERE = Path(__file__).parent
WIDTHS = {"u8": 1, "s16": 2}


# ---- the platform: what to start on the board, and how to read what it left


class Acme(Platform):
    """`acme_run`, a shell script that travels with each run."""

    name = "acme"
    modes = ("release", "debug")
    units = ("DSP",)

    def check_model(self, path: Path, board: BoardIdentity) -> None:
        if not path.read_bytes().startswith(b"acme "):
            raise InputError(f"{path}: not a network of acmec", "give the .acme file that acmec wrote")

    def files(self, board: BoardIdentity, job: Job) -> tuple[Path, ...]:
        return (HERE / "acme_run.sh",)

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        return Invocation(("sh", *job.support, job.mode, job.model, *job.inputs))

    def read_model_info(self, text: str) -> ModelInfo:
        results: dict[str, list[TensorSpec]] = {"input": [], "output": []}
        for side, name, dtype, size in re.findall(r"^(input|output) (\S+) (u8|s16) (\d{1,9})$", text, re.MULTILINE):
            results[side].append(TensorSpec(name, dtype, (int(size),)))
        return ModelInfo("", tuple(results["input"]), tuple(results["output"]), versions=self.read_versions(text))

    def read_versions(self, text: str) -> dict[str, str]:
        message = {"runtime": r"^acme_run (\S+)$", "builder": r"^compiler (\S+)$"}
        matched = {name: re.search(pattern, text, re.MULTILINE) for name, pattern in message.items()}
        return {name: match[1] for name, match in matched.items() if match}

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        specs = {spec.name: spec for spec in info.outputs}
        outputs = ((path.stem.removeprefix("output_"), path) for path in sorted(folder.glob("output_*.bin")))
        return tuple(Dump(name, path, specs.get(name)) for name, path in outputs)

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        named = (
            (re.fullmatch(r"layer_(\d{1,6})_(.+)", path.stem), path) for path in sorted(folder.glob("layer_*.bin"))
        )
        return tuple(Dump(match[2], path, op=match[2], index=int(match[1])) for match, path in named if match)

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        if code == 0 and (mode == "info" or "acme_run: done" in log):
            return None
        output = [line for line in log.splitlines() if line.startswith("acme_run:")]
        return Failure("crash", f"acme_run ended with exit code {code}: {''.join(output[-1:]) or 'it said nothing'}")

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return tuple(InputFacts(s.name, s.shape[0] * WIDTHS[s.dtype], s.dtype, shapes=(s.shape,)) for s in info.inputs)


PLATFORM = Acme()


# ---- a finding: what a finished run shows

OLD_RUNTIME = Rule(
    "ACME-1",
    "warning",
    "the runtime is older than the compiler",
    "update acme_run on the board to the compiler's version",
)


def old_runtime(view: RunView) -> Findings:
    if view.run.board.platform != PLATFORM.name:
        return
    runtime, builder = (view.run.versions.get(name, "") for name in ("runtime", "builder"))
    if runtime and builder and _number(runtime) < _number(builder):
        yield finding(OLD_RUNTIME.id, f"acme_run {runtime} on the board, acmec {builder} built the network")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# ---- a lint rule: a mistake in the compiler's config, before the compiler runs

FASTEST_MHZ = {"acme1": 800}
CLOCK = LintRule("ACL001", "error", "the clock is above the chip's", "Acme 1 data sheet, 4.2")


def lint_file(path: Path, _tool: str, _command: str, _model: Path | None) -> tuple[LintFinding, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "give the config of acmec") from error
    message = {
        key.strip(): (value.strip(), at) for at, line in enumerate(lines, 1) for key, _, value in [line.partition("=")]
    }
    chip, (clock, at) = message.get("chip", ("", 0))[0], message.get("clock_mhz", ("0", 0))
    most = FASTEST_MHZ.get(chip)
    if most is None or not clock.isdigit() or int(clock) <= most:
        return ()
    output = f"clock_mhz {clock} is above the {most} MHz of {chip}"
    return (LintFinding(CLOCK.id, CLOCK.severity, at, output, CLOCK.source, f"clock_mhz = {most}"),)


# ---- a reader: `harness inspect build.log`


def read_log(text: str) -> Artifact:
    version = re.search(r"^acmec (\S+): compiling \S+ for (\S+)$", text, re.MULTILINE)
    versions = {"acmec": version[1]} if version else {}
    return Artifact(
        "acmec_log", "build log of acmec", versions, version[2] if version else "", "acmec: written" in text
    )


LOG = text_reader("acmec_log", "build log of acmec", lambda text: text.startswith("acmec "), read_log)


# ---- an exporter: `harness report RUN --as acme-csv`


def layers_as_csv(run: Run) -> str:
    layers = run.comparison.layers if run.comparison else ()
    lines = [f"{layer.index},{layer.name},{layer.verdict}" for layer in layers]
    return "\n".join(["index,layer,verdict", *lines]) + "\n"


# ---- a metric: `limits: {metrics: {acme-worst-pair: 1.5}}` in a policy


def worst_pair(board: Array, reference: Array) -> float:
    """The largest mean error of two neighbours: what Acme's filters show as a stripe."""
    error = abs(board - reference).ravel()
    return float(max((error[1:] + error[:-1]) / 2, default=0.0))


# ---- a manager: `managed: {by: acme-cupboard, sign: /srv/cupboard/cam}` in hosts.yaml


@contextmanager
def cupboard(
    endpoint: Endpoint, keys: Mapping[str, object], wait_s: float, tell: Callable[[str], None]
) -> Iterator[Endpoint]:
    """A camera in a cupboard: whoever locks the sign on its door has it; the lock ends with its process."""
    ends_at = time.monotonic() + wait_s
    with Path(str(keys["sign"])).open("a") as sign:
        while True:
            try:
                fcntl.flock(sign, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= ends_at:
                    raise BoardInUseError(f"board {endpoint.name}: somebody else has the cupboard", "ask") from error
            tell("waiting for the cupboard")
            time.sleep(0.2)
        yield endpoint


CUPBOARD = BoardManager(cupboard, keys={"sign": str}, needed=("sign",))

# ---- what the entry points name

WORST_PAIR = Metric("largest mean error of two neighbours", worst_pair)


# ---- a metric of a task


def bright(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """Whether more than half of a picture is bright, as its label (0 or 1) says; None without a label."""
    if truth.label is None or not outputs:
        return None
    share = float(np.mean([np.mean(picture > 127) for picture in outputs.values()]))
    return float((share > 0.5) == bool(truth.label))


BRIGHT = TaskMetric("bright pictures", "a label of 0 or 1", bright, unit="points")
CSV = Exporter("layers and their verdicts", layers_as_csv)

CONSOLE = Kind(telnet.ENTRY.connect, port=2323)  # Acme's boards answer telnet there
VENDOR = Vendor(
    platforms=PlatformVendor({"acme": "acme_harness"}, socs={"acme": ("acme1",)}),
    toolchains=ToolchainVendor((LOG,)),
    lint=lint.LintVendor(("acmec",), {CLOCK.id: CLOCK}, lambda text: text.startswith("# acmec config"), lint_file),
    diagnosis=DiagnosisVendor((OLD_RUNTIME,), (old_runtime,)),
)
