"""Which module an op belongs to, by its name: `/model.4/cv2/conv/Conv` is in model.4, in cv2 of it, in conv of that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from harness.report.values import Row

Path = tuple[str, ...]
_SMALL = 16  # a module of so many ops is never opened: it is small enough to be seen whole
_LARGE = 8  # one that holds more than this part of all ops is opened
_DEEPEST = 12
_WORDS = re.compile(r"[./_]+")


def by_slashes(name: str) -> Path:
    """The path before an op's own name, parted at slashes."""
    return tuple(part for part in name.split("/") if part)[:-1]


def by_words(name: str) -> Path:
    """The same, parted at dots and underscores too; `Conv_12` is numbered and in no module."""
    parts = [part for part in _WORDS.split(name) if part]
    return () if not parts or parts[-1].isdigit() else tuple(parts[:-1])


WAYS: tuple[tuple[str, Callable[[str], Path]], ...] = (("/", by_slashes), ("_", by_words))


def paths_of(ops: Sequence[Row], way: Callable[[str], Path], by_tensor: bool) -> list[Path]:
    """Each op's module path: by its own name, or by that of its first output. `stem` is in the module of `stem_act`."""
    names = [op["outputs"][0] if by_tensor and op["outputs"] else op["name"] for op in ops]
    paths = [way(name)[:_DEEPEST] for name in names]
    held = set(paths)
    return [
        whole if (whole := way(f"{name}/-")[:_DEEPEST]) in held else path
        for name, path in zip(names, paths, strict=True)
    ]


def opened(paths: Sequence[Path], most: int) -> list[Path]:
    """The module that each op is shown in; () for one that stands alone.

    From the top, the largest module is opened while it holds a good part of the network and `most` boxes are not
    exceeded. A module is its whole prefix: what lies beside its children stands alone, which is what keeps a module's
    first Split and last Concat from making a circle with them.
    """
    depth = dict.fromkeys(paths, 0)
    shown = _shown(paths, depth := _one_level(paths, depth, ()))
    while True:
        sizes = Counter(shown)
        sizes.pop((), None)
        large = [path for path, size in sizes.items() if size > max(_SMALL, len(paths) / _LARGE)]
        for path in sorted(large, key=lambda one: -sizes[one]):
            deeper = _one_level(paths, depth, path)
            if deeper == depth:
                continue
            tried = _shown(paths, deeper)
            if boxes(tried) <= most:
                shown, depth = tried, deeper
                break
        else:
            return shown


def boxes(shown: Sequence[Path]) -> int:
    """How many boxes that makes."""
    return len({path for path in shown if path}) + sum(1 for path in shown if not path)


def _one_level(paths: Sequence[Path], depth: dict[Path, int], module: Path) -> dict[Path, int]:
    """How much of each path is shown, with `module` opened."""
    return {
        path: length + 1 if length == len(module) and path[:length] == module and len(path) >= length else length
        for path, length in depth.items()
    }


def _shown(paths: Sequence[Path], depth: dict[Path, int]) -> list[Path]:
    return [path[: depth[path]] if len(path) >= depth[path] else () for path in paths]


def label_of(path: Path) -> str:
    """A module in a word: its own name; with its parent's where that is a mere number."""
    own = path[-1]
    return f"{path[-2]}.{own}" if own.isdigit() and len(path) > 1 else own
