"""What a board shows of itself when it is met first: one shell script asks, every platform looks at the answer.

A platform's probe names the files, programs and paths to look for and says what it recognises. Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

FILE_LIMIT_BYTES = 1500  # as in the script

# Arguments in pairs: `folder PATH` (searched for tools), `file PATTERN`, `tool NAME`, `path PATTERN`. Answers are lines
# of kind, name and text between tabs. An emulated board's files lie below its home: board.json is its mark.
SCRIPT = """\
root= IFS=
if [ -f "$HOME/board.json" ]; then root=$HOME; fi
look=$PATH
shown() { dd if="$1" bs=1500 count=1 2>/dev/null | tr '\\000\\n\\t\\r' '    '; }
while [ $# -ge 2 ]; do
  case $1 in
    folder) look=$look:$root$2 ;;
    tool) found=$(PATH=$look; command -v "$2" 2>/dev/null) && printf 'tool\\t%s\\t%s\\n' "$2" "$found" ;;
    file | path)
      for f in $root$2; do
        [ -e "$f" ] || continue
        text=$f
        if [ "$1" = file ]; then text=$(shown "$f"); fi
        printf '%s\\t%s\\t%s\\n' "$1" "${f#"$root"}" "$text"
      done ;;
  esac
  shift 2
done
printf 'done\\t\\t\\n'
"""


@dataclass(frozen=True)
class BoardProbe:
    """What one platform wants to be looked for. Patterns are shell globs, written here and never from outside."""

    files: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()  # where tools lie that are not on the login's PATH

    def arguments(self) -> list[str]:
        """Words for SCRIPT: a kind and a name, in turn."""
        pairs = [("folder", self.folders), ("file", self.files), ("tool", self.tools), ("path", self.paths)]
        return [word for kind, names in pairs for name in names for word in (kind, name)]


@dataclass(frozen=True)
class Seen:
    """The answer. Names are without an emulated board's own root; `paths` maps them to where they really lie."""

    files: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    def text(self, *names: str) -> str:
        """The first of these files that says anything, on one line."""
        return next((" ".join(self.files[name].split()) for name in names if self.files.get(name, "").split()), "")

    def named(self, start: str) -> list[str]:
        """Where paths lie whose last part begins so."""
        return [place for name, place in self.paths.items() if name.rpartition("/")[2].startswith(start)]


@dataclass(frozen=True)
class Lack:
    """Something that is not on the board, its use, and where it comes from. `needed`: nothing runs without it."""

    what: str
    wanted_for: str
    comes_from: str
    needed: bool = False


@dataclass(frozen=True)
class Guess:
    """What a platform recognises in a board. `soc` is "" where nothing tells it; `ask` are version commands by name."""

    platform: str
    soc: str
    soc_evidence: str
    evidence: str
    certainty: int  # 3: a vendor's own files; 2: its tools; 1: a plain Linux board
    facts: Mapping[str, str] = field(default_factory=dict)
    ask: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tools: tuple[str, ...] = ()  # folders for the inventory
    libraries: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    work: str = ""  # where this platform's boards have room; "" leaves the default
    lacks: tuple[Lack, ...] = ()


def together(probes: Iterable[BoardProbe]) -> list[str]:
    """The script's arguments for several probes, each thing once; folders first."""
    listed = list(probes)
    merged = BoardProbe(
        *(tuple(dict.fromkeys(n for p in listed for n in getattr(p, key))) for key in BoardProbe.__match_args__)
    )
    return merged.arguments()


def read_answer(text: str) -> Seen:
    """The script's lines, whatever else a login prints between them."""
    answers: dict[str, dict[str, str]] = {"file": {}, "tool": {}, "path": {}}
    whole = False
    for line in text.split("\n"):
        kind, tab, rest = line.partition("\t")
        name, second, value = rest.partition("\t")
        whole = whole or (kind == "done" and bool(tab))
        if second and kind in answers and len(answers[kind]) < 1000:
            answers[kind].setdefault(name, value[: 2 * FILE_LIMIT_BYTES])
    return Seen(answers["file"], answers["tool"], answers["path"], whole)


def folders_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders in which these lie, each once."""
    return tuple(dict.fromkeys(path.rpartition("/")[0] for path in paths if "/" in path))
