"""Any run.json, however damaged: a page, or an error that names the part. Never a traceback, never a script."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.report.markdown import markdown
from harness.report.page import render, render_tables
from harness.report.summary import lines
from harness.report.tables import tables
from tests import fixtures_run as runs

SOURCES = {name: runs.ALL[name]() for name in ("diverging", "failed", "unordered profile")}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["nan", "inf", "-inf", "", *runs.HOSTILE_NAMES]),
    st.just([]),
    st.just({}),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.just(10**400),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, but of long lists only the first rows."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [found for key, entry in inside for found in [(*path, key), *places(entry, (*path, key))]]


PLACES = {name: places(run) for name, run in SOURCES.items()}


def changed(run: Any, path: tuple[Any, ...], junk: Any) -> Any:
    copied = copy.deepcopy(run)
    holder = copied
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return copied


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_run_is_a_page_or_a_clear_error(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(PLACES[name]))
    run = changed(SOURCES[name], path, data.draw(JUNK))
    try:
        found = tables(run)
    except InputError as error:
        assert error.message.startswith("run.json: ")
        return
    page = render_tables(found)
    assert page.count("<script") == 1
    assert not re.search(r"<img|<b>'quotes", page)
    page.encode()
    assert markdown(found) and lines(run)


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=40))
def test_any_name_is_escaped_and_changes_nothing_around_it(name: str) -> None:
    run = runs.diverging_run(40)
    plain = render(run)
    run["comparison"]["layers"][26] |= {"op_kind": name, "note": name}
    run["board"]["name"] = name
    run["problems"] = [name]
    page = render(run)
    page.encode()
    tags = re.compile(r"</?[a-z][a-z0-9]*")
    more = len(tags.findall(page)) - len(tags.findall(plain))
    assert abs(more) < 30
    assert page.count("<script") == plain.count("<script") == 1
