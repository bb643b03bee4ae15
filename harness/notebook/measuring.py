"""`harness.run` and `harness.compare`: what the commands of these names do, without a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.notebook.loaded import LoadedComparison, LoadedRun
from harness.records import Case
from harness.report.values import Row

Inputs = Mapping[str, str | Path] | Sequence[str | Path]
_SET_HERE = frozenset(("model", "inputs", "reference", "modes"))


def run(
    model: str | Path,
    board: str,
    *,
    inputs: Inputs = (),
    reference: str | Path = "",
    modes: Sequence[str] = (),
    runs: str | Path = "runs",
    hosts: str | Path | None = None,
    **more: Any,
) -> LoadedRun:
    """Run `model` on a board and judge it, as `harness run` does; returns the run with its tables.

    `inputs` are files by tensor name or in the model's order; without any the board gets seeded noise. `modes`:
    "release", "debug", "profile"; empty: all that the platform has. `hosts`: a hosts.yaml. `more`: other fields of
    `harness.records.Case` by their names (`name`, `threads`, `frames`, `timeout_s`, `policy`, `options`, ...).
    Nothing is asked: a board that wants a password needs a key or `password_command`. A bad verdict is no exception:
    look at `.verdict`.

    Errors: InputError and ConfigError for what cannot be right, MeasurementError (with the run folder) for what failed.
    """
    from harness.boards.inventory import find_board
    from harness.session.judged import run_and_judge

    place = find_board(board, Path(hosts) if hosts else None)
    given = Path(model).absolute()
    fields: Row = {"name": given.stem, "timeout_s": place.limits.timeout_s, **_more(more)}
    compared = str(Path(reference).absolute()) if reference else ""
    case = Case(model=given, inputs=_inputs(inputs), reference=compared, modes=tuple(modes), **fields)
    folder, made = run_and_judge(place, case, Path(runs), _quiet)
    return LoadedRun(folder, made)


def compare(
    reference: str | Path,
    dumps: str | Path,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    policy: str = "",
    platform: str = "",
    graph: str | Path | None = None,
    mapping: str | Path | None = None,
    **more: bool,
) -> LoadedComparison:
    """Compare a folder of a board's tensors with the PC's, as `harness compare` does.

    `reference`: a folder, an .npz, or an ONNX, which then needs `inputs` by name. `policy`: a built-in name or a file.
    `dumps` may be what `md5sum` printed on the board too: then files are equal or not, without values.
    `graph`: an ONNX that tells the graph. `mapping`: a YAML of names. `more`: `isolate=False` runs no
    single op on the board's own inputs, `hypotheses=False` no variant of a wrong op.

    Errors: InputError and ConfigError for what cannot be read or compared at all.
    """
    from harness.consistency.compare import compare as compared
    from harness.consistency.compare import read_mapping
    from harness.consistency.reading.readings import choose
    from harness.consistency.settings import CompareSettings, refuse_swapped, settings_of
    from harness.dumps.hashes import compare_list
    from harness.files.md5_lists import is_list
    from harness.reference.open import open_reference, read_inputs

    switches = {"isolate": True, "hypotheses": True}
    _refuse_unknown(more, switches)
    if is_list(Path(dumps)):
        _refuse_beside_list(inputs=inputs, policy=policy, graph=graph, mapping=mapping, **more)
        return LoadedComparison(compare_list(Path(reference), Path(dumps), platform))
    path, given, names = Path(reference), Path(dumps), Path(mapping) if mapping else None
    onnx = Path(graph) if graph else None
    feed = read_inputs(path, {name: Path(file) for name, file in inputs.items()}) if inputs else None
    opened = open_reference(path, feed, platform=platform, graph=onnx)
    refuse_swapped(opened, given)
    choice = choose(opened, given, platform, read_mapping(names))
    switches |= more
    chosen = CompareSettings(mapping=names, model=onnx, isolate=switches["isolate"], hypotheses=switches["hypotheses"])
    settings = settings_of(chosen, choice, path, given, policy)
    return LoadedComparison(compared(opened, choice.candidate.dumps, settings))


def _inputs(given: Inputs) -> tuple[tuple[str, Path], ...]:
    if isinstance(given, str | Path):
        raise InputError(f"inputs={given!r}: expected a list or a dict of files", "inputs=['photo.nv12']")
    named = given.items() if isinstance(given, Mapping) else (("", file) for file in given)
    return tuple((name, Path(file).absolute()) for name, file in named)


def _more(fields: Row) -> Row:
    """Errors: InputError for a name that no case has, with those that there are."""
    _refuse_unknown(fields, set(Case.__dataclass_fields__) - _SET_HERE)
    return fields


def _refuse_beside_list(**given: object) -> None:
    """Errors: InputError for what needs values or a graph, beside a list of md5s, which has none."""
    if needless := [name for name, value in given.items() if value not in (None, "")]:
        raise InputError(f"{needless[0]}=: cannot be used with a list of md5s: it has no values", "leave it out")


def _refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    strange = sorted(set(given) - set(known))
    if strange:
        raise InputError(f"unknown option {strange[0]!r}", f"known: {', '.join(sorted(known))}")


def _quiet(_what: str, _part: int, _whole: int) -> None:
    """A notebook shows no progress."""
