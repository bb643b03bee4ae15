"""Dicts of anything are for what others write: every file that still says so reads a file of theirs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "harness"
UNTYPED = re.compile(r"\b(?:dict|Mapping)\[str, Any\]")
MOST = 60
READERS = {
    "boards/hosts_file.py": "hosts.yaml, before it is checked",
    "cli/reference.py": "manifest.json of a reference",
    "cli/series/jitter.py": "options as click gives them",
    "dumps/manifest.py": "manifest.json of a folder of dumps",
    "emulator/magik/ops.py": "attributes of an ONNX",
    "emulator/model/compiled.py": "a compiled model's JSON",
    "emulator/model/nodes.py": "attributes of an ONNX",
    "lint/magik/check.py": "ptq.json",
    "platforms/emulated.py": "a compiled model's JSON",
    "platforms/horizon/dumps.py": "dump_info.json of a tool",
    "platforms/horizon/model_file.py": "a compiled model's JSON",
    "platforms/horizon/profiler.py": "profiler.log of a tool",
    "platforms/ort/folder.py": "manifests that the board's runner left",
    "platforms/ort/platform.py": "what the board's runner printed",
    "platforms/ort/text.py": "JSON that the board's runner left",
    "records/running.py": "options of hosts.yaml, on their way to the platform",
    "reference/folder.py": "manifest.json of a reference",
    "reference/results.py": "what another interpreter's runner left",
    "report/values.py": "`Row`, a row of report.json: the one name for it",
    "session/job.py": "options of hosts.yaml, on their way to the platform",
    "toolchains/horizon/files.py": "JSON of hb_mapper",
    "toolchains/horizon/perf.py": "JSON of hb_perf",
}


def test_dicts_of_anything_read_files_of_others_and_are_few() -> None:
    counted = Counter(
        {
            path.relative_to(PACKAGE).as_posix(): len(UNTYPED.findall(path.read_text(encoding="utf-8")))
            for path in PACKAGE.rglob("*.py")
        }
    )
    places = +counted
    assert set(places) <= set(READERS), sorted(set(places) - set(READERS))
    assert places.total() <= MOST, places
