"""Vendors are found by their folders, and every room keeps its wing's contract."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import platforms, vendors
from harness.diagnosis.rules import DiagnosisVendor
from harness.errors import ConfigError
from harness.export.base import ExportVendor
from harness.lint.base import LintVendor, vendor_of
from harness.platforms import socs
from harness.platforms.base import PlatformVendor
from harness.precision.base import PrecisionVendor
from harness.toolchains.base import ToolchainVendor

WINGS = {
    "export": ExportVendor, "precision": PrecisionVendor,
    "platforms": PlatformVendor, "toolchains": ToolchainVendor, "lint": LintVendor, "diagnosis": DiagnosisVendor,
}  # fmt: skip


@pytest.mark.parametrize("wing", WINGS)
def test_every_room_answers_to_its_wings_contract(wing: str) -> None:
    assert list(vendors.parts(wing, WINGS[wing])) == list(vendors.names(wing)) != []


def test_platforms_are_in_the_order_of_their_rooms_and_each_is_called_by_its_name() -> None:
    assert platforms.NAMES == ("hbdnn", "ucp", "magik", "ort", "rknn", "sophgo")
    assert [platforms.load(name).name for name in platforms.NAMES] == list(platforms.NAMES)
    assert set(socs.KNOWN) == set(platforms.NAMES)


def test_an_object_of_another_kind_is_no_part() -> None:
    with pytest.raises(TypeError, match=r"harness/lint/horizon/vendor\.py: VENDOR is not a ToolchainVendor"):
        vendors.parts("lint", ToolchainVendor)


def test_a_config_goes_to_the_vendor_that_recognises_it() -> None:
    rooms = vendors.parts("lint", LintVendor)
    assert (
        vendor_of(rooms, "", "model_parameters:") is rooms["horizon"] and vendor_of(rooms, "", "") is rooms["horizon"]
    )
    assert vendor_of(rooms, "ptq", "") is rooms["magik"] and vendor_of(rooms, "hb_compile", "{") is rooms["horizon"]
    with pytest.raises(ConfigError, match="unknown tool 'hb_mappr'") as error:
        vendor_of(rooms, "hb_mappr", "")
    assert error.value.hint == "known: hb_mapper, hb_compile, ptq, quantize_table"


def test_reading_an_inventory_loads_no_platform() -> None:
    code = "import sys; from harness.platforms import socs; print([m for m in sys.modules if m.endswith('.options')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
