"""How a run looks as the last line of a notebook's cell."""

from __future__ import annotations

from markupsafe import Markup

from harness.records import Run
from harness.report.values import shortened

_INK = {"good": "#06573f", "part": "#124e77", "bad": "#8a1811", "stop": "#6a4700"}


def headline_html(run: Run) -> str:
    """Verdict and sentences; every text is escaped."""
    from harness.report.tables.run import tables

    head = tables(run)["headline"]
    title = Markup("<b style='color:{}'>{} {}</b>").format(
        _INK.get(head["tone"], "inherit"), head["title"], shortened(head["subject"])
    )
    lines = [Markup("<br>{}").format(shortened(sentence, 500)) for sentence in head["sentences"]]
    return str(Markup("").join([title, *lines]))
