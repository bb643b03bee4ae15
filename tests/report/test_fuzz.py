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
from harness.report.page import render_tables
from tests.profile import sweep
from tests.records.kit import lines, render, tables
from tests.support import fixtures_run as runs

# Small, so that many damages are tried: the place of a damage counts, not the number of rows.
SOURCES = {
    "diverging": runs.diverging_run(18, origin=9),
    "failed": runs.failed_run(),
    "memory": runs.memory_run(),
    "waived": runs.waived_run(),
}
SOURCES["diverging"]["plan"]["rows"] = SOURCES["diverging"]["plan"]["rows"][:6]
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
    return [place for key, entry in inside for place in [(*path, key), *places(entry, (*path, key))]]


PLACES = {name: places(run) for name, run in SOURCES.items()}


def changed(run: Any, path: tuple[Any, ...], junk: Any) -> Any:
    copied = copy.deepcopy(run)
    holder = copied
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return copied


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_damaged_run_is_a_page_or_a_clear_error(name: str, data: st.DataObject) -> None:
    holds_when_damaged(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=sweep(600), deadline=None)
@given(data=st.data())
def test_a_long_sweep_of_damages(name: str, data: st.DataObject) -> None:
    holds_when_damaged(name, data)


def holds_when_damaged(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(PLACES[name]))
    run = changed(SOURCES[name], path, data.draw(JUNK))
    try:
        rows = tables(run)
    except InputError as error:
        assert error.message.startswith("run.json: ")
        return
    page = render_tables(rows)
    assert page.count("<script") == 1
    assert not re.search(r"<img|<b>'quotes", page)
    page.encode()
    assert markdown(rows) and lines(run)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(name=st.text(max_size=40))
def test_any_name_is_escaped_and_changes_nothing_around_it(name: str) -> None:
    run = copy.deepcopy(SOURCES["diverging"])
    plain = render(run)
    run["comparison"]["layers"][9] |= {"op_kind": name, "note": name}
    run["plan"]["rows"][0] |= {"name": name, "kind": name, "planned_unit": name}
    run["plan"]["messages"][0]["text"] = name
    run["board"]["name"] = name
    run["problems"] = [name]
    page = render(run)
    page.encode()
    tags = re.compile(r"</?[a-z][a-z0-9]*")
    more = len(tags.findall(page)) - len(tags.findall(plain))
    assert abs(more) < 30
    assert page.count("<script") == plain.count("<script") == 1
