"""Flags over the strip of layers: where the first origins are."""

from __future__ import annotations

from harness.report.values import Row

MOST_MARKS = 6
NUMBER_PERCENT = 7.0  # of the strip on a narrow screen: room of one number
TURNED_PERCENT = 70.0  # from here on labels stand left of their mark


def strip_marks(strip_: Row, origins: list[Row]) -> list[Row]:
    """Flags over the strip: where the first origins are. Of several each has its number; close ones share a label."""
    marks: list[Row] = []
    per_column = strip_["per_column"]
    for origin in origins[:MOST_MARKS]:
        if origin["layer"] is not None:
            column = strip_["columns"][origin["layer"]["position"] // per_column]
            marks.append({"x": column["middle"], "op": origin["op"], "certain": origin["certain"], "label": ""})
    if len(marks) == 1:
        marks[0]["label"] = "origin" if marks[0]["certain"] else "suspect"
    return _numbered(marks) if len(marks) > 1 else marks


def _numbered(marks: list[Row]) -> list[Row]:
    """Labels `1`, `2 3`: a number that has no room beside the label before it is a part of that label."""
    labelled: Row | None = None
    for number, mark in sorted(enumerate(marks, 1), key=lambda pair: pair[1]["x"]):
        needed = NUMBER_PERCENT * (1 + len(labelled["label"].split())) if labelled else 0.0
        needed *= 2 if labelled and labelled["x"] < TURNED_PERCENT <= mark["x"] else 1  # labels face each other there
        if labelled and mark["x"] - labelled["x"] < needed:
            labelled["label"] += f" {number}"
        else:
            mark["label"], labelled = str(number), mark
    return marks
