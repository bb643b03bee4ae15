"""Does the order of the table of `harness explore` agree with what the emulated board then measures?

Each of 20 configurations of two networks (a small MotionBERT-shaped transformer, a MobileNet shape) is exported as
config by `harness explore`, built by `harness emulator build --config`, and run by `harness run` on an emulated board;
the error is that of the outputs which the board wrote, against the float model's own. The figure of `harness explore`
comes from the quantized graph on this PC and never from a build or a run.

- spearman: rank correlation of the two, the lower of both networks; spearman_NETWORK: of each.
- configurations: how many were built and run, of the network with fewer; those that give the same model count once.
- minutes: by the clock, all of it. rss_mb: most resident memory of this process and of `harness explore` in it.

    python -m benchmarks.explore [--json] [--count 20] [--networks motionbert mobilenet]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.precision_parts.agreement import LEAST, agreement
from benchmarks.precision_parts.networks import NETWORKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--count", type=int, default=20, help="configurations of each network")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    given = parser.parse_args()
    began_s = time.monotonic()
    by_network = {}
    with tempfile.TemporaryDirectory(prefix="harness-explore-") as name:
        for network in given.networks:
            folder = Path(name) / network
            folder.mkdir()
            by_network[network] = agreement(NETWORKS[network](folder), folder, given.count)
            for pair in by_network[network].pairs:
                print(f"{network:<12}{pair.name:<40}{pair.explored_db:9.3f}{pair.board_db:9.3f} dB")
            print(f"{network:<12}spearman {by_network[network].spearman:.4f}", flush=True)
    figures = {
        "spearman": round(min(one.spearman for one in by_network.values()), 4),
        "configurations": min(len(one.pairs) for one in by_network.values()),
        "minutes": round((time.monotonic() - began_s) / 60, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }
    for network, one in by_network.items():
        figures[f"spearman_{network}"] = round(one.spearman, 4)
    for key, value in figures.items():
        print(f"{key:<24}{value:g}")
    if given.json:
        print(json.dumps(figures))
    sys.exit(0 if figures["spearman"] >= LEAST else 1)


if __name__ == "__main__":
    main()
