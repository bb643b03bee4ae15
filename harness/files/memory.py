"""How much memory this process has."""

from __future__ import annotations

from pathlib import Path


def rss_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes); 0 where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    except (OSError, ValueError, IndexError):
        pass
    return 0.0
