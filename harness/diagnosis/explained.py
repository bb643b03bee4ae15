"""When each rule is raised, and what that is read from: for `harness explain`, and in every finding.

docs/findings.md holds the same conditions; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.records.running import Rule

WHEN: Mapping[str, str] = {
    "E-101": "the board's tool prints its version warning, or refuses the model's version",
    "E-102": "the tool's march message, or the driver's 'incompatible platform'",
    "E-103": "out of memory, L2 memory, or a full disk",
    "E-104": "load errors that are known to be caused by the board after many runs",
    "E-105": "the tool or one of its libraries is not found",
    "E-106": "a signal, or the time limit",
    "E-107": "any other failure of a mode",
    "E-110": "a governor other than `performance` or `userspace` was seen",
    "E-111": "an accelerator at 50 % load or more, or a CPU under `performance`, below 95 % of its highest clock",
    "E-112": "load of 5 % or more before the first mode",
    "E-113": "a sensor at 95 degrees or more",
    "E-114": "the board's time is more than a day from this PC's",
    "C-100": (
        "an origin; its title distinguishes an interval, a suspect, an op that is wrong alone, and an unknown order"
    ),
    "C-101": "layers with the verdict `not_compared`; a missing dump is named",
    "C-102": "the first compared tensor differs, and nine of ten others",
    "C-103": (
        "a network input is an origin; or a run diverges whose input has another md5 than the one that the "
        "reference folder was made with"
    ),
    "C-104": "the outputs of the two modes have different hashes",
    "C-105": "repeats differ",
    "C-106": "a layer differs whose waiver is past its date, or allows less",
    "C-107": "layers that only a waiver makes `within`",
    "I-101": "a packed file, and a reference whose name or inputs are another model's; nothing is compared with it",
    "I-102": "what the board was fed for one input is what the reference was fed for another, and that one too",
    "I-103": "one side's bytes, read as NHWC for NCHW or the other way round, are the other's; the smooth one is right",
    "I-104": "the compiled model's first axis is not that of the ONNX, the others are",
    "I-105": "one side is the other times a factor plus an offset, per channel",
    "I-111": "`--input FILE` without names, two inputs of one shape that the ONNX has in another order",
    "I-112": "1.5 times as smooth in the other layout; noise tells nothing",
    "I-113": "rows line up at the model's height instead of its width",
    "I-114": "more than half of the values are beyond what the input's quantizer holds",
    "I-115": "the values span less than 1/20 of what the quantizer holds, or pixels are 0 to 2",
    "I-116": "shapes or order of compiled model and ONNX differ; harness turns what is fed",
    "Q-101": (
        "channels of an output, or of what it is moved from, keep at most two values with less than 10 dB, "
        "and their op is no Sigmoid or other squashing op"
    ),
    "Q-102": (
        "all values below half the largest became one: at a mask's constant always, else where an output is below 8 dB"
    ),
    "Q-103": "1 % or more of an op's values, where an output is below 8 dB",
    "Q-104": (
        "an output below 8 dB; the op is the first whose values all lie within four steps, else the one that loses most"
    ),
    "Q-105": "as Q-101, of a squashing op: scores of what is not in the picture, for example",
    "S-601": "the toolchain's first cosine is below 99 %",
    "S-602": "a cosine below 98 % before the end, the last below 95 %",
    "S-603": "the first cosine below 98 % is among the last tenth",
    "S-604": "no cosine below 98 %, and the board's layers differ",
    "T-201": (
        "ops that compute on another unit between two subgraphs, the order being known; with cost, reason "
        "and the reason's advice"
    ),
    "T-202": "more than 20 % with one thread, without what slow frames add to the mean",
    "T-203": "more than 15 % of the latency",
    "T-204": "more than half of the latency is CPU ops of a network with subgraphs",
    "T-205": (
        "with one thread the mean, without slow frames, is more than twice the least; or slow frames (half "
        "as long again as the median, beyond the spread of the others) add more than 5 % to the mean: the "
        "title counts them, '1 of 200 frames took 20 ms'"
    ),
    "T-206": "only one frame was timed",
    "T-207": "more than one thread",
    "T-208": "an emulated accelerator",
    "T-209": "the profiler sorts its table, and neither dumps nor a graph give the order",
    "T-210": "the median of the last quarter of the frames is more than 5 % from that of the first",
    "B-501": "builder version or march differ between the board's banner and the build's files",
    "B-502": "planned and measured unit of a node differ",
    "B-503": "a subgraph took more than 1.5 times, or less than 1/1.5 of, its estimate",
    "B-504": "calibrated cosine below 0.95",
    "B-505": "a warning or error in the build's log, with its meaning as advice",
    "P-401": "no VNNI, optimizations on, and ops that give other values alone",
    "P-402": "the same, but no op saturated",
    "P-403": "optimizations on, and an op beyond a tie",
    "P-404": "recorded in the reference's manifest",
    "P-405": "outputs differ on the PC or the board",
    "P-406": "on either side",
    "P-407": "both are known and differ",
    "R-301": "a line that a reader could not parse",
}
SOURCES: Mapping[str, str] = {  # by the beginning of the id, the longest that fits
    "E-10": "what the board's tool printed, its exit code and the files it left",
    "E-11": "the board's sensors and clock, read before, during and after the modes",
    "C-": "the board's dumps held against the reference, layer by layer (docs/consistency.md)",
    "I-": "the bytes that were fed, the board's model_info, and the inputs of reference and ONNX files",
    "Q-": "the float model held against the quantized model on this PC, per channel",
    "S-60": "cosines along the network, quantized against float by the toolchain, and the board's layers",
    "T-": "the board's profiler and its frame times",
    "B-": "the toolchain's files of the build: log and tables",
    "R-": "the readers of the board tool's output",
}


def explained(rule: Rule, when: Mapping[str, str] = WHEN, sources: Mapping[str, str] = SOURCES) -> Rule:
    """The rule with its condition and its source, where it does not bring its own."""
    fitting = [begin for begin in sources if rule.id.startswith(begin)]
    source = rule.source or (sources[max(fitting, key=len)] if fitting else "")
    return replace(rule, when=rule.when or when.get(rule.id, ""), source=source)
