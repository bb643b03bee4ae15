"""How much memory this process has."""

from __future__ import annotations

import re
from pathlib import Path


def rss_mb() -> float | None:
    """Resident memory of this process in MB (10^6 bytes); None where the system does not tell."""
    status = Path("/proc/self/status")
    text = status.read_text(errors="replace") if status.exists() else ""
    line = re.search(r"^VmRSS:\s+(\d{1,15}) kB", text, re.MULTILINE)
    return round(int(line[1]) * 1024 / 1e6, 1) if line else None
