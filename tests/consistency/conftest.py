"""Networks that many tests of this folder compare, quantized once a module."""

from __future__ import annotations

import pytest

from harness.reference.open import Reference
from tests.support.nets import quantized_reference


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("cnn"))


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("transformer", tmp_path_factory.mktemp("transformer"))
