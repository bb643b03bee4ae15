"""One word for one thing, the word that the field uses: names that were given up do not come back."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.records import Run
from harness.records.old_keys import OLD_KEYS, OLD_VALUES
from harness.records.schema import schema_of
from tests.house.sources import nodes_of, tree_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("harness", "tests", "benchmarks", "scripts")
STAND_INS = "tests/vendor_stand_in"  # names of a vendor's own packages

# A name for a value says what the value is.
SAYS_NOTHING = {"told", "said", "found", "here", "there", "done", "asked", "took", "came"}
YAML_KEYS = {"harness/boards/hosts_file.py": {"here", "there"}}  # keys that a user writes: `shared_folder:`
GIVEN_UP = {
    *("after_blame", "blame", "Blame", "doubt", "Doubt", "doubtful_ops", "doubts"),
    *("climb", "growth", "GrowthPoint", "ladder", "Ladder", "LadderStage", "LadderStep", "with_ladder"),
    *("expectation", "Expectation", "foretell", "Foretold", "Hashing", "holes", "with_holes", "misfits", "Misfits"),
    *("find_pitch", "pitch", "observer", "Observer", "outlet", "_Outlet", "remarks", "unforeseen", "_unforeseen"),
    *("detective", "errors_seen", "holding", "misfit", "pcside", "pictures_of_errors", "run_words", "temporal"),
    *("threeway", "unpulled", "keep_token", "kept_token", "steps_for", "trouble_of", "with_paths", "company"),
    *("AskedWrongly", "CouldNotMeasure", "Look", "Tell", "_Work", "VenusModel", "venus_board"),
}
PARTS = {"foretold", "foretell", "ladder", "detective", "unforeseen", "unpulled", "misfit", "misfits", "pitch"}
IN_DOCUMENTS = re.compile(r"\b(?:foretold|foretells?|misfits?|unpulled|unforeseen|[Ll]adder|[Dd]etective)\b")
CALLBACKS = "harness/records/callbacks.py"


def sources() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [path for path in files if STAND_INS not in path.as_posix()]


def in_source(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def paths() -> dict[str, Path]:
    return {in_source(path): path for path in sources()}


def names_of(node: ast.AST) -> Iterator[str]:
    """Names that the node gives to something."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.alias) and node.asname:
        yield node.asname


def given_in(path: str) -> set[str]:
    names = {name for node in nodes_of(paths()[path]) for name in names_of(node)} | {Path(path).stem}
    return names - YAML_KEYS.get(path, set())


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_name_says_what_the_thing_is(folder: str) -> None:
    wrong = {
        f"{path}: {name}"
        for path in paths()
        if path.startswith(f"{folder}/")
        for name in given_in(path)
        if name.strip("_").lower() in SAYS_NOTHING or name in GIVEN_UP or words_of(name) & PARTS
    }
    assert sorted(wrong) == []


def test_a_name_that_says_nothing_is_seen() -> None:
    tree = ast.parse(
        "def f(told):\n    with x as said, y: pass\n    for found in told: here = [there for there in z]\n"
    )
    seen = {name for node in ast.walk(tree) for name in names_of(node)}
    assert seen == {"f", "told", "said", "found", "here", "there"}


def test_no_two_classes_share_a_name() -> None:
    """A class of a test or a benchmark may be called like another one's, never like one of the package."""
    places = defaultdict(list)
    for name, path in paths().items():
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    shared = {name: at for name, at in places.items() if len(at) > 1 and any(p.startswith("harness/") for p in at)}
    assert shared == {}


def test_callbacks_are_typed_in_one_place() -> None:
    aliases = defaultdict(list)
    for name, path in paths().items():
        for node in tree_of(path).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in (
                "Callable[[str, int, int], None]",
                "Callable[[int, int], None]",
                "Callable[[str], None]",
            ):
                aliases[name].append(ast.unparse(node.targets[0]))
    assert dict(aliases) == {CALLBACKS: ["ProgressCallback", "BytesCallback", "LogCallback"]}


def test_keys_of_a_record_are_those_of_today() -> None:
    schema = schema_of(Run)
    records = [schema, *schema["$defs"].values()]  # type: ignore[attr-defined]
    keys = {key for record in records if isinstance(record, dict) for key in record.get("properties", {})}
    assert keys & (SAYS_NOTHING | GIVEN_UP) == set()
    assert keys >= {"obtained", "debug_vs_release", "stages", "error_propagation"}


def test_what_was_written_under_an_old_name_is_read_under_that_of_today() -> None:
    today = {new for table in OLD_KEYS.values() for new in table.values()}
    assert not today & {old for table in OLD_KEYS.values() for old in table}
    for tables in OLD_VALUES.values():
        for words in tables.values():
            assert not words.keys() & set(words.values())


def test_documents_use_the_words_of_the_code() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("README*.md")]
    assert pages
    assert {in_source(page): IN_DOCUMENTS.findall(page.read_text(encoding="utf-8")) for page in pages} == {
        in_source(page): [] for page in pages
    }
