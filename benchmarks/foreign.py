"""Public runtimes as boards: is a correct run called correct, and a planted mistake found, at its op, by its name?

Installs OpenVINO, ncnn, MNN, an old ONNX Runtime and packages with trained networks into an environment of its own in
the user's cache folder, runs the networks there, right and with mistakes, leaves the tensors as files as users have
them, and asks the real command: `harness compare REF BOARD --graph model.onnx --json`. The right kinds of each mistake
are in the table of docs/truth.md (`--table` prints it), written down before the engine ran.

    python benchmarks/foreign.py [--json] [--quick] [--only TEXT] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.foreign_parts.cases import (
    MISTAKES,
    PER_MISTAKE,
    BoardCase,
    Ground,
    case_name,
    correct_cases,
    job_of,
    planted_cases,
    planted_plan,
    unfit_setups,
)
from benchmarks.foreign_parts.environment import Environment, Runner, prepare
from benchmarks.foreign_parts.networks import networks
from benchmarks.foreign_parts.scoring import Judged, compare, judge

QUICK = 20
CORRECT = 70  # of the correct runs that there could be, evenly spread
BOARDS = ("onnxruntime", "openvino", "ncnn", "mnn")
WORKERS = 2


@dataclass
class Tally:
    """Everything that was judged, and what could not be run, with the reason."""

    correct: list[Judged] = field(default_factory=list)
    planted: list[Judged] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The figures; shares are null where nothing was planted."""
        count = len(self.planted)
        return {
            "correct_runs": len(self.correct),
            "false_verdicts": sum(j.exit_code != 0 for j in self.correct),
            "ops_blamed": sum(len(j.origins) for j in self.correct),
            "planted": count,
            "detected": _share(sum(j.detected for j in self.planted), count),
            "origin": _share(sum(j.origin for j in self.planted), count),
            "kind": _share(sum(j.kind for j in self.planted), count),
            "kind_wrong_certain": sum(j.wrong_certain for j in self.planted),
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


class ForeignBench:
    """Runs cases in the foreign environment and judges them, the judging beside the running."""

    def __init__(self, made: Environment, folder: Path, report: Callable[[Judged], None], keep: bool) -> None:
        self.runner, self.made, self.folder, self.report, self.keep = Runner(made), made, folder, report, keep
        self.tally = Tally(skipped=dict(made.skipped))

    def run(self, cases: Iterable[BoardCase]) -> list[Judged]:
        with ThreadPoolExecutor(WORKERS) as pool:
            waiting = [future for case in cases if (future := self._start(case, pool)) is not None]
            return [future.result() for future in waiting]

    def _start(self, case: BoardCase, pool: ThreadPoolExecutor) -> Future[Judged] | None:
        folder = self.folder / "cases" / case.slug
        try:
            tensors, error = self.runner.run(job_of(case, folder))
        except ValueError as reason:
            tensors, error = [], str(reason)
        if self.runner.process.poll() is not None:
            self.runner = Runner(self.made)
        if error or not tensors:
            self.tally.skipped[case.name] = error or "it gave none of the tensors"
            shutil.rmtree(folder, ignore_errors=True)
            return None
        _ = case.ground.pc, (case.ground.before if case.patches else None)  # computed here: workers only compare
        return pool.submit(self._judged, case, folder)

    def _judged(self, case: BoardCase, folder: Path) -> Judged:
        dumps = folder / "dumps" / "board.npz" if case.form == "npz" else folder / "dumps"
        judged = judge(case, compare(case, dumps))
        self.report(judged)
        if self.keep:
            (folder / "case.json").write_text(json.dumps(asdict(judged), indent=1))
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return judged


def measure(folder: Path, given: argparse.Namespace) -> tuple[Tally, dict[str, Any]]:
    """Every case that `given` asks for, and what they ran in."""
    made = prepare(offline=given.offline)
    grounds = [Ground(network, folder / "networks") for network in networks(made, folder / "networks")]
    boards = [name for name in BOARDS if name in made.versions and (name != "ncnn" or "pnnx" in made.versions)]
    bench = ForeignBench(made, folder, _say if given.verbose or given.only else _silent, bool(given.keep))
    only = str(given.only)
    correct = [case for case in correct_cases(grounds, boards) if only in case.name]
    plan = [entry for entry in planted_plan(grounds, boards) if only in case_name(*entry[:3])]
    (folder / "models").mkdir(exist_ok=True)
    planted: Iterable[BoardCase] = planted_cases(plan, 1 if given.quick else PER_MISTAKE, folder / "models")
    correct = _spread(correct, QUICK if given.quick else CORRECT)
    planted = _spread(list(planted), QUICK) if given.quick else planted
    bench.tally.skipped |= unfit_setups(grounds, boards)
    bench.tally.correct = bench.run(correct) if given.part != "planted" else []
    bench.tally.planted = bench.run(planted) if given.part != "correct" else []
    bench.runner.close()
    return bench.tally, {
        "runtimes": {name: made.versions[name] for name in boards},
        "networks": sorted(ground.network.name for ground in grounds),
        "skipped": bench.tally.skipped,
    }


def _spread(cases: Sequence[BoardCase], count: int) -> list[BoardCase]:
    """`count` of them, evenly spread."""
    return [cases[i * len(cases) // count] for i in range(count)] if len(cases) > count else list(cases)


def _say(judged: Judged) -> None:
    marks = f"{judged.detected:d}{judged.origin:d}{judged.kind:d}{'!' if judged.wrong_certain else ''}"
    blamed = f" at {', '.join(judged.origins[:4])} as {', '.join(judged.kinds[:4])}" if judged.origins else ""
    print(f"{marks:4s} {judged.case}: {judged.word[:110]}{blamed[:200]}", file=sys.stderr, flush=True)


def _silent(judged: Judged) -> None:
    """Nothing is said of a single case."""


def table() -> str:
    """The table of docs/truth.md: each mistake and the kinds that are right."""
    lines = ["| mistake | what is wrong | in | right kinds |", "|---|---|---|---|"]
    where = {None: "both", True: "int8", False: "float"}
    lines += [f"| {m.name} | {m.what} | {where[m.quantized]} | {', '.join(m.kinds)} |" for m in MISTAKES]
    return "\n".join(lines)


def losses(tally: Tally) -> str:
    """What is not right, one line each."""
    wrong = [j for j in tally.correct if j.exit_code or j.origins]
    wrong += [j for j in tally.planted if not (j.detected and j.origin and j.kind) or j.wrong_certain]
    lines = [f"{j.case}: {j.word}; {', '.join(j.origins[:3])} {', '.join(j.kinds[:3])}" for j in wrong]
    lines += [f"skipped: {name}: {reason}" for name, reason in tally.skipped.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} correct runs and {QUICK} planted ones")
    parser.add_argument("--offline", action="store_true", help="install nothing")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains it; each is said")
    parser.add_argument("--part", choices=("correct", "planted"), default="", help="one half of it")
    parser.add_argument("--verbose", action="store_true", help="say each case on stderr")
    parser.add_argument("--keep", default="", metavar="DIR", help="keep models and dumps there")
    parser.add_argument("--table", action="store_true", help="print the mistakes and their right kinds, and end")
    given = parser.parse_args()
    if given.table:
        print(table())
        return 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="harness-foreign-") as temporary:
        folder = Path(given.keep or temporary).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        tally, ran = measure(folder, given)
    print(losses(tally))
    print(f"{time.perf_counter() - started:.0f} s")
    if given.json:
        print(json.dumps({**tally.to_json(), **ran}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
