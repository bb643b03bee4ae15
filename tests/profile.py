"""How long the long tests are: `make soak` (HYPOTHESIS_PROFILE=thorough) plays everything, CI what fits its hour."""

from __future__ import annotations

import os

WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def sweep(examples: int) -> int:
    """Examples of a long sweep: all of them in `make soak`, at most 100 elsewhere."""
    return examples if WHOLE else min(examples, 100)
