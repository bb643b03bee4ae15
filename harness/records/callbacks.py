"""Callbacks of steps that take long: one name and one signature each."""

from __future__ import annotations

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]  # (what is being done, how much of it, total or -1)
BytesCallback = Callable[[int, int], None]  # (bytes so far, bytes in all; -1 when not known)
LogCallback = Callable[[str], None]  # a line for whoever watches
