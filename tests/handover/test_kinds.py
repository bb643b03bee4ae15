"""The folder of an op names the op and the kind that the whole run named, for every kind of fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import truth
from tests.handover.planted import again

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> list[truth.Ground]:
    return truth.grounds(tmp_path_factory.mktemp("truth"), inputs=2)


@pytest.mark.parametrize("kind", sorted(truth.RIGHT))
def test_every_kind(grounds: list[truth.Ground], kind: str, tmp_path: Path) -> None:
    """In the first network that takes the fault."""
    case = next(case for one in grounds if (case := truth.plant(one, kind, 0)) is not None)
    ops = list(again(case, tmp_path))
    assert ops
    for one, gave in ops:
        assert (gave.op, gave.kind, gave.by) == (one.op, one.kind, "op.onnx"), gave
