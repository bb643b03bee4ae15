"""What other packages add to harness by entry points, and the registries that they are found in. See docs/extending.md.

What harness itself brings is found by the files of one folder, and needs no metadata of any package: importing
importlib.metadata costs as much as all of `harness --help`.
"""

from __future__ import annotations

from harness.extensions.packages import problems
from harness.extensions.registry import Registry

__all__ = ["Registry", "problems"]
