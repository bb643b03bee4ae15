"""Keys of records as earlier versions wrote them: a key that is renamed gets its line here, and old files stay read."""

from __future__ import annotations

from collections.abc import Mapping

OLD_KEYS: Mapping[str, Mapping[str, str]] = {
    # "Layer": {"the key as it was written": "the key of today"},
}
