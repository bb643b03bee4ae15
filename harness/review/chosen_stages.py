"""Which reference and stages a case has: those that were given, then those beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.records import ReferenceRuntime
from harness.reference.beside import check_runtime
from harness.toolchains.stages import StagesBeside, stages_beside

FLOAT, OPTIMIZED, COMPILED, REFERENCE = "float", "optimized", "compiled", "reference"


@dataclass(frozen=True)
class ChosenStages:
    """The PC's models of one run, as absolute paths."""

    reference: str
    floats: str
    others: tuple[tuple[str, Path], ...]  # in order; the reference is one of them where it has a name of its own
    automatic: Mapping[str, str] = field(default_factory=dict)  # of them those beside the model, and by what
    left_out: Mapping[str, str] = field(default_factory=dict)  # name -> why


def with_beside(
    model: Path, model_name: str, chosen: ChosenStages, runtime: ReferenceRuntime | None = None
) -> ChosenStages:
    """`chosen`, and what a toolchain left beside `model` (`model_name`: of a packed file). What was given wins; a given
    reference of another place takes nothing from there. `runtime` runs what needs a vendor's; a build that leaves no
    quantized ONNX has its compiled model as reference. Errors: InputError where a file there cannot be read."""
    beside = stages_beside(model.absolute(), model_name)
    if chosen.reference and (beside.reference is None or not _same(Path(chosen.reference), beside.reference)):
        return chosen  # of another build, or tensors of another input
    usable, left_out = _usable(beside, chosen, runtime)
    if REFERENCE not in usable and not chosen.reference and COMPILED in usable:
        usable[REFERENCE] = usable.pop(COMPILED)
    reference = chosen.reference or usable.get(REFERENCE, "")
    if not reference:
        return replace(chosen, left_out=left_out)
    typed = {FLOAT: chosen.floats, REFERENCE: chosen.reference, **dict(chosen.others)}
    new = {name: path for name, path in usable.items() if not typed.get(name)}
    if not chosen.floats and FLOAT not in new and OPTIMIZED in new:
        new[FLOAT] = new.pop(OPTIMIZED)  # of a build that keeps no original
    others = [(name, Path(path)) for name, path in new.items() if name not in (FLOAT, REFERENCE)]
    before, behind = _around(reference, chosen.others)
    ordered = (*before, *others, *behind)
    return ChosenStages(
        reference, chosen.floats or new.get(FLOAT, ""), ordered, dict.fromkeys(new, beside.by), left_out
    )


def _usable(
    beside: StagesBeside, chosen: ChosenStages, runtime: ReferenceRuntime | None
) -> tuple[dict[str, str], dict[str, str]]:
    """What of a build this PC can run, by name, and why it cannot run the rest."""
    usable, left_out = {}, dict(beside.left_out)
    stages = {**beside.stages, **({REFERENCE: beside.reference} if beside.reference else {})}
    for name, path in stages.items():
        why = "" if name == REFERENCE and chosen.reference else _not_runnable(path, runtime)
        if why:
            left_out[name] = why
        else:
            usable[name] = str(path)
    return usable, left_out


def _around(
    reference: str, given: tuple[tuple[str, Path], ...]
) -> tuple[tuple[tuple[str, Path], ...], tuple[tuple[str, Path], ...]]:
    """Given stages before the reference, and it with those behind it where it is one of them."""
    place = next((i for i, (_, path) in enumerate(given) if _same(path, Path(reference))), len(given))
    return given[:place], given[place:]


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.resolve() == other.resolve()


def _not_runnable(model: Path, runtime: ReferenceRuntime | None) -> str:
    """Why a model of the build cannot be run on this PC; "" where it can."""
    try:
        check_runtime(model, runtime)
    except HarnessError as error:
        return error.message.replace(str(model), model.name)
    return ""
