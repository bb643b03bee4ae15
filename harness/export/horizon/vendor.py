"""What exporting knows of Horizon and D-Robotics."""

from __future__ import annotations

from harness.export.base import ExportVendor, FolderForm
from harness.export.horizon.x5_records import records

VENDOR = ExportVendor({"x5-records": FolderForm("records of D-Robotics' X5 run contract, a folder", records)})
