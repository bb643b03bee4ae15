"""The faulty compiled model of a run: the good one with bytes changed, or built again by the vendor with one mistake.

It is made once on this PC, before the run, in the user's cache; the played tools take it from there by what model they
got and which faults are planted. A model is built again from what `harness emulator build` left beside it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from harness.emulator.sophgo.faults import ADDRESSED, WEIGHTS, Planted, changed, planted, weights_file
from harness.emulator.sophgo.recipe import RECIPE, TABLE, Recipe, deploy, read_recipe, suffix_of
from harness.errors import InputError, UserError
from harness.files.user_folders import cache_folder

BOARD_ROOT = "HARNESS_EMULATOR_ROOT"  # of the played tools: the board's folder, in the same cache
MODEL = "faulty_model"
NEIGHBOURS = ("final.mlir", "tensor_location.json")  # of the context folder: they belong to one build
KEPT_S = 3600.0
_FIGURES = r"(\b{key} = \[)([^\]]{{1,400}})(\])"


def of_the_file(faults: Sequence[Planted]) -> tuple[Planted, ...]:
    """Those that make another compiled file."""
    return tuple(fault for fault in faults if fault.kind.startswith(("weight_", "built_")))


def place_of(model: Path, faults: Sequence[Planted]) -> Path:
    """Where the faulty model of these two lies, made or not."""
    root = os.environ.get(BOARD_ROOT)
    cache = Path(root).parent if root else cache_folder() / "boards"
    digest = hashlib.sha256(model.read_bytes())
    digest.update(repr([(f.kind, f.target, sorted(f.args.items())) for f in of_the_file(faults)]).encode())
    return cache / "faulty" / digest.hexdigest()[:32]


def actual(model: Path, faults: Sequence[Planted] | None = None) -> Path:
    """What the board runs for this model: itself, or the faulty one. Errors: InputError where that is not made."""
    faults = planted() if faults is None else faults
    if not of_the_file(faults):
        return model
    made = _model_in(place_of(model, faults))
    if made is None:
        raise InputError(f"{model.name}: its faulty model was not made on this PC", "plant it with harness run --fault")
    return made


def _model_in(place: Path) -> Path | None:
    return next(iter(place.glob(f"{MODEL}.*")), None)


def check(text: str, model: Path) -> None:
    """Make what the faults need. Errors: UserError, InputError for what cannot be planted, with what can."""
    faults = planted(text)
    if not of_the_file(faults):
        return
    place = place_of(model, faults)
    _drop_old(place.parent)
    if _model_in(place) is None:
        _make(model, faults, place)


def _drop_old(folder: Path) -> None:
    for old in folder.glob("*"):
        if old.stat().st_mtime < time.time() - KEPT_S:
            shutil.rmtree(old, ignore_errors=True)


def _make(model: Path, faults: Sequence[Planted], place: Path) -> None:
    stem, folders = _stem(model), (model.parent, model.parent.parent)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=place.parent) as name:
        work, target = Path(name), Path(name) / "target"
        target.mkdir()
        archive = weights_file(folders, stem)
        if any(fault.kind.startswith("built_") for fault in faults):
            model = _build_again(stem, folders, faults, work)
            archive = weights_file((work,), stem)
            for neighbour in NEIGHBOURS:
                if (work / stem / neighbour).is_file():
                    shutil.copyfile(work / stem / neighbour, target / neighbour)
        content = model.read_bytes()
        if any(fault.kind.startswith("weight_") for fault in faults):
            content = changed(content, _known(archive, model), faults)
        (target / f"{MODEL}{model.suffix}").write_bytes(content)
        if not place.is_dir():  # another run may have made it meanwhile
            target.replace(place)


def _stem(model: Path) -> str:
    return model.parent.name if model.stem == "compilation" else model.stem


def _known(archive: Path | None, model: Path) -> Path:
    if archive is None:
        raise UserError(
            f"{model}: no MODEL{ADDRESSED}CHIP...{WEIGHTS} beside it, so its weights cannot be found",
            "build it with harness emulator build --soc bm1684x, or model_deploy.py --debug",
        )
    return archive


# --------------------------------------------------------------------------- another build


def _build_again(stem: str, folders: Sequence[Path], faults: Sequence[Planted], work: Path) -> Path:
    """The compiled model in `work`, with what the compiler leaves beside it."""
    folder = next((one for one in folders if (one / f"{stem}{RECIPE}").is_file()), folders[0])
    recipe = read_recipe(folder / f"{stem}{RECIPE}")
    for name in (f"{stem}.mlir", f"{stem}_top_f32_all_weight.npz", f"{stem}{TABLE}"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, work / name)
        elif not (name.endswith(TABLE) and recipe.quantize != "INT8"):
            raise InputError(f"{folder / name}: not there, and the model is built from it", "build the model again")
    for fault in faults:
        if fault.kind.startswith("built_"):
            recipe = MISTAKES[fault.kind](stem, recipe, fault, work)
    deploy(stem, recipe, work)
    return work / f"{stem}{suffix_of(recipe.soc)}"


def _calibration(stem: str, recipe: Recipe, fault: Planted, work: Path) -> Recipe:
    """The layer's threshold and those behind it that are the same one: a pool hands its own back to its producer."""
    path = work / f"{stem}{TABLE}"
    if recipe.quantize != "INT8":
        raise UserError(f"fault {fault.kind}: the model is {recipe.quantize}, which has no calibration table")
    lines = path.read_text("utf-8").splitlines()
    rows = [line.rsplit(None, 3) if not line.startswith("#") else [] for line in lines]
    at = next((i for i, row in enumerate(rows) if len(row) == 4 and row[0] == fault.target), None)
    if at is None:
        _refuse_layer(fault, [row[0] for row in rows if len(row) == 4])
    by, threshold = fault.args.get("by", 0.5), rows[at or 0][1]
    for i in range(at or 0, len(rows)):
        if len(rows[i]) != 4 or rows[i][1] != threshold:
            break
        lines[i] = " ".join([rows[i][0], *(f"{float(cell) * by:.7f}" for cell in rows[i][1:])])
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return recipe


def _layer_type(mode: str) -> Callable[[str, Recipe, Planted, Path], Recipe]:
    def mistake(stem: str, recipe: Recipe, fault: Planted, work: Path) -> Recipe:
        text = (work / f"{stem}.mlir").read_text("utf-8")
        names = re.findall(r'^#loc\w* = loc\("(.*)"\)', text, re.MULTILINE)
        if fault.target not in names:
            _refuse_layer(fault, names)
        return replace(recipe, layer_types=(*recipe.layer_types, f"{fault.target} {mode}"))

    return mistake


def _refuse_layer(fault: Planted, names: Sequence[str]) -> None:
    near = get_close_matches(fault.target, names, n=3) or list(names)[:5]
    raise UserError(f"fault {fault.kind}@{fault.target}: no such layer", f"layers: {', '.join(near)}")


def _figures(key: str, change: Callable[[float, float], float], usual: float) -> Callable[..., Recipe]:
    """Another mean or scale in the float model's own record of its pixels."""

    def mistake(stem: str, recipe: Recipe, fault: Planted, work: Path) -> Recipe:
        _refuse_floats(recipe, fault)
        path = work / f"{stem}.mlir"
        by = fault.args.get("by", usual)

        def other(match: re.Match[str]) -> str:
            return match[1] + ", ".join(f"{change(float(cell), by):e}" for cell in match[2].split(",")) + match[3]

        path.write_text(re.sub(_FIGURES.format(key=key), other, path.read_text("utf-8"), count=1), "utf-8")
        return recipe

    return mistake


def _bgr(stem: str, recipe: Recipe, fault: Planted, work: Path) -> Recipe:
    """The picture comes in the network's own order, and the compiled model turns it round."""
    _refuse_floats(recipe, fault)
    order = re.search(r'pixel_format = "(rgb|bgr)"', (work / f"{stem}.mlir").read_text("utf-8"))
    if order is None:
        raise UserError(f"fault {fault.kind}: the model's pictures have one channel", "it needs three")
    return replace(recipe, pixel_order={"rgb": "BGR_PLANAR", "bgr": "RGB_PLANAR"}[order[1]])


def _refuse_floats(recipe: Recipe, fault: Planted) -> None:
    if not recipe.pixels:
        raise UserError(
            f"fault {fault.kind}: the model takes normalised floats, no pixels",
            "build it with --mean and --scale, which are then compiled in",
        )


MISTAKES: dict[str, Callable[[str, Recipe, Planted, Path], Recipe]] = {
    "built_calibration": _calibration,
    "built_bf16": _layer_type("BF16"),
    "built_int4": _layer_type("INT4"),
    "built_mean": _figures("mean", lambda value, by: value + by, 40.0),
    "built_scale": _figures("scale", lambda value, by: value * by, 0.5),
    "built_bgr": _bgr,
}
