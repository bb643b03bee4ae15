"""What diagnosis knows of Magik."""

from __future__ import annotations

from harness.diagnosis.magik.remedies import remedies
from harness.diagnosis.magik.rules import MAGIK_RULES
from harness.diagnosis.magik.symptoms import CHECKS
from harness.diagnosis.rules import DiagnosisVendor

VENDOR = DiagnosisVendor(MAGIK_RULES, CHECKS, remedies=remedies, symptoms_of=("magik",))
