"""What a reference is, and reading one from a folder: ours, a vendor's dumps, or an .npz."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.dumps import folders as files
from harness.dumps import manifest
from harness.errors import InputError
from harness.files.digests import md5_of_file
from harness.files.npy import open_npy
from harness.files.packed import refuse_packed
from harness.files.safe import refuse_links_out
from harness.records import Dump, Graph, Op, TensorSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ReferenceTensor:
    """One tensor of a reference. `spec` is None where the file does not tell; `md5` is of the valid bytes."""

    name: str
    path: Path
    spec: TensorSpec | None
    md5: str = ""
    op: str = ""
    op_kind: str = ""
    order: int = -1
    is_input: bool = False
    is_output: bool = False
    onnx_name: str = ""
    aliases: tuple[str, ...] = ()
    alternate: ReferenceTensor | None = None  # the float side, where a float op or input meets a quantizer
    repeats: str = ""  # the tensor of the graph whose values an inserted quantizer, cast or reshape holds once more

    def load(self) -> Array:
        """The tensor, memory-mapped. Only for dense files; a padded one is opened with its spec."""
        if self.path.suffix == ".npy":
            return open_npy(self.path)
        if self.spec is None:
            return np.memmap(self.path, dtype=np.uint8, mode="r")
        dtype = next(k for k, v in manifest.NUMPY_DTYPES.items() if v == self.spec.dtype)
        return np.memmap(self.path, dtype=dtype, mode="r", shape=self.spec.shape)


@dataclass(frozen=True)
class Reference:
    """Tensors by logical name, in execution order."""

    tensors: dict[str, ReferenceTensor]
    graph: Graph | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    kind: str = "folder"  # "onnx", "folder", "npz"
    source: str = ""
    model: Path | None = None  # the ONNX on this PC, where single ops can be run again


def refuse_no_reference(path: Path, what: str = "reference") -> None:
    """What a look at the path alone tells to be none; nothing is read. Errors: InputError with what to give or type."""
    if not path.exists():
        raise InputError(
            f"{path}: no such {what}", "check the path: a reference folder, an .npz or an ONNX file on this PC"
        )
    refuse_packed(path, f"a {what}")
    if path.is_file() and path.suffix not in (".onnx", ".npz"):
        raise InputError(
            f"{path}: not a {what} (neither .onnx nor .npz)",
            "give the model's ONNX, a reference folder, or an .npz of its tensors",
        )
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(
            f"{path}: empty folder, not a {what}",
            f"create it: harness reference MODEL.onnx --input FILE -o {shlex.quote(str(path))}",
        )


def read_reference(path: Path, platform: str = "") -> Reference:
    """Open a reference folder, a folder of vendor dumps or an .npz.

    Errors: InputError, LinkInside for a link in a folder that leads out of it.
    """
    if path.is_dir() and (path / manifest.MANIFEST).is_file():
        refuse_links_out(path)
        return _from_manifest(path)
    return _from_dumps(path, platform)


def _from_manifest(folder: Path) -> Reference:
    described = manifest.read_manifest(folder)
    tensors = [_tensor(folder, record) for record in described["tensors"]]
    provenance: dict[str, Any] = {
        k: described[k] for k in ("source", "source_md5", "runner", "inputs", "skipped") if described.get(k)
    }
    model = Path(str(described["source_path"])) if described.get("source_path") else None
    return Reference(
        tensors={t.name: t for t in tensors},
        graph=_graph_from_json(described.get("graph"), folder, str(described.get("source", ""))),
        provenance=provenance,
        kind=str(described.get("kind", "folder")),
        source=str(described.get("source", folder.name)),
        model=model if model and model.is_file() and md5_of_file(model) == described.get("source_md5") else None,
    )


def _tensor(folder: Path, record: Any) -> ReferenceTensor:
    where = str(folder / manifest.MANIFEST)
    if not isinstance(record, dict) or "name" not in record:
        raise InputError(f"{where}: unnamed tensor")
    name = str(record["name"])
    tensor = ReferenceTensor(
        name=name,
        path=manifest.inside(folder, record.get("file")),
        spec=manifest.spec_from_json(name, record, where),
        md5=str(record.get("md5", "")),
        op=str(record.get("op", "")),
        op_kind=str(record.get("op_kind", "")),
        order=manifest.order_of(record),
        is_input=bool(record.get("is_input", False)),
        is_output=bool(record.get("is_output", False)),
        onnx_name=str(record.get("onnx_name", "")),
        aliases=tuple(str(a) for a in record.get("aliases", ())),
    )
    side = record.get("float_side")
    if not isinstance(side, dict):
        return tensor
    alternate = replace(
        tensor,
        path=manifest.inside(folder, side.get("file")),
        spec=manifest.spec_from_json(name, side, where),
        md5=str(side.get("md5", "")),
        onnx_name=str(side.get("onnx_name", "")),
    )
    return replace(tensor, alternate=alternate)


def _from_dumps(path: Path, platform: str) -> Reference:
    dumps = [dump for dump in files.read_dumps(path, platform) if dump.role == "output"]
    tensors: dict[str, ReferenceTensor] = {}
    doubles = []
    for i, dump in enumerate(dumps):
        if dump.name in tensors:
            doubles.append(f"{dump.path.name} ({dump.name})")
        tensors.setdefault(dump.name, _tensor_of_dump(dump, i))
    kind = "npz" if path.suffix == ".npz" else "folder"
    provenance: dict[str, Any] = {"source": path.name, **({"doubles": doubles} if doubles else {})}
    if dumps and all(dump.index >= 0 for dump in dumps):
        provenance["ordered"] = True  # the order of execution is recorded, not derived from names
    return Reference(tensors, kind=kind, source=path.name, provenance=provenance)


def _tensor_of_dump(dump: Dump, order: int) -> ReferenceTensor:
    return ReferenceTensor(
        name=dump.name,
        path=dump.path,
        spec=_in_onnx_order(dump.spec) if dump.path.suffix == ".npy" else dump.spec,
        op=dump.op,
        op_kind=dump.op_kind,
        order=dump.index if dump.index >= 0 else order,
        aliases=dump.aliases,
    )


def _in_onnx_order(spec: TensorSpec | None) -> TensorSpec | None:
    """Arrays of four axes are taken for N, C, H, W: what a board has channels last can be turned then."""
    if spec is None or spec.layout or len(spec.shape) != 4:
        return spec
    return replace(spec, layout="NCHW")


def _graph_from_json(record: Any, folder: Path, source: str) -> Graph | None:
    if not isinstance(record, dict):
        return None
    try:
        ops = tuple(
            Op(str(o["name"]), str(o["kind"]), *(tuple(map(str, o[k])) for k in ("inputs", "outputs", "covers")))
            for o in record["ops"]
        )
        return Graph(ops, tuple(map(str, record["inputs"])), tuple(map(str, record["outputs"])), source)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / manifest.MANIFEST}: invalid graph ({error!r})") from None
