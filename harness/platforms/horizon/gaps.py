"""What a folder of Horizon's node dumps lacks by its own numbers: the tools count layers from 0, without holes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from harness.records import Dump, Gap

_NUMBERED = re.compile(r"^layer-[0-9]+-.*?-(?:input|output)-([0-9]+)-", re.DOTALL)


def gaps(dumps: Sequence[Dump]) -> tuple[Gap, ...] | None:
    """Layer numbers without an output; None where no dump carries a number."""
    layers: dict[int, list[Dump]] = defaultdict(list)
    for dump in dumps:
        if dump.index >= 0 and dump.op and _NUMBERED.match(dump.path.name):
            layers[dump.index].append(dump)
    if not layers:
        return None
    return (*_skipped(layers), *_without_output(layers))


def _skipped(layers: Mapping[int, Sequence[Dump]]) -> Iterator[Gap]:
    before = -1
    for number in sorted(layers):
        if number > before + 1:
            names = f"layer-{before + 1}" + (f" to layer-{number - 1}" if number > before + 2 else "")
            verb = "are" if number > before + 2 else "is"
            where = f"between layer-{before} and layer-{number}" if before >= 0 else f"before layer-{number}"
            reason = f"{names} {verb} missing in the folder, {where}"
            yield Gap(before + 1, number - 1, reason, files=number - before - 1)
        before = number


def _without_output(layers: Mapping[int, Sequence[Dump]]) -> Iterator[Gap]:
    for number, dumps in sorted(layers.items()):
        places = {int(m[1]) for d in dumps if d.role == "output" and (m := _NUMBERED.match(d.path.name))}
        if not places:
            yield Gap(number, number, f"layer-{number} has its inputs but no output in the folder")
        elif lacking := sorted(set(range(max(places))) - places):
            reason = f"layer-{number} has no output {lacking[0]} in the folder, but output {max(places)}"
            yield Gap(number, number, reason, files=len(lacking))
