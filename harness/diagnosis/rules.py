"""The table of rules: one line each, stable ids. A check looks at a run and gives findings by these ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.diagnosis.explained import explained
from harness.profiling.stretches import segmentation
from harness.profiling.telemetry import Sense, senses_of_record
from harness.records import Checks, CheckStep, Comparison, Finding, Plan, Profile, Run, Segmentation
from harness.records.running import Rule


@dataclass(frozen=True)
class WhyOff:
    """Why an op is off the accelerator: one of OFF_REASONS, a sentence, what to do, and the log's line where one says
    so."""

    reason: str
    why: str
    advice: str
    line: str = ""
    line_number: int = 0


@dataclass(frozen=True)
class OffView:
    """What a vendor's room may look at to tell why an op is off the accelerator."""

    name: str
    kind: str  # as the profiler or the graph calls it
    place: str  # of its stretch: "head", "middle", "tail", "" where not known
    platform: str
    soc: str
    march: str  # "" where neither the board nor the build tells it
    neighbours: tuple[tuple[str, str, str, str], ...]  # ("before" or "behind", name, kind, unit); none: not known
    plan: Plan | None


@dataclass(frozen=True)
class DiagnosisVendor:
    """What one vendor's room finds in runs, beyond what all boards share."""

    rules: tuple[Rule, ...]
    checks: tuple[Callable[[RunView], Iterator[Finding]], ...]
    why_off: Callable[[OffView], WhyOff | None] | None = None  # None of it: another vendor's op, or nothing tells
    # (run, symptom "A" to "D" or "") -> what its toolchain offers; nothing for another vendor's board
    remedies: Callable[[RunView, str], tuple[CheckStep, ...]] | None = None
    symptoms_of: tuple[str, ...] = ()  # platforms whose symptoms A to D are findings of the room's own


RULES: dict[str, Rule] = {
    rule.id: explained(rule)
    for rule in (
        # E: the board and its surroundings
        Rule("E-101", "warning", "model and runtime versions differ",
             "rebuild the model with the toolchain of the board's release, or update the board"),
        Rule("E-102", "error", "the model is compiled for another chip",
             "build the model for this board's march, or use a board of its chip"),
        Rule("E-103", "error", "the board ran out of memory or space",
             "close other programs, free the disk, give the accelerator more memory, or use a smaller model"),
        Rule("E-104", "error", "the board is in a bad state",
             "power-cycle it and run again; the model file is probably fine"),
        Rule("E-105", "error", "a program or library is missing on the board",
             "set its folder in hosts.yaml (`tools:` or `libraries:`)"),
        Rule("E-106", "error", "a mode crashed, hung or was killed", "see the mode's log"),
        Rule("E-107", "error", "a mode left no usable result", "see the mode's log"),
        Rule("E-110", "warning", "the clock governor is not `performance`",
             "set it before measuring, in hosts.yaml: `setup: [[sh, -c, \"echo performance | tee "
             "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor\"]]`"),
        Rule("E-111", "warning", "the board lowered its clock during the measurement",
             "cool the board, measure shorter, or compare only runs at the same clock"),
        Rule("E-112", "warning", "the accelerator was busy before the run",
             "stop the other program; latency and spread include it"),
        Rule("E-113", "warning", "the board is hot", "cool it or pause between runs; near its limit it throttles"),
        Rule("E-114", "note", "the board's clock is wrong", "timestamps in its logs differ from this PC's"),
        # C: results
        Rule("C-100", "error", "an op differs although all its inputs are equal",
             "see the error map and histogram of this op, then run it alone"),
        Rule("C-101", "warning", "part of the network was not compared",
             "see the reasons per layer; map different names with --map"),
        Rule("C-102", "warning", "the results differ from the first op",
             "check the input first: colour order, mean and scale, layout, and equal bytes on both sides"),
        Rule("C-103", "error", "the board's input differs from the reference's input",
             "use the same input on both sides: create the reference with the board's input (harness reference MODEL "
             "--input FILE), or run with the reference's; an ONNX given with --reference gets the board's input"),
        Rule("C-104", "warning", "debug and release runs give different outputs",
             "do not trust the per-layer table: dumping changes the results"),
        Rule("C-105", "error", "the same input gave different results", "suspect the board: memory, power, driver"),
        Rule("C-106", "warning", "a waiver has ended, or is exceeded",
             "fix the op, or review and renew the waiver in the policy file"),
        Rule("C-107", "note", "differences are accepted by a waiver", "remove the waiver once the cause is fixed"),
        # I: what the inputs were fed with (fed.py, review/preflight.py)
        Rule("I-101", "error", "another model of this file?",
             "give the reference of the model that ran, or run the other model with --model-name"),
        Rule("I-102", "error", "two inputs are exchanged on one side", "name the inputs on both sides"),
        Rule("I-103", "error", "an input lies in another layout on one side", "transpose that side's input"),
        Rule("I-104", "warning", "the models have another batch size",
             "build and run both for one batch size; of several frames only the first is compared"),
        Rule("I-105", "error", "the two sides preprocess an input differently",
             "use one preprocessing on both sides: that of training, once"),
        Rule("I-111", "warning", "inputs were given by order, and the models order them differently",
             "give every input as --input TENSOR=FILE"),
        Rule("I-112", "warning", "the bytes of an input look like another layout", "transpose the board's input"),
        Rule("I-113", "warning", "height and width of an NV12 picture look exchanged",
             "make the picture again with harness convert --size WIDTHxHEIGHT"),
        Rule("I-114", "warning", "an input does not look preprocessed",
             "change the input of both sides: preprocess it as in training and calibration, once"),
        Rule("I-115", "warning", "an input looks preprocessed twice",
             "change the input of both sides: the model normalises it itself, or it was normalised once more"),
        Rule("I-116", "note", "the models take an input in another layout",
             "harness turns what the board is fed; in your own scripts feed each model its own layout"),
        # T: time
        Rule("T-201", "warning", "a CPU op splits the accelerator graph",
             "replace it by an op that the accelerator supports, or move it to the start or end of the network"),
        Rule("T-202", "warning", "a large share of the latency is not attributed to any op",
             "check waiting, scheduling and memory copies; measure with one thread on an idle board"),
        Rule("T-203", "warning", "quantization and layout conversion take a large share",
             "remove quantize and dequantize at the ends of the model (do them in your own code); "
             "avoid float ops in the middle"),
        Rule("T-204", "note", "most of the time is spent on the CPU",
             "move the slowest ops to the accelerator, or take them out of the model"),
        Rule("T-205", "warning", "latency varies widely",
             "another program may use the accelerator, or the clock changes: measure on an idle board"),
        Rule("T-206", "note", "the latency is of one cold frame", "run profile mode for a reliable latency"),
        Rule("T-207", "note", "several threads: latency includes waiting",
             "use one thread for the latency of one frame"),
        Rule("T-208", "note", "times are estimated, not measured", "measure on a real board before deciding"),
        Rule("T-209", "note", "the op order is unknown", "also run debug mode: its dumps are numbered"),
        Rule("T-210", "warning", "latency drifts during the measurement",
             "compare the temperature and the clock: let the board warm up or cool, and measure longer"),
        # S: where along the network accuracy is lost (symptoms.py)
        Rule("S-601", "warning", "symptom A: the first layer is already inaccurate on the PC",
             "the input is wrong: check colour format, mean and scale of the build; both as in training"),
        Rule("S-602", "warning", "symptom B: accuracy drops from one layer on",
             "give that layer a wider type, or leave it in float; then look at its range for outliers"),
        Rule("S-603", "warning", "symptom C: only the last layers are inaccurate",
             "errors add up to there: quantize weights and features alone to see which loses, then use a wider type"),
        Rule("S-604", "error", "symptom D: accurate on the PC, wrong on the board",
             "feed the board the PC's own input and compare every layer; then look at what stands behind the network"),
        # B: the toolchain's build against the board (P is the PC's own side: consistency/checks/reference_check.py)
        Rule("B-501", "warning", "the build files do not belong to the model that ran",
             "give the files of the same build"),
        Rule("B-502", "warning", "an op ran on a different unit than planned",
             "check that the model on the board is of this build"),
        Rule("B-503", "note", "the compiler's estimate is far from the measurement",
             "rely on the measurement; check memory traffic and other users of the accelerator"),
        Rule("B-504", "note", "nodes lost accuracy in the toolchain",
             "due to quantization, not the board: improve the calibration data, or use a wider type for these nodes"),
        Rule("B-505", "warning", "the toolchain warned", "see the log"),
        # Q: quantization itself, float model against quantized model on the PC
        Rule("Q-101", "warning", "channels of an output are lost in quantization",
             "split the output, so that each part keeps a scale of its own, or run this op in int16 or float"),
        Rule("Q-102", "warning", "a few large values take the whole range of a scale",
             "clip these values, or run this op in int16 or float"),
        Rule("Q-103", "warning", "values are beyond the calibrated range",
             "calibrate on what the model is fed: add inputs like this one to the calibration data"),
        Rule("Q-104", "warning", "an output is mostly quantization noise",
             "run this op in int16 or float, and calibrate on what the model is fed"),
        Rule("Q-105", "note", "channels round to a constant on this input",
             "expected where nothing is found; check an input where these channels matter"),
        # R: what could not be read
        Rule("R-301", "note", "part of the board tool's output could not be parsed",
             "see the raw log in the run folder"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class RunView:
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

    @cached_property
    def segmentation(self) -> Segmentation | None:
        """As it was judged; of a profile alone where it was not."""
        return self.run.segmentation or (segmentation(self.run.profile) if self.run.profile else None)

    @property
    def checks(self) -> Checks:
        """What was checked besides layers: by the comparison, or where there was none by the board against itself."""
        return self.comparison.extras if self.comparison is not None else self.run.checks

    @cached_property
    def senses(self) -> tuple[Sense, ...]:
        """What the board's sensors said, in order."""
        return senses_of_record(self.run.telemetry)


def finding(rule_id: str, evidence: str, *, subject: str = "", title: str = "", advice: str = "") -> Finding:
    """A finding of a rule of the table."""
    rule = RULES[rule_id]
    return Finding(
        rule.id, rule.severity, title or rule.title, evidence, advice or rule.advice, subject, source=rule.source
    )


Findings = Iterator[Finding]
