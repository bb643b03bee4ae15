"""The table of rules: one line each, stable ids. A check looks at a run and gives findings by these ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.profiling.telemetry import Sense, senses_of_record
from harness.records import Checks, Comparison, Finding, Plan, Profile, Run


@dataclass(frozen=True)
class Rule:
    """What a finding of this rule always says. `title` and `advice` may be filled by the check."""

    id: str
    severity: str  # "error", "warning", "note"
    title: str
    advice: str


@dataclass(frozen=True)
class DiagnosisVendor:
    """What one vendor's room finds in runs, beyond what all boards share."""

    rules: tuple[Rule, ...]
    checks: tuple[Callable[[Look], Iterator[Finding]], ...]


RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        # E: the board and its surroundings
        Rule("E-101", "warning", "model and runtime are of different versions",
             "rebuild the model with the toolchain that belongs to the board's release, or update the board"),
        Rule("E-102", "error", "the model is compiled for another chip",
             "build for the march of this board, or choose the board it was built for"),
        Rule("E-103", "error", "the board ran out of memory or space",
             "close other programs, free the disk, give the accelerator more memory, or use a smaller model"),
        Rule("E-104", "error", "the board is in a bad state",
             "power-cycle it and run again; the model file is probably good"),
        Rule("E-105", "error", "a program or library is missing on the board", "name its folder in hosts.yaml"),
        Rule("E-106", "error", "a mode crashed, hung or was killed", "see the log of that mode"),
        Rule("E-107", "error", "a mode left no usable result", "see the log of that mode"),
        Rule("E-110", "warning", "the clock governor is not `performance`",
             "set it before measuring: hosts.yaml `setup: [[sh, -c, \"echo performance | tee "
             "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor\"]]`"),
        Rule("E-111", "warning", "the board slowed its clock while it was measured",
             "cool the board, measure shorter, or compare only runs at the same clock"),
        Rule("E-112", "warning", "the accelerator was busy before the run",
             "end the other program that uses it; latency and its spread are not this model's alone"),
        Rule("E-113", "warning", "the board is hot", "give it a fan or a pause; near its limit it will slow down"),
        Rule("E-114", "note", "the clock of the board is wrong", "times in its logs are not those of this PC"),
        # C: results
        Rule("C-100", "error", "an op differs although everything it was fed is equal",
             "look at the error map and the histogram of this op, then run it alone"),
        Rule("C-101", "warning", "part of the network was not compared",
             "see the reasons per layer; a mapping file joins names that differ"),
        Rule("C-102", "warning", "the results differ from the first op on",
             "look at the input first: colour order, mean and scale, layout, and whether both sides got equal bytes"),
        Rule("C-103", "error", "the board's input differs from the reference's input",
             "feed both sides the same bytes: make the reference again with the board's input (harness reference MODEL "
             "--input FILE), or run with the one it was made with; an ONNX as --reference of a run is fed the board's"),
        Rule("C-104", "warning", "debug and release runs give different outputs",
             "do not trust the per-layer table: dumping changes what is computed"),
        Rule("C-105", "error", "the same input gave different results", "suspect the board: memory, power, driver"),
        Rule("C-106", "warning", "a waiver has ended, or is exceeded",
             "fix the op, or look at it again and renew the waiver in the policy file"),
        Rule("C-107", "note", "differences are accepted by a waiver", "remove the waiver once the cause is fixed"),
        # T: time
        Rule("T-201", "warning", "an op off the accelerator cuts the network in two",
             "replace the op by one the accelerator runs, or move it to an end of the network"),
        Rule("T-202", "warning", "a large share of the latency belongs to no op",
             "look for waiting, scheduling, memory copies; measure with one thread on an idle board"),
        Rule("T-203", "warning", "quantizing and turning layouts takes a large share",
             "remove quantize and dequantize at the ends (do them in your own code), keep float ops out of the middle"),
        Rule("T-204", "note", "most of the time is spent off the accelerator",
             "move the slowest ops to the accelerator, or take them out of the model"),
        Rule("T-205", "warning", "latency is spread widely",
             "another program uses the accelerator or the clock changes: measure on an idle board"),
        Rule("T-206", "note", "the latency is that of one cold frame", "run the profile mode for a latency to rely on"),
        Rule("T-207", "note", "several threads: latency holds waiting", "use one thread for the latency of one frame"),
        Rule("T-208", "note", "times are estimated, not measured", "measure on a real board before deciding"),
        Rule("T-209", "note", "the order of ops is not known", "run the debug mode too: its dumps are numbered"),
        # B: the toolchain's build against the board (P is the PC's own side: consistency/checks/reference_check.py)
        Rule("B-501", "warning", "the build's files are not of the model that ran", "give the files of the same build"),
        Rule("B-502", "warning", "an op ran elsewhere than it was planned", "is the model on the board of this build?"),
        Rule("B-503", "note", "the compiler's estimate is far from the board",
             "trust the board; look at memory traffic and at who else uses the accelerator"),
        Rule("B-504", "note", "nodes lost accuracy in the toolchain already",
             "this is quantization, not the board: calibrate on better data, or give these nodes a wider type"),
        Rule("B-505", "warning", "the toolchain warned", "see the log"),
        # R: what could not be read
        Rule("R-301", "note", "part of the board's output could not be read", "see the raw log in the run folder"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What a check may look at."""

    run: Run

    @property
    def profile(self) -> Profile | None:
        return self.run.profile

    @property
    def comparison(self) -> Comparison | None:
        return self.run.comparison

    @property
    def plan(self) -> Plan | None:
        return self.run.plan

    @property
    def checks(self) -> Checks:
        """What was checked besides layers: by the comparison, or where there was none by the board against itself."""
        return self.comparison.extras if self.comparison is not None else self.run.checks

    @cached_property
    def senses(self) -> tuple[Sense, ...]:
        return senses_of_record(self.run.telemetry)


def finding(rule_id: str, evidence: str, *, subject: str = "", title: str = "", advice: str = "") -> Finding:
    """A finding of a rule of the table."""
    rule = RULES[rule_id]
    return Finding(rule.id, rule.severity, title or rule.title, evidence, advice or rule.advice, subject)


Found = Iterator[Finding]
