"""Keys and words of records as earlier versions wrote them: each has its line here, and old files stay read."""

from __future__ import annotations

from collections.abc import Mapping

OLD_KEYS: Mapping[str, Mapping[str, str]] = {
    # class -> the key as it was written -> the key of today
    "Checks": {"observer": "debug_vs_release", "ladder": "stages", "growth": "error_propagation"},
    "LeftFile": {"came": "obtained"},
}

OLD_VALUES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    # class -> the key of today -> the word as it was written -> the word of today
    "LeftFile": {"obtained": {"link": "pulled", "known": "reused", "hashed": "verified_on_board"}},
    "Layer": {"reason": {"lost": "missing"}},
}
