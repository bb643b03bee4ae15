"""Many samples in one session of an emulated board behind a real sshd on this PC, by the real command line.

- session_overhead: time from the first sample's preparation to the last one's judgement over the time of all starts of
  the board's tool. Preparing and judging go on while the board runs, so that this is near 1.
- rss_mb: most resident memory of harness after any batch; `rss_first_mb` and `rss_last_mb` say whether it is flat.
- wire_bytes_per_sample: everything that crosses the link after the run of one sample, by a proxy that counts, over the
  further samples: two runs, of 1 and of `--count` samples, both with the model on the board already.
- model_pushes, sessions: how often the model was sent and the board was connected to, of the whole run.

    python -m benchmarks.samples [--json] [--count 200]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.transfer import Proxy, counting_proxy
from harness.files.user_folders import cache_folder

ROOT = Path(__file__).resolve().parents[1]
BOARD_TOOLS = "boards/x5/bin"
MOST_OVERHEAD = 1.2
MOST_GROWTH_MB = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-samples-") as name:
        figures = measure(Path(name), given.count)
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:g}")
    if given.json:
        print(json.dumps(figures))
    good = figures["session_overhead"] <= MOST_OVERHEAD and figures["agreed"] == given.count
    flat = figures["rss_last_mb"] - figures["rss_first_mb"] <= MOST_GROWTH_MB
    raise SystemExit(0 if good and flat and figures["model_pushes"] == 1 else 1)


def measure(folder: Path, count: int) -> dict[str, float]:
    samples_of(folder, count)
    with served() as board, counting_proxy(int(board["port"])) as proxy:
        hosts_file(folder, board, proxy)
        run_samples(folder, "warm")
        proxy.count = 0
        run_samples(folder, "one")
        one = proxy.count
        proxy.count = 0
        record = run_samples(folder, "all")
        many = proxy.count
    samples, memory = record["samples"], record["samples"]["rss_mb"]
    return {
        "session_overhead": round(samples["session_s"] / samples["tool_s"], 3),
        "rss_mb": max(memory),
        "rss_first_mb": memory[0],
        "rss_last_mb": memory[-1],
        "wire_bytes_per_sample": round((many - one) / max(1, count - 1)),
        "payload_bytes_per_sample": round((samples["sent_bytes"] + samples["pulled_bytes"]) / count),
        "samples": samples["total"],
        "agreed": sum(one["verdict"] in ("exact", "within") for one in samples["samples"]),
        "batches": samples["pushes"],
        "model_pushes": sum(pushed["name"] == "digits_x5.bin" for pushed in record["pushed"]),
        "tool_s": samples["tool_s"],
        "session_s": samples["session_s"],
    }


def samples_of(folder: Path, count: int) -> None:
    """The digits example, built, and its test set as a file for each sample."""
    models = folder / "models"
    subprocess.run([sys.executable, ROOT / "scripts/build_examples.py", models], check=True, capture_output=True)
    argv = ["emulator", "build", "digits.onnx", "--soc", "x5", "--calibration", "digits_calibration"]
    harness(*argv, "-o", "digits_x5.bin", cwd=models)
    images = np.load(models / "digits_test.npz")["image"]
    for name, places in (("warm", [-1]), ("one", [-2]), ("all", range(count))):  # none twice: the board keeps inputs
        (folder / name).mkdir()
        for place in places:
            np.save(folder / name / f"d{place}.npy", images[place % len(images)])


@contextmanager
def served() -> Iterator[dict[str, Any]]:
    argv = [sys.executable, "-m", "harness", "emulator", "serve", "emu-x5", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            text += server.stdout.readline()
        try:
            yield json.loads(text)
        finally:
            server.terminate()


def hosts_file(folder: Path, board: dict[str, Any], proxy: Proxy) -> None:
    known = Path(board["known_hosts"]).read_text().replace(f":{board['port']} ", f":{proxy.port} ")
    (folder / "known_hosts").write_text(known)
    (folder / "hosts.yaml").write_text(
        f"boards:\n  x5:\n    platform: hbdnn\n    soc: x5\n    emulated: true\n    transport: ssh\n"
        f"    address: 127.0.0.1\n    port: {proxy.port}\n    user: {board['user']}\n"
        f"    identity: {board['identity']}\n"
        f"    known_hosts: {folder / 'known_hosts'}\n    work: work\n    tools: [{cache_folder() / BOARD_TOOLS}]\n"
    )


def run_samples(folder: Path, which: str) -> dict[str, Any]:
    models = folder / "models"
    argv = ["run", models / "digits_x5.bin", "--board", "x5", "--samples", folder / which, "--mode", "release"]
    argv += ["--reference", models / "digits_x5_quantized_model.onnx", "--float", models / "digits.onnx"]
    harness(*map(str, argv), "--hosts", str(folder / "hosts.yaml"), "--case", which, cwd=folder)
    (path,) = (folder / "runs" / which).glob("*/*/run.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def harness(*argv: str, cwd: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "harness", *argv], cwd=cwd, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"harness {' '.join(argv)}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")


if __name__ == "__main__":
    main()
