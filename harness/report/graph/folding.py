"""A network of any size as a few boxes without a circle: by modules, by stretches without a branch, by order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.report.graph import modules
from harness.report.graph.edges import Readers, contracted, in_circles, ordered, readers_of, sources_of
from harness.report.values import Row

MOST_BOXES = 64  # of a small network; a quarter of the ops of a larger one, at most MOST_BOXES_LARGE
MOST_BOXES_LARGE = 240
SINGLE = 16  # a network of so many ops is not folded
_TURNS = 6  # to part groups that are in circles; the last one parts all
_DOMINATES = 0.4  # of all ops: names that leave so many in one box tell no modules
_GAIN = 0.7  # names tell modules where they leave at most so many boxes of an op


@dataclass(frozen=True)
class GraphBox:
    """One box: a module, some ops in a row, or one op. `ops` are places in the network, in order of computing."""

    label: str
    path: str  # the module's whole name; "" where the ops have none in common
    ops: tuple[int, ...]
    segment: int | None = None


@dataclass(frozen=True)
class Folded:
    """Boxes and who reads whom among them: no circle."""

    boxes: tuple[GraphBox, ...]
    readers: Readers
    ops_readers: Readers


def fold(ops: Sequence[Row]) -> Folded:
    """At most MOST_BOXES_LARGE boxes. No box holds ops of two segments, unless there
    are more segments than boxes."""
    readers = readers_of(ops)
    most = min(max(MOST_BOXES, len(ops) // 4), MOST_BOXES_LARGE)
    grouped = _by_names(ops, readers, most) if len(ops) > SINGLE else _alone(ops)
    if len(grouped) > most or (len(ops) > SINGLE and len(grouped) > _GAIN * len(ops)):
        grouped = _chained(ops, readers, grouped)
    if len(grouped) > most:
        grouped = _in_order(readers, grouped, most)
    shown = tuple(_box(ops, group) for group in grouped)
    return Folded(shown, contracted(readers, _places(grouped, len(ops)), len(grouped)), readers)


Group = tuple[modules.Path, list[int]]


def _alone(ops: Sequence[Row]) -> list[Group]:
    return [((), [place]) for place in range(len(ops))]


def _by_names(ops: Sequence[Row], readers: Readers, most: int) -> list[Group]:
    """By the names of ops, or else of tensors, that make the fewest boxes; the first way that makes few enough."""
    best = _alone(ops)
    for _, way in modules.WAYS:
        for by_tensor in (False, True):
            paths = modules.paths_of(ops, way, by_tensor)
            if not any(paths):
                continue
            grouped = _acyclic(ops, readers, modules.opened(paths, most))
            if max(len(nodes) for _, nodes in grouped) > max(SINGLE, len(ops) * _DOMINATES):
                continue
            best = min(best, grouped, key=len)
            if len(best) <= min(most, _GAIN * len(ops)):
                return best
    return best


def _acyclic(ops: Sequence[Row], readers: Readers, shown: Sequence[modules.Path]) -> list[Group]:
    """Groups by module and segment. One that would be in a circle falls into its stretches in the order of computing,
    which cannot be in one."""
    keys: list[Hashable] = [
        (op["segment"], path) if path else place for place, (op, path) in enumerate(zip(ops, shown, strict=True))
    ]
    order = ordered(readers, keys)
    for turn in range(_TURNS):
        circle = _circle(readers, keys) if turn < _TURNS - 1 else set(keys)
        if not circle:
            break
        for stretch, (key, nodes) in enumerate(groupby(order, key=list(keys).__getitem__)):
            if key in circle:
                for node in nodes:
                    keys[node] = (key, stretch)
        order = ordered(readers, keys) if turn < _TURNS - 1 else order
    members: dict[Hashable, list[int]] = {}
    for node in order:
        members.setdefault(keys[node], []).append(node)
    return [(shown[nodes[0]], nodes) for nodes in members.values()]


def _circle(readers: Readers, keys: list[Hashable]) -> set[Hashable]:
    names = list(dict.fromkeys(keys))
    number = {name: place for place, name in enumerate(names)}
    return {names[one] for one in in_circles(contracted(readers, [number[key] for key in keys], len(names)))}


def _chained(ops: Sequence[Row], readers: Readers, grouped: list[Group]) -> list[Group]:
    """Boxes of one module and segment become one where the next reads nothing else, and the one before goes nowhere
    else, or to fewer places then: Conv, Sigmoid and Mul of both."""
    joined = contracted(readers, _places(grouped, len(ops)), len(grouped))
    sources = sources_of(joined)
    head: dict[int, int] = {}  # box -> first of its chain
    ends: dict[int, set[int]] = {}  # first -> boxes that read the chain
    result: dict[int, Group] = {}
    for box in ordered(joined, range(len(joined))):
        path, nodes = grouped[box]
        before = {head[source] for source in sources[box]}
        first = before.pop() if len(before) == 1 else box
        if first != box and not (
            result[first][0] == path
            and _segment(ops, result[first]) == _segment(ops, grouped[box])
            and (ends[first] == {box} or len((ends[first] | set(joined[box])) - {box}) < len(ends[first]))
        ):
            first = box
        head[box] = first
        ends[first] = (ends.get(first, set()) | set(joined[box])) - {box}
        result[first] = (path, [*(result[first][1] if first != box else ()), *nodes])
    return list(result.values())


def _segment(ops: Sequence[Row], group: Group) -> int | None:
    place: int | None = ops[group[1][0]]["segment"]
    return place


def _in_order(readers: Readers, grouped: list[Group], most: int) -> list[Group]:
    """Boxes in the order of computing, cut into `most` stretches of like many ops: no circle can be in them."""
    count = sum(len(nodes) for _, nodes in grouped)
    joined = contracted(readers, _places(grouped, count), len(grouped))
    stretches: list[Group] = []
    passed = 0
    for box in ordered(joined, range(len(joined))):
        path, nodes = grouped[box]
        if not stretches or passed >= len(stretches) * count / most:
            stretches.append((path, []))
        stretches[-1][1].extend(nodes)
        if stretches[-1][0] != path:
            stretches[-1] = ((), stretches[-1][1])
        passed += len(nodes)
    return stretches


def _places(grouped: list[Group], count: int) -> list[int]:
    places = [0] * count
    for place, (_, nodes) in enumerate(grouped):
        for node in nodes:
            places[node] = place
    return places


def _box(ops: Sequence[Row], group: Group) -> GraphBox:
    path, nodes = group
    first = ops[nodes[0]]
    segments = {ops[node]["segment"] for node in nodes}
    segment = segments.pop() if len(segments) == 1 else None
    if path:
        return GraphBox(modules.label_of(path), "/".join(path), tuple(nodes), segment)
    if len(nodes) == 1:
        own = first["name"].rstrip("/").rpartition("/")[2]
        return GraphBox(own if 0 < len(own) <= 10 else first["kind"], "", tuple(nodes), segment)
    return GraphBox(f"{first['kind']} +{len(nodes) - 1}", "", tuple(nodes), segment)
