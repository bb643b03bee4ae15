"""How a model was deployed, kept beside it, so that it can be deployed again with one thing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.emulator.sophgo.environment import call
from harness.errors import InputError

RECIPE = "_build.json"
TABLE = "_cali_table"
QUANTIZE_TABLE = "quantize_table"


@dataclass(frozen=True)
class Recipe:
    """Settings of model_deploy.py: chip, type of the model, whether it takes pixels, lines of its quantize table."""

    soc: str
    quantize: str
    pixels: bool = False
    layer_types: tuple[str, ...] = ()
    pixel_order: str = ""  # of the picture that is fed, where it is not the network's own: "BGR_PLANAR"

    def save(self, path: Path) -> None:
        """Write it, for read_recipe."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_recipe(path: Path) -> Recipe:
    """Errors: InputError for a file that is damaged or not there."""
    try:
        record = json.loads(path.read_text("utf-8"))
        lines = tuple(str(line) for line in record["layer_types"])
        return Recipe(str(record["soc"]), str(record["quantize"]), bool(record["pixels"]), lines)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{path}: no record of a build", "build the model with harness emulator build --soc bm1684x"
        ) from None


def suffix_of(soc: str) -> str:
    """Of a compiled model for this chip."""
    return ".cvimodel" if soc.startswith("cv") else ".bmodel"


def deploy(stem: str, recipe: Recipe, work: Path, checked: Sequence[str] = ()) -> str:
    """Run model_deploy.py in a folder that holds `stem`.mlir, its weights and its calibration table; the log.

    Errors: InputError with the compiler's last line.
    """
    words = ["--mlir", f"{stem}.mlir", "--quantize", recipe.quantize, "--processor", recipe.soc, "--debug"]
    if recipe.quantize == "INT8":
        words += ["--calibration_table", f"{stem}{TABLE}"]
    if recipe.layer_types:
        (work / QUANTIZE_TABLE).write_text("".join(f"{line}\n" for line in recipe.layer_types))
        words += ["--quantize_table", QUANTIZE_TABLE]
    if recipe.pixels:
        words.append("--fuse_preprocess")
    if recipe.pixel_order:
        words += ["--customization_format", recipe.pixel_order]
    return tool("model_deploy.py", [*words, *checked, "--model", f"{stem}{suffix_of(recipe.soc)}"], work)


def tool(name: str, arguments: Sequence[str], work: Path) -> str:
    """One of the compiler's programs; what it printed. Errors: InputError with its last line of error."""
    finished = call(name, arguments, cwd=work)
    text = finished.stdout + finished.stderr
    if finished.returncode != 0:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"\w*(?:Error|error)\b", line)] or lines or ["no reason given"]
        raise InputError(f"{name}: {errors[-1][:300]}", "the model may hold an op that the compiler does not take")
    return text
