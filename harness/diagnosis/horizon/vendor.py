"""What diagnosis knows of Horizon."""

from __future__ import annotations

from harness.diagnosis.horizon.placement import why_off
from harness.diagnosis.rules import DiagnosisVendor

VENDOR = DiagnosisVendor((), (), why_off)
