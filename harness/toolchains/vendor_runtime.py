"""Reference runs through the vendor's own runtime on this PC, where it is installed.

Horizon's `*_quantized_model.onnx` holds Hz ops that plain onnxruntime does not know; `HB_ONNXRuntime` (X3, J5, X5) runs
them, `HBRuntime` runs .onnx, .bc and .hbm of J6 and S100. Both come with the vendor's toolchain image only, so they
are asked for when needed and never required. docs/reference-vendor.md has the recipe for running in the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from harness.errors import HostError, InputError
from harness.safe_files import make_folder, new_file

Array = NDArray[Any]

RECIPE = "run it in the vendor's image and hand over the .npz: docs/reference-vendor.md"
# name of the runtime -> places where toolchain releases keep it
PLACES = {
    "HB_ONNXRuntime": ("horizon_tc_ui", "horizon_tc_ui.hb_onnxruntime"),
    "HBRuntime": ("horizon_tc_ui.hb_runtime", "horizon_tc_ui", "hbdk4.runtime"),
}
IMAGE_OFFSET = 128  # HB_ONNXRuntime subtracts it from uint8 pixels for an int8 input


def runtime_of(model: Path) -> str:
    """The vendor runtime that `model` needs: "HB_ONNXRuntime", "HBRuntime", or "" for a file that needs none."""
    if model.suffix.lower() in (".bc", ".hbm"):
        return "HBRuntime"
    if model.suffix.lower() != ".onnx":
        return ""
    try:
        graph = onnx.load(str(model), load_external_data=False).graph
    except (DecodeError, ValueError, OSError):
        return ""
    foreign = any(node.domain.startswith("horizon") or node.op_type.startswith("Hz") for node in graph.node)
    return "HB_ONNXRuntime" if foreign else ""


def find_runtime(name: str) -> Any:
    """The runtime's class. Errors: HostError when it cannot be imported, with what was tried."""
    tried = []
    for place in PLACES[name]:
        try:
            found = getattr(import_module(place), name, None)
        except Exception as error:  # a half-installed vendor package fails in its own ways
            tried.append(f"{place}: {type(error).__name__}: {error}")
            continue
        if found is not None:
            return found
        tried.append(f"{place}: has no {name}")
    raise HostError(f"{name} of the vendor's toolchain cannot be imported ({'; '.join(tried)})", RECIPE)


def run_vendor(model: Path, inputs: Mapping[str, Array], tensors: tuple[str, ...] = ()) -> dict[str, Array]:
    """Outputs of `model` (or the named `tensors`) by the vendor's runtime, by name.

    A uint8 input counts as pixels (offset 128), every other dtype as a feature map. Errors: InputError for a wrong
    set of inputs or a failing run, HostError when the runtime is not installed.
    """
    name = runtime_of(model)
    if not name:
        raise InputError(f"{model}: needs no vendor runtime", "harness reference runs it with onnxruntime")
    session = _open(find_runtime(name), name, model)
    _check_names(model, session, inputs)
    wanted = list(tensors) or [str(one) for one in session.output_names]
    try:
        values = _run(session, wanted, inputs)
    except Exception as error:  # whatever the vendor's runtime raises
        raise InputError(f"{model}: {name} failed: {_first_line(error)}") from None
    return {one: np.asarray(value) for one, value in zip(wanted, values, strict=True)}


def read_named(given: Sequence[str]) -> dict[str, Array]:
    """Arrays of `TENSOR=FILE.npy` words. Errors: InputError; a vendor's model cannot be asked for its inputs' order."""
    feed: dict[str, Array] = {}
    for word in given:
        name, sign, file = word.partition("=")
        if not sign:
            raise InputError(f"{word!r}: which input is it for?", f"--input TENSOR={word}")
        try:
            feed[name] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{file}: not a readable .npy ({_first_line(error)})", "save it with numpy.save") from None
    return feed


def _open(runtime: Any, name: str, model: Path) -> Any:
    try:
        return runtime(model_file=str(model)) if name == "HB_ONNXRuntime" else runtime(str(model))
    except Exception as error:  # whatever the vendor's runtime raises
        raise InputError(f"{model}: {name} cannot load it: {_first_line(error)}") from None


def _check_names(model: Path, session: Any, inputs: Mapping[str, Array]) -> None:
    expected = [str(one) for one in session.input_names]
    if set(expected) != set(inputs):
        raise InputError(
            f"{model}: takes {', '.join(expected)}; given {', '.join(inputs) or 'nothing'}",
            "give each as --input TENSOR=FILE",
        )


def _run(session: Any, wanted: list[str], inputs: Mapping[str, Array]) -> list[Any]:
    feed = dict(inputs)
    if not hasattr(session, "run_feature"):
        return list(session.run(wanted, feed))
    if all(value.dtype == np.uint8 for value in feed.values()):
        return list(session.run(wanted, feed, input_offset=IMAGE_OFFSET))
    return list(session.run_feature(wanted, feed, input_offset=0))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def write_vendor_reference(model: Path, inputs: Mapping[str, Array], out: Path) -> Path:
    """Run `model` by the vendor's runtime and keep its outputs as `out/vendor.npz`; `--reference` takes the file."""
    values = run_vendor(model, inputs)
    make_folder(out)
    path = out / "vendor.npz"
    with new_file(path) as file:
        np.savez(file, **values)  # type: ignore[arg-type]
    return path
