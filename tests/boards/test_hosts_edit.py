"""hosts.yaml edited as text: one board more, every other byte as it was; what cannot be edited safely is left alone."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.boards.hosts_edit import Entry, NotSafe, block, new_file, with_board

ENTRIES = (Entry("platform", "ort", "python3"), Entry("address", "10.0.0.9"), Entry("tools", ["/a b", "/c"]))
BOARD = {"platform": "ort", "address": "10.0.0.9", "tools": ["/a b", "/c"]}

FILES = {
    "plain": "boards:\n  a:\n    platform: ort\n    address: h\n",
    "comments around": "# the lab\nboards:  # all\n  a:  # one\n    platform: ort\n    address: h # its\n\n# end\n",
    "comment below, indented": "boards:\n  a:\n    platform: ort\n    address: h\n    # port: 22\n  # b:\n",
    "other keys after it": "x: 1\nboards:\n  a: {platform: ort, address: h}\n# between\ny:\n  - 2\n",
    "wide indentation": "boards:\n    a:\n        platform: ort\n        tools:\n        - /x\n        - /y\n",
    "no last newline": "boards:\n  a:\n    platform: ort\n    address: h",
    "windows": "boards:\r\n  a:\r\n    platform: ort\r\n    address: h\r\n\r\n# end\r\n",
    "windows, no last newline": "boards:\r\n  a: {platform: ort, address: h}",
    "marked utf-8": "\ufeffboards:\n  a: {platform: ort, address: h}\n",
    "a block of text": "boards:\n  a:\n    platform: ort\n    address: |\n      h\n\nz: 1\n",
    "kept text": "boards:\n  a:\n    address: |+\n      h\n\n\nz: 1\n",
    "an empty last value": "boards:\n  a:\n    platform: ort\n    user:\n# end\n",
    "an empty board": "boards:\n  a:\n# end\n",
    "anchors": "boards:\n  a: &one\n    platform: ort\n  b:\n    <<: *one\n    address: h\n",
    "a long flow": "boards:\n  a: {platform: ort,\n      address: h}   # here\n",
    "document marks": "---\nboards:\n  a:\n    platform: ort\n...\n",
    "nothing under boards": "# none yet\nboards:\n# end\n",
    "nothing at all": "boards:",
    "chinese": "boards:\n  板一:   # 实验室\n    platform: ort\n    address: h\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=list(FILES))
def test_every_other_byte_stays(text: str) -> None:
    made = with_board(text, "new", ENTRIES, "added today")
    plain = text.removeprefix("\ufeff")
    remaining = made
    for line in block("new", ENTRIES, "added today", indent=4 if "wide" in repr(text) or "    a:" in text else 2):
        assert line in made
        remaining = remaining.replace(line, "", 1)
    assert remaining.split() == text.split(), "words and their order"
    kept = [line for line in made.removeprefix("\ufeff").splitlines() if line in plain.splitlines()]
    assert kept == plain.splitlines()
    assert ("\r\n" in made) == ("\r\n" in text) and made.count("\n") - made.count("\r\n") in (0, made.count("\n"))
    assert made.startswith("\ufeff") == text.startswith("\ufeff")
    value = yaml.safe_load(made.removeprefix("\ufeff"))
    old = yaml.safe_load(plain)
    assert value["boards"] == {**(old["boards"] or {}), "new": BOARD}
    assert {k: v for k, v in value.items() if k != "boards"} == {k: v for k, v in old.items() if k != "boards"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("boards: {a: {platform: ort}}\n", "braces"),
        ("{boards: {a: {platform: ort}}}\n", "no top-level key `boards:`"),
        ("boards: {}\n", "braces"),
        ("boards: [a]\n", "braces"),
        ("boards: text\n", "no mapping"),
        ("board:\n  a: 1\n", "no top-level key `boards:`"),
        ("- a\n", "no top-level key `boards:`"),
        ("boards:\n  a: [\n", "not valid YAML"),
        ("boards: &x\n  a: {b: 1}\nc: *x\n", "change the meaning"),  # the alias would get the board too
    ],
)
def test_what_cannot_be_edited_safely_is_said(text: str, why: str) -> None:
    with pytest.raises(NotSafe, match=why):
        with_board(text, "new", ENTRIES, "")


def test_a_new_file_is_read_back() -> None:
    assert yaml.safe_load(new_file(block("new", ENTRIES, "today"))) == {"boards": {"new": BOARD}}


@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.lists(st.text(max_size=12), max_size=3),
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=2),
)
def test_whatever_a_board_says_becomes_text_and_never_yaml(
    value: str, comment: str, listed: list[str], mapped: dict[str, str]
) -> None:
    entries = [Entry("soc", value, comment), Entry("tools", listed, comment), Entry("options", mapped, comment)]
    try:
        made = with_board("boards:\n  a: {b: 1}\n", "new", entries, comment)
    except NotSafe:
        return  # what YAML cannot hold at all
    assert yaml.safe_load(made)["boards"] == {"a": {"b": 1}, "new": {"soc": value, "tools": listed, "options": mapped}}
