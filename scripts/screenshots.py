"""Screenshots of example reports for docs/images: python scripts/screenshots.py [FOLDER] [--only NAME] [--work DIR]

Each is a real run on an emulated board, made by the commands that stand here, opened in Chromium at 1280 px. Beside the
first screens there is one page in dark, one on a phone's width, and the printed first page. `--work` keeps the runs, so
that a second call only takes the pictures.
"""

from __future__ import annotations

import argparse
import io
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
COLOURS = 64  # of the palette: text and flat areas, a tenth of the bytes of 24 bits
MODELS = (
    "emulator build models/digits.onnx --soc x5 --calibration models/digits_calibration -o digits.bin",
    "emulator build models/mobilenet.onnx --soc x5 --input-type nv12 --scale 0.00392157 "
    "--calibration models/mobilenet_calibration -o mobilenet.bin",
    "emulator build models/motionbert.onnx --soc x5 --calibration models/motionbert_calibration -o motionbert.bin",
)
DIGITS = "run digits.bin --board emu-x5 --input models/digits_input.bin --reference digits_quantized_model.onnx"
MOBILENET = "run mobilenet.bin --board emu-x5 --input models/photo_224.nv12"


@dataclass(frozen=True)
class Shot:
    """A report, the command that makes its run, the exit code that it ends with, and what is taken of it."""

    name: str
    command: str
    exit_code: int = 0
    at: str = ""  # the section that is shown; "" the first screen
    width: int = 1280
    height: int = 900
    dark: bool = False
    lang: str = "en"


SHOTS = (
    Shot("consistent", MOBILENET),
    Shot("diverging", f"{MOBILENET} --fault halved@block4_1_expand", 1),
    Shot("diverging-zh", f"{MOBILENET} --fault halved@block4_1_expand", 1, lang="zh"),
    Shot("origin", f"{MOBILENET} --fault halved@block4_1_expand", 1, at="origin"),
    Shot("graph", f"{MOBILENET} --fault halved@block4_1_expand", 1, at="graph"),
    Shot("dark", f"{DIGITS} --fault dead_channel@conv2", 1, dark=True),
    Shot("narrow", f"{DIGITS} --fault dead_channel@conv2", 1, width=390, height=844),
    Shot("time", "run motionbert.bin --board emu-x5 --no-stages --mode profile", at="time"),
    Shot("sweep", "sweep digits.bin --board emu-x5 --threads 1,2,4", at="sweep"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--only", action="append", choices=[shot.name for shot in SHOTS], help="this one; repeatable")
    parser.add_argument("--work", type=Path, help="keep models and runs in this folder")
    given = parser.parse_args()
    wanted = [shot for shot in SHOTS if not given.only or shot.name in given.only]
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="harness-screenshots-") as scratch:
        work = given.work or Path(scratch)
        pages = _pages(work, wanted)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for shot in wanted:
                _take(browser, shot, pages[shot.name], given.folder / f"{shot.name}.png")
            browser.close()
    return 0


def _pages(work: Path, wanted: list[Shot]) -> dict[str, Path]:
    """The page of every shot; what lies in `work` from an earlier call is not run again."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "motionbert.bin").is_file():
        subprocess.run([sys.executable, str(ROOT / "scripts/build_examples.py"), "models"], cwd=work, check=True)
        for line in MODELS:
            _harness(work, line)
    runs: dict[str, Path] = {}
    for shot in wanted:
        if shot.command not in runs:
            runs[shot.command] = _run(work, f"runs-{shot.name}", shot)
    return {shot.name: _page(runs[shot.command], shot) for shot in wanted}


def _run(work: Path, runs: str, shot: Shot) -> Path:
    if not (work / runs).is_dir():
        _harness(work, f"{shot.command} --runs {runs}", shot.exit_code)
    return next((work / runs).rglob("run.json")).parent


def _page(run: Path, shot: Shot) -> Path:
    page = run / f"page-{shot.lang}.html"
    _harness(run, f"report {shlex.quote(str(run))} --lang {shot.lang} -o {shlex.quote(str(page))}")
    return page


def _harness(folder: Path, line: str, expected: int = 0) -> None:
    argv = [sys.executable, "-m", "harness", *shlex.split(line)]
    code = subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL).returncode
    if code != expected:
        sys.exit(f"harness {line}: ended with {code}, {expected} was expected")


def _take(browser: Browser, shot: Shot, page: Path, target: Path) -> None:
    context = browser.new_context(
        offline=True,
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.dark else "light",
    )
    opened = context.new_page()
    opened.goto(page.as_uri() + (f"#{shot.at}" if shot.at else ""))
    opened.wait_for_timeout(300)
    picture = Image.open(io.BytesIO(opened.screenshot()))
    context.close()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
