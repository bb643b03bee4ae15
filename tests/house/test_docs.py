"""Documents do not lie: commands that are written down parse, links lead somewhere, the example inventory loads."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness import platforms
from harness.boards.hosts_file import load_boards
from harness.cli import cli
from harness.cli.farm.history import SHOW, HistoryGroup

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh.md")
PAGES = sorted([*(ROOT / name for name in READMES), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(?:sh|shell|bash|console|text)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAST_THE_COMMAND = {"|", ">", ">>", "&&", ";", "2>"}


def leaves(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        yield path
        return
    for name in group.list_commands(click.Context(group)):
        child = group.get_command(click.Context(group), name)
        assert child is not None
        yield from leaves(child, (*path, name))


def lines_of(text: str) -> list[str]:
    """Every `harness ...` line of the code blocks, with `\\` joined and a prompt `$ ` taken off."""
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("harness ")]


def arguments_of(line: str) -> list[str]:
    """What the shell would hand to the program: up to a comment, a pipe or a redirection."""
    words = shlex.split(line, comments=True)[1:]
    end = next((place for place, word in enumerate(words) if word in PAST_THE_COMMAND), len(words))
    return words[:end]


def parse(arguments: list[str]) -> None:
    """As click would, without running anything. Errors: click.UsageError for unknown commands, options, values."""
    command: click.Command = cli
    context = click.Context(cli, info_name="harness")
    while isinstance(command, click.Group):
        if not arguments and not isinstance(command, HistoryGroup):  # which shows everything then
            raise click.UsageError("a command is missing", context)
        arguments = arguments or [SHOW]
        sub_command = command.get_command(context, arguments[0])
        if sub_command is None:
            raise click.UsageError(f"no command {arguments[0]!r} in {context.command_path}", context)
        command, arguments = sub_command, arguments[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    try:
        command.parse_args(context, list(arguments))
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # the files of an example are the reader's
            raise


WRONG_ON_PURPOSE = {ROOT / "docs" / "messages.md"}  # what the commands say then; tests/house/test_messages.py
WRITTEN = sorted(
    {
        (page.relative_to(ROOT).as_posix(), line)
        for page in PAGES
        if page not in WRONG_ON_PURPOSE
        for line in lines_of(page.read_text("utf-8"))
    }
)


@pytest.mark.parametrize(("page", "line"), WRITTEN, ids=[f"{page}: {line}" for page, line in WRITTEN])
def test_a_command_that_is_written_down_parses(page: str, line: str) -> None:
    parse(arguments_of(line))


SPAN = re.compile(r"`([^`\n]+)`")
IN_TREE = re.compile(r"(?:harness|tests|agents|benchmarks|scripts|docs|templates|examples)/[\w./*-]+")
PLACEHOLDERS = {"...", "…"}
OUR_PAGES = [page for page in [*PAGES, ROOT / "SECURITY.md"] if page not in WRONG_ON_PURPOSE]


def commands(group: click.Command) -> Iterator[click.Command]:
    yield group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            child = group.get_command(context, name)
            assert child is not None
            yield from commands(child)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words after `harness` name, and the rest. Errors: click.UsageError for an unknown command."""
    command: click.Command = cli
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]+", words[0]):
        sub_command = command.get_command(click.Context(command), words[0])
        if sub_command is None:
            raise click.UsageError(f"no command {words[0]!r}")
        command, words = sub_command, words[1:]
    return command, words


def wrong_options(span: str) -> list[str]:
    """Options of `harness COMMAND ...` in running text that the command does not have, and unknown commands."""
    try:
        command, words = command_of([word for word in span.split()[1:] if word not in PLACEHOLDERS])
    except click.UsageError as error:
        return [f"{span}: {error.message}"]
    known = {name for one in commands(command) for option in one.params for name in option.opts + option.secondary_opts}
    given = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [f"{span}: {option}" for option in given if option not in known | {"--help"}]


@pytest.mark.parametrize("page", OUR_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_running_text_exist(page: Path) -> None:
    spans = [span for span in SPAN.findall(page.read_text("utf-8")) if span.startswith("harness ")]
    assert [wrong for span in spans for wrong in wrong_options(span)] == []


def test_a_wrong_option_in_running_text_would_be_found() -> None:
    assert wrong_options("harness run --bord x5") == ["harness run --bord x5: --bord"]
    assert wrong_options("harness rum model.bin") == ["harness rum model.bin: no command 'rum'"]


@pytest.mark.parametrize("page", OUR_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_that_a_page_names_exist(page: Path) -> None:
    """Of the repository; and each `name.py` alone is a file somewhere in it."""
    spans = SPAN.findall(page.read_text("utf-8"))
    paths = [path for span in spans for path in IN_TREE.findall(span) if span == path]
    lone = [span for span in spans if re.fullmatch(r"[\w/]+\.(?:py|sh)", span) and not IN_TREE.match(span)]
    absent = [path for path in paths if not any(ROOT.glob(path.rstrip("/")))]
    assert absent + [name for name in lone if name not in OF_THE_READER and f"/{name}" not in scripts()] == []


OF_THE_READER = {"run.sh"}


@functools.cache
def scripts() -> frozenset[str]:
    """Ends of the paths of all programs in the repository, each with its `/` in front."""
    folders = ("harness", "tests", "agents", "benchmarks", "scripts", "examples")
    files = [path for folder in folders for kind in ("*.py", "*.sh") for path in (ROOT / folder).rglob(kind)]
    parts = [path.relative_to(ROOT).parts for path in files]
    return frozenset("/" + "/".join(part[start:]) for part in parts for start in range(len(part)))


def examples(command: click.Command) -> list[str]:
    """The `harness ...` lines of a command's own help; what stands two blanks after one explains it."""
    text = f"{command.help or ''}\n{command.epilog or ''}"
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("harness ")]
    return [re.split(r"\s{2,}", line)[0] for line in lines]


def found_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command | None = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return command


@pytest.mark.parametrize("path", [(), *leaves(cli)], ids=lambda path: " ".join(path) or "harness")
def test_the_examples_of_a_help_parse(path: tuple[str, ...]) -> None:
    for depth in range(len(path) + 1):
        for line in examples(found_at(path[:depth])):
            parse(arguments_of(line))


@pytest.mark.parametrize(
    "line",
    ["harness rum model.bin", "harness run model.bin --bord emu-x5", "harness boards", "harness run x --pull some"],
)
def test_a_command_that_does_not_exist_would_be_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(arguments_of(line))


@pytest.mark.parametrize("name", READMES)
@pytest.mark.parametrize("path", list(leaves(cli)), ids=" ".join)
def test_every_command_is_in_both_readmes(name: str, path: tuple[str, ...]) -> None:
    """A row of the table starts with the group and one command; further ones stand alone between backticks."""
    rows = [line for line in (ROOT / name).read_text("utf-8").splitlines() if line.startswith(f"| `harness {path[0]}")]
    assert any(f"harness {' '.join(path)}" in row or f"`{path[-1]}`" in row for row in rows)


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (lines_of((ROOT / name).read_text("utf-8")) for name in READMES)
    assert [arguments_of(line) for line in english] == [arguments_of(line) for line in chinese]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = [
        link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link and not link.startswith("mailto:")
    ]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_example_inventory_loads() -> None:
    assert "x5-01" in load_boards(ROOT / "hosts.example.yaml")


@pytest.mark.parametrize("name", platforms.NAMES)
def test_every_platform_has_a_page_about_its_boards(name: str) -> None:
    pages = [page.read_text("utf-8") for page in (ROOT / "docs" / "boards").glob("*.md")]
    assert any(f"`{name}`" in text or f"platform: {name}" in text for text in pages)
