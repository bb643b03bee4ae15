"""What diagnosis knows of Horizon."""

from __future__ import annotations

from harness.diagnosis.horizon import alignment, tails
from harness.diagnosis.horizon.placement import why_off
from harness.diagnosis.horizon.remedies import remedies
from harness.diagnosis.rules import DiagnosisVendor

VENDOR = DiagnosisVendor((*alignment.RULES, *tails.RULES), (*alignment.CHECKS, *tails.CHECKS), why_off, remedies)
