"""Files of no single vendor: ONNX, emulator models, runs, references, arrays; and vendor models by what shows.

The container formats of vendor models are not published: they are recognised by their name and by build facts that
stand in them as plain text (both listed by the vendors' rooms), and the answer says which.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.errors import InputError
from harness.files.md5_lists import read_list
from harness.files.npy import open_npy
from harness.platforms.emulated import EMULATOR_MAGIC
from harness.records.codec import to_json
from harness.runs.folder import load_run
from harness.toolchains.base import FileProbe, FileReader, text_reader
from harness.toolchains.records import Artifact
from harness.toolchains.rooms import rooms

LARGEST_US = 1e300  # of a duration; infinity and NaN are not below it
SCAN_BYTES = 64 * 2**20


def _is_onnx(probe: FileProbe) -> bool:
    """ONNX has no magic: field 1 (ir_version) as a small number first, or the usual name."""
    named = probe.path.suffix.lower() == ".onnx"
    return probe.path.is_file() and (named or (probe.head[:1] == b"\x08" and b"ai.onnx" in probe.head + _tail(probe)))


def _tail(probe: FileProbe) -> bytes:
    with probe.path.open("rb") as file:
        file.seek(max(0, probe.size_bytes - 65536))
        return file.read()


def _read_onnx(probe: FileProbe) -> Artifact:
    try:
        model = onnx.load(str(probe.path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        return Artifact("onnx", "ONNX model", problems=(f"incomplete ONNX: {error}",))
    graph = model.graph
    constants = {one.name for one in graph.initializer}
    kinds = Counter(node.op_type for node in graph.node)
    facts: dict[str, object] = {
        "ir_version": model.ir_version,
        "opset": {one.domain or "ai.onnx": one.version for one in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "nodes": len(graph.node),
        "ops": dict(kinds.most_common()),
        "inputs": [_value(one) for one in graph.input if one.name not in constants],
        "outputs": [_value(one) for one in graph.output],
    }
    problems = () if graph.node else ("no nodes found",)
    return Artifact("onnx", "ONNX model", facts=facts, problems=problems)


def _value(info: onnx.ValueInfoProto) -> dict[str, object]:
    tensor = info.type.tensor_type
    shape = [one.dim_value if one.HasField("dim_value") else one.dim_param or "?" for one in tensor.shape.dim]
    return {"name": info.name, "dtype": onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": shape}


def _read_emulator_model(probe: FileProbe) -> Artifact:
    """A zip behind the magic: its JSON members are its facts."""
    facts: dict[str, object] = {"bytes": probe.size_bytes}
    problems: list[str] = []
    try:
        with zipfile.ZipFile(probe.path) as archive:
            facts["members"] = {one.filename: one.file_size for one in archive.infolist()}
            for name in [n for n in archive.namelist() if n.endswith(".json")][:4]:
                facts[name] = json.loads(archive.read(name))
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, RuntimeError) as error:
        problems.append(f"truncated or damaged: {error}")
    return Artifact("emulator_model", "model for an emulated board", facts=facts, problems=tuple(problems))


def _json_object(probe: FileProbe) -> dict[str, object]:
    if not probe.text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(probe.text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_run(probe: FileProbe) -> bool:
    return (probe.path / "run.json").is_file() if probe.path.is_dir() else probe.path.name == "run.json"


def _read_run(probe: FileProbe) -> Artifact:
    try:
        run = load_run(probe.path)
    except InputError as error:
        return Artifact("run", "harness run", problems=(f"truncated, or not a harness run: {error.message}",))
    keys = ("id", "state", "stopped_at", "harness_version", "started_utc", "duration_s", "verdict", "board")
    facts = {key: to_json(getattr(run, key)) for key in keys}
    modes = [mode.mode for mode in run.modes]
    return Artifact("run", "harness run", facts={**facts, "modes": modes}, problems=run.damage)


def _is_reference(probe: FileProbe) -> bool:
    folder = probe.path if probe.path.is_dir() else probe.path.parent
    return (probe.path.is_dir() or probe.path.name == "manifest.json") and (folder / "manifest.json").is_file()


def _read_reference(probe: FileProbe) -> Artifact:
    file = FileProbe(probe.path / "manifest.json") if probe.path.is_dir() else probe
    manifest = _json_object(file)
    tensors = manifest.get("tensors")
    keys = ("kind", "source", "source_md5", "runner", "inputs")
    facts: dict[str, object] = {key: manifest[key] for key in keys if key in manifest}
    rows = tensors if isinstance(tensors, list) else []
    facts["tensors"] = [_tensor_line(one) for one in rows if isinstance(one, dict)]
    problems = () if isinstance(tensors, list) else ("manifest.json is truncated, or not a harness reference",)
    return Artifact("reference", "reference folder", facts=facts, problems=problems)


def _tensor_line(one: dict[str, object]) -> dict[str, object]:
    return {key: one.get(key) for key in ("name", "dtype", "shape", "op")}


def _read_npy(probe: FileProbe) -> Artifact:
    try:
        array = open_npy(probe.path)
    except (ValueError, OSError, EOFError) as error:
        return Artifact("npy", "NumPy array", problems=(f"truncated or damaged: {error}",))
    return Artifact("npy", "NumPy array", facts={"dtype": str(array.dtype), "shape": list(array.shape)})


def _read_npz(probe: FileProbe) -> Artifact:
    try:
        with zipfile.ZipFile(probe.path) as archive:
            names = [one.filename.removesuffix(".npy") for one in archive.infolist()]
    except (zipfile.BadZipFile, OSError) as error:
        return Artifact("npz", "NumPy archive", problems=(f"truncated or damaged: {error}",))
    return Artifact("npz", "NumPy archive", facts={"arrays": names})


def _is_vendor_model(probe: FileProbe) -> bool:
    return probe.path.is_file() and probe.binary and bool(_meant_by(probe.path))


def _meant_by(path: Path) -> str:
    """What models of that suffix are; "" for a suffix that no vendor's have."""
    suffix = path.suffix.lower()
    return next((room.model_suffixes[suffix] for room in rooms() if suffix in room.model_suffixes), "")


def _read_vendor_model(probe: FileProbe) -> Artifact:
    """Build facts that stand in the file as text; the rest is the vendor's secret."""
    with probe.path.open("rb") as file:
        data = file.read(SCAN_BYTES)
    patterns = [fact for room in rooms() for fact in room.build_facts.items()]
    build_facts = {key: match[1].decode() for key, pattern in patterns if (match := pattern.search(data))}
    suffix = probe.path.suffix.lower()
    march = build_facts.pop("march", "")
    facts: dict[str, object] = {
        "bytes": probe.size_bytes,
        "recognised_by": "build facts inside" if build_facts else "name only",
    }
    problems = [] if build_facts else [f"a {suffix} file: {_meant_by(probe.path)}; no readable build data"]
    return Artifact(
        "vendor_model",
        "vendor model",
        versions=build_facts,
        march=march if build_facts else "",
        facts=facts,
        problems=tuple(problems),
    )


def _is_runtime_profile(probe: FileProbe) -> bool:
    head = probe.head[:65536].decode("utf-8", errors="replace") if not probe.binary else ""
    return head.lstrip().startswith("[") and re.search(r'"cat"\s*:\s*"(?:Session|Node)"', head) is not None


def _read_runtime_profile(probe: FileProbe) -> Artifact:
    """ONNX Runtime's profile: kernel times summed per op; a file that was cut is read up to its last whole event."""
    title = "ONNX Runtime profile"
    text, problems = probe.text.strip(), []
    try:
        events = json.loads(text)
    except (ValueError, RecursionError):
        events = _whole_events(text)
        problems.append("incomplete JSON: read up to the last whole event")
    kernels: dict[str, list[float]] = {}
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and str(event.get("name", "")).endswith("_kernel_time"):
            duration = event.get("dur")
            if isinstance(duration, int | float) and not isinstance(duration, bool) and abs(duration) < LARGEST_US:
                kernels.setdefault(str(event["name"]).removesuffix("_kernel_time"), []).append(float(duration))
    rows = [{"op": op, "runs": len(us), "mean_us": sum(us) / len(us), "sum_us": sum(us)} for op, us in kernels.items()]
    rows.sort(key=lambda row: -float(row["sum_us"]))
    facts: dict[str, object] = {"kernels": len(rows), "ops": rows}
    return Artifact("ort_profile", title, facts=facts, problems=(*problems, *(() if rows else ("no kernel times",))))


def _whole_events(text: str) -> object:
    end = text.rfind("},")
    try:
        return json.loads(text[: end + 1] + "]") if end > 0 else []
    except (ValueError, RecursionError):
        return []


def _read_md5_list(text: str) -> Artifact:
    """What md5sum printed: `harness compare PC-DUMPS FILE` holds it against a folder."""
    listed = read_list(text)
    rows = [{"file": name, "md5": md5} for name, md5 in listed.md5s.items()]
    title = "list of md5s; `harness compare` holds it against a folder of dumps"
    return Artifact("md5_list", title, facts={"files": len(rows), "md5s": rows}, problems=listed.problems)


# Asked after all others: a vendor's own reader knows more of its models, and a console or a log may hold rows of md5s.
LAST = (
    FileReader("vendor_model", "vendor model", _is_vendor_model, _read_vendor_model),
    text_reader("md5_list", "list of md5s (md5sum)", lambda text: bool(read_list(text).md5s), _read_md5_list),
)
READERS = (
    FileReader("ort_profile", "ONNX Runtime profile", _is_runtime_profile, _read_runtime_profile),
    FileReader(
        "emulator_model",
        "model for an emulated board",
        lambda p: p.head.startswith(EMULATOR_MAGIC),
        _read_emulator_model,
    ),
    FileReader("run", "harness run", _is_run, _read_run),
    FileReader("reference", "reference folder", _is_reference, _read_reference),
    FileReader("npy", "NumPy array", lambda p: p.head.startswith(b"\x93NUMPY"), _read_npy),
    FileReader("npz", "NumPy archive", lambda p: p.path.suffix == ".npz" and p.head.startswith(b"PK"), _read_npz),
    FileReader("onnx", "ONNX model", _is_onnx, _read_onnx),
)
