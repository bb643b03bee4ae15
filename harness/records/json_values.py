"""Plain JSON, as a type: what options, facts of a board and provenance hold, of which nobody knows the shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:

    class Json:
        """The mark of a value that is kept as it is; what may stand there is above."""
