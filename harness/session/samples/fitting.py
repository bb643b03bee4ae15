"""Whether every sample is what the model's inputs take: asked before the first one is sent."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files.arrays import is_npy, is_picture
from harness.files.npy import npy_type
from harness.files.samples import SampleSet
from harness.records import InputFacts
from harness.session.inputs import plan_inputs

EXPLAINED = 8  # samples that are told with their reason
NAMED = 500  # and by name alone


def refuse_unfit(samples: SampleSet, places: Sequence[int], facts: Sequence[InputFacts], *, raw: bool) -> None:
    """Hold number, size, dtype and shape of each sample's files against the model's inputs.

    Files of the kind, dtype, shape and size of some that fit are not read; windows of one stack are alike.
    `raw` as in `plan_inputs`. Errors: InputError that names every sample that does not fit.
    """
    fitting: set[tuple[Any, ...]] = set()
    bad: dict[str, InputError] = {}
    with tempfile.TemporaryDirectory(prefix="harness-samples-", ignore_cleanup_errors=True) as root:
        for place in places[:1] if samples.stacks else places:
            scratch = Path(root) / str(place)
            error = _problem(samples, place, facts, scratch, raw, fitting)
            if error is not None:
                bad[samples.stems[place]] = error
            shutil.rmtree(scratch, ignore_errors=True)
    if bad:
        raise _refusal(bad, len(places))


def _problem(
    samples: SampleSet, place: int, facts: Sequence[InputFacts], scratch: Path, raw: bool, fitting: set[tuple[Any, ...]]
) -> InputError | None:
    given: tuple[tuple[str, Path], ...] = ()
    try:
        given = samples.inputs(place, scratch)
        forms = tuple(_form(path) for _, path in given)
        if None in forms or forms not in fitting:
            plan_inputs(given, facts, scratch / "inputs", raw=raw)
            fitting.add(forms)
    except (OSError, EOFError, ValueError) as error:
        return InputError(f"{samples.stems[place]}: cannot be read ({error})", "save it again")
    except InputError as error:
        message = error.message
        for (_, path), stack in zip(given, samples.stacks, strict=False):
            message = message.replace(str(path), str(stack))
        return InputError(message, error.hint)
    return None


def _form(path: Path) -> tuple[Any, ...] | None:
    """What decides whether a file fits; None for one that must be opened: an archive, a picture."""
    if is_npy(path):
        dtype, shape = npy_type(path)
        return "npy", dtype.str, shape
    if path.suffix.lower() == ".npz" or is_picture(path):
        return None
    return path.suffix.lower(), path.stat().st_size


def _refusal(bad: dict[str, InputError], count: int) -> InputError:
    stems, errors = list(bad), list(bad.values())
    named = ", ".join(stems[EXPLAINED : EXPLAINED + NAMED])
    parts = [*(error.message for error in errors[:EXPLAINED]), *([f"and {named}"] if named else [])]
    more = f" and {len(bad) - EXPLAINED - NAMED} more" if len(bad) > EXPLAINED + NAMED else ""
    what = f"{len(bad)} of {count} samples do not fit the model's inputs, and none was sent"
    return InputError(f"{what}: {'; '.join(parts)}{more}", errors[0].hint)
