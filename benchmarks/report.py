"""How long a report takes to write and to open, and how long it is: pages of a real run with any number of ops.

    python -m benchmarks.report [--json]

The runs are that of `tests/data/runs_0_1/x5_complete` with as many layers and timed ops as asked, named as a
detector's are; all are exact. Chromium opens the file with the network off. JSON keys:

    render_s        5,000 ops, tables and page, the median of three
    render_cpu_s    the CPU of it: a busy PC does not make it longer
    bytes_300, bytes_5000
    ready_s         5,000 ops, from opening the file to the end of its script, the median of three
    screens_69      height of the page of 69 layers as first shown, in windows of 1280 x 900
    print_pages_69  its pages on A4 portrait
    plotly_bytes_5000  a page of the same layers and times by plotly that opens with the network off: both tables and
                    a bar for each op, and neither the network nor what a reader is told; null where plotly cannot be
                    set up
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.parts import peers
from harness.records import Graph, Layer, Op, OpTime, Profile, Run
from harness.report.page import render
from harness.report.tables.run import tables
from harness.runs.folder import load_run

RUN = Path(__file__).resolve().parents[1] / "tests/data/runs_0_1/x5_complete"
CHROMIUM = Path("/usr/bin/chromium")
GOALS = {
    "render_s": 3.0,
    "bytes_300": 300_000,
    "bytes_5000": 2_000_000,
    "ready_s": 1.0,
    "screens_69": 6.0,
    "print_pages_69": 8,
}
ROUNDS = 3
PARTS = ("cv1/Conv", "cv1/act/Mul", "cv2/Conv", "add/Add", "cat/Concat", "pool/MaxPool")


def run_of(count: int) -> Run:
    """A complete run with `count` exact layers and `count` timed ops."""
    run = load_run(RUN)
    assert run.profile is not None and run.comparison is not None
    layers = tuple(_layer(run.comparison.layers[1 + n % 4], n, count) for n in range(count))
    covered = replace(run.comparison.coverage, layers_compared=count, layers_total=count)
    comparison = replace(run.comparison, layers=layers, coverage=covered)
    return replace(run, profile=_profile(run.profile, count), comparison=comparison, graph=_graph(layers))


def _graph(layers: tuple[Layer, ...]) -> Graph:
    """A chain of modules with a skip in each, and one over four of them."""
    names = ["images", *(layer.name for layer in layers)]
    skips = {4: 3, 5: 24}  # place in a module -> how many ops back a second input was made
    ops = tuple(
        Op(layer.op, layer.op_kind, tuple(names[max(0, n - back)] for back in (0, skips.get(n % 6, 0))), (layer.name,))
        for n, layer in enumerate(layers)
    )
    return Graph(ops, ("images",), (names[-1],), "network.onnx")


def _name(place: int) -> str:
    return f"/model.{place // len(PARTS)}/{PARTS[place % len(PARTS)]}"


def _layer(like: Layer, place: int, count: int) -> Layer:
    name, kind = _name(place), PARTS[place % len(PARTS)].rpartition("/")[2]
    is_last = place == count - 1
    return replace(like, index=place, name=f"{name}_output_0", op=name, op_kind=kind, is_output=is_last)


def _profile(profile: Profile, count: int) -> Profile:
    """Times of a long tail, as networks have: the op at place n takes 900 / (n + 3) us."""
    units = ("BPU", "BPU", "BPU", "CPU")
    ops = tuple(
        OpTime(_name(n), PARTS[n % len(PARTS)].rpartition("/")[2], units[n % 4], "compute", 900 / (n + 3), None, None)
        for n in range(count)
    )
    return replace(profile, ops=ops)


def rendered(count: int) -> tuple[float, float, str]:
    """Median seconds of ROUNDS by the clock and of CPU, and the page."""
    run, page = run_of(count), ""
    durations_s, cpu_s = [], []
    for _ in range(ROUNDS):
        began, cpu_began = time.perf_counter(), time.process_time()
        page = render(run)
        durations_s.append(time.perf_counter() - began)
        cpu_s.append(time.process_time() - cpu_began)
    return statistics.median(durations_s), statistics.median(cpu_s), page


def opened(pages: dict[int, str], folder: Path) -> dict[str, float]:
    """What Chromium says of the pages of 69 and of 5,000 ops."""
    from playwright.sync_api import sync_playwright

    files = {count: folder / f"{count}.html" for count in pages}
    for count, file in files.items():
        file.write_text(pages[count], encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
        figures = {
            "ready_s": statistics.median(_ready_s(context, files[5000]) for _ in range(ROUNDS)),
            **_size(context, files[69]),
        }
        browser.close()
    return figures


def _ready_s(context: Any, file: Path) -> float:
    page = context.new_page()
    page.goto(file.as_uri())
    ready_ms = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    page.close()
    return float(ready_ms) / 1e3


def _size(context: Any, file: Path) -> dict[str, float]:
    page = context.new_page()
    page.goto(file.as_uri())
    height_px = page.evaluate("document.documentElement.scrollHeight")
    pdf = page.pdf(format="A4", prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    assert boxes and all(float(width) < float(height) for width, height in boxes), "not printed in portrait"
    return {"screens_69": round(height_px / 900, 2), "print_pages_69": len(re.findall(rb"/Type\s*/Page\b", pdf))}


# Run by the interpreter of plotly's own environment: columns of the tables from stdin, the page to stdout.
PLOTLY_PAGE = """
import json, sys
import plotly.graph_objects as go
from plotly.subplots import make_subplots

layers, ops = json.load(sys.stdin)
figure = make_subplots(rows=3, cols=1, specs=[[{"type": "table"}], [{"type": "table"}], [{"type": "bar"}]])
for row, columns in ((1, layers), (2, ops)):
    figure.add_trace(go.Table(header={"values": list(columns)}, cells={"values": list(columns.values())}), row, 1)
figure.add_trace(go.Bar(x=ops["name"], y=ops["mean_us"]), 3, 1)
sys.stdout.write(figure.to_html(include_plotlyjs=True))
"""
LAYER_COLUMNS = ("name", "op_kind", "unit", "dtype", "shape", "standing", "max_step", "relative_l2", "md5")
OP_COLUMNS = ("name", "kind", "unit", "mean_us", "share")


def plotly_bytes(count: int) -> int | None:
    """Size of plotly's page of as many layers and ops; None, and said, where there is no plotly."""
    data = tables(run_of(count))
    columns = [
        {name: [row[name] for row in rows] for name in names}
        for rows, names in ((data["layers"], LAYER_COLUMNS), (data["time"]["ops"], OP_COLUMNS))
    ]
    try:
        python = peers.python_of(peers.environment(peers.PLOTLY))
    except peers.NoPeer as error:
        print(error, file=sys.stderr)
        return None
    argv = [str(python), "-c", PLOTLY_PAGE]
    page = subprocess.run(argv, input=json.dumps(columns).encode(), stdout=subprocess.PIPE, check=True)
    return len(page.stdout)


def main() -> None:
    (*_, small), (*_, middle), (render_s, cpu_s, large) = (rendered(count) for count in (69, 300, 5000))
    with tempfile.TemporaryDirectory() as folder:
        seen = opened({69: small, 5000: large}, Path(folder))
    sizes = {"bytes_300": len(middle.encode()), "bytes_5000": len(large.encode())}
    figures = {"render_s": render_s, **sizes, **seen}
    print(f"{'figure':16}{'measured':>12}{'goal':>12}")
    for key, goal in GOALS.items():
        print(f"{key:16}{figures[key]:12.10g}{goal:12.10g}{'' if figures[key] <= goal else '  missed'}")
    print(f"{'of CPU, render':16}{cpu_s:12.3g}")
    peer_bytes = plotly_bytes(5000)
    print(f"{'plotly, 5000':16}{'not set up' if peer_bytes is None else peer_bytes:>12}")
    if "--json" in sys.argv:
        print(json.dumps({**figures, "render_cpu_s": cpu_s, "plotly_bytes_5000": peer_bytes}))


if __name__ == "__main__":
    main()
