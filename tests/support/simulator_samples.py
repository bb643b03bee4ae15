"""Where dumps of vendors' PC simulators lie (not in the repository)."""

from __future__ import annotations

import pytest

from tests.support.toolchain_samples import SAMPLES

FOLDER = SAMPLES / "vendor-simulators"


def simulator_sample(name: str) -> str:
    """A folder or archive of real dumps; the test is skipped where the samples are not."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"real vendor output is not here: {FOLDER} (set HARNESS_SAMPLES)")
    return str(path)
