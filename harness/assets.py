"""Finds agents/ and templates/ in a checkout, an editable install and a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset(relative: str) -> Path:
    """The path of a shipped file or folder, for example `agents/agent.sh`.

    A wheel carries them inside the package (`_assets`); a checkout has them beside it.
    """
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{relative} missing in this installation of harness")
