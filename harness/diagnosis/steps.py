"""The order of steps in which a wrong result is looked into: inputs, then A to D, each done, not applicable or to do.

What a run did already is read from its record; a step that is to be done has the command that does it. A vendor's
room adds what its toolchain offers for the symptom that shows.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from harness import vendors
from harness.diagnosis.rules import DiagnosisVendor, RunView
from harness.diagnosis.symptoms import curve_of, letter_of
from harness.records import CheckStep, Run
from harness.toolchains.curves import evidence

GOOD_WORDS = ("consistent", "consistent_within", "consistent_accumulated")
TITLES = {
    "A": "the first layer",
    "B": "the layer from which accuracy falls",
    "C": "the last layers",
}


def steps_of(run: Run) -> tuple[CheckStep, ...]:
    """Every step in its order."""
    view = RunView(run)
    letter = letter_of(view)
    return (*_inputs(view), *_curve(view, letter), *_board(view), *_result(view), *_remedies(view, letter))


def _again(view: RunView, *more: str) -> str:
    """The run once more, with other options: as it was typed, else by names without their folders."""
    typed = view.run.command
    if typed is not None and typed.argv[:2] == ("harness", "run") and "--resume" not in typed.argv:
        plain = shlex.join(typed.argv)
        variables = typed.line.removesuffix(plain) if typed.line.endswith(plain) else ""
        return variables + " ".join(_with(typed.argv, more))
    case, board = view.run.case, view.run.board
    words = ["harness", "run", "--board", board.name or "BOARD", case.model.name if case.model else "MODEL"]
    fed = [f"--input {shlex.quote(f'{one.tensor}={one.name}')}" for one in case.inputs if not one.generated]
    reference = f"--reference {shlex.quote(case.reference.name)}" if case.reference else ""
    given = [reference] if reference and "--reference" not in more else []
    given += [f"--model-name {shlex.quote(case.model_name)}"] if case.model_name else []
    return " ".join([*(shlex.quote(word) for word in words), *fed, *given, *more])


def _with(argv: Sequence[str], more: Sequence[str]) -> list[str]:
    """Typed words, quoted, with `more`. Modes that were chosen, and what goes with them, may not have the step."""
    added = {word for word in more if word.startswith("--")} - {"--build"}
    dropped = added | {"--mode"} | ({"--rounds"} if "--mode" in more else set())
    options = argv[: argv.index("--")] if "--" in argv else argv
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word in dropped:
            next(words, None)  # its value
        elif word.partition("=")[0] not in dropped:
            kept.append(word)
    return [*map(shlex.quote, kept), *more, *map(shlex.quote, argv[len(options) :])]


def _inputs(view: RunView) -> Iterator[CheckStep]:
    name = "inputs: order, layout, sides, batch, preprocessing"
    fed = view.run.case.inputs
    wrong = [one for one in view.run.findings if one.rule.startswith("I-") or one.rule == "C-103"]
    spoken = [f"{one.rule} {one.title}" for one in wrong if one.severity != "note"]
    if not fed or all(one.generated for one in fed):
        command = _again(view, "--input", "TENSOR=FILE")
        yield CheckStep(name, "to_do", "noise was fed: it tells nothing about a real input", command)
    else:
        yield CheckStep(name, "done", "; ".join(spoken) or "nothing speaks against them")


def _curve(view: RunView, letter: str) -> Iterator[CheckStep]:
    """A to C: quantized against float along the network."""
    curve = curve_of(view)
    is_float = _is_float(view)
    for sign, title in TITLES.items():
        name = f"{title}: quantized against float"
        if curve is not None:
            shown = evidence(curve) if sign == letter else "not this"
            yield CheckStep(name, "done", shown, symptom=sign)
        elif is_float:
            yield CheckStep(name, "not_applicable", "the model is not quantized", symptom=sign)
        else:
            command = _again(view, "--build", "TOOLCHAIN_LOG")
            yield CheckStep(name, "to_do", "no cosines of the toolchain are beside the model", command, sign)


def _is_float(view: RunView) -> bool:
    """Whether the reference is known to have no integers: of several layers, each of a known type."""
    layers = [layer for layer in (view.comparison.layers if view.comparison else ()) if layer.op_kind != "input"]
    return len(layers) > 1 and all(layer.dtype.startswith(("f", "bf", "s64", "bool")) for layer in layers)


def _board(view: RunView) -> Iterator[CheckStep]:
    """Does the board add anything to what the quantized model says?"""
    name, comparison = "the board against the quantized model, layer by layer", view.comparison
    if comparison is not None and comparison.coverage.layers_compared > 1:
        yield CheckStep(name, "done", f"{comparison.verdict.word.replace('_', ' ')}: {comparison.verdict.detail}")
    else:
        command = _again(view, "--reference", "QUANTIZED.onnx", "--mode", "debug")
        yield CheckStep(name, "to_do", "layers were not compared", command)
    answer = view.checks.debug_vs_release
    name = "debug against release"
    if answer is not None:
        yield CheckStep(name, "done", answer.detail or ("the same outputs" if answer.same else ""))
    else:
        yield CheckStep(name, "to_do", "not both modes ran", _again(view, "--mode", "release,debug"))
    name = "the same input again"
    if view.checks.determinism:
        details = "; ".join(one.detail for one in view.checks.determinism.values())
        yield CheckStep(name, "done", details)
    else:
        yield CheckStep(name, "to_do", "ran once", _again(view, "--repeat", "3"))


def _result(view: RunView) -> Iterator[CheckStep]:
    """D: every layer is fine, and the result is wrong: then it is what stands before or behind the network."""
    name = "the float model's own result on this input"
    three_way = view.checks.three_way
    word = view.comparison.verdict.word if view.comparison else ""
    if three_way:
        yield CheckStep(name, "done", "see noise against the float reference", symptom="D")
    elif word and word not in GOOD_WORDS:
        detail = "first the difference between board and quantized model"
        yield CheckStep(name, "not_applicable", detail, symptom="D")
    else:
        command = _again(view, "--float", "FLOAT.onnx")
        yield CheckStep(name, "to_do", "fine layers and a wrong result: is the float model right?", command, "D")


def _remedies(view: RunView, letter: str) -> Iterator[CheckStep]:
    """What the toolchain of this board offers for the symptom, in the vendor's order."""
    for room in vendors.built_in("diagnosis", DiagnosisVendor).values():
        if room.remedies is not None:
            yield from room.remedies(view, letter)
