"""Our runtimes beside hand-written scripts for them, in turn in the same processes.

python tests/benchmarks/runtimes.py --replicates 5 --networks mobilenet_v2 --runtimes onnxruntime
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from math import exp
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from report import ROOT, Document, Row, child, save_page, table
from runtimes_page import agreement_lines, pair_lines, ranking_lines

from benchbench.metrics import show
from benchbench.statistics.verdicts import paired

NETWORKS = (
    *("efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large"),
    *("mnasnet_a1", "shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0", "resnet50"),
)
RUNTIMES = ("onnxruntime", "openvino")
REPLICATES = 5
WORST = 1.02


def replicates(network: str, runtimes: Sequence[str], count: int) -> list[Document]:
    """One document a process; what is exported and compiled is shared by all of them."""
    found = []
    with TemporaryDirectory() as folder:
        for number in range(count):
            settings = {"network": network, "runtimes": list(runtimes), "seed": number}
            found.append(child("by_hand.py", json.dumps(settings | {"folder": folder})))
            print(f"{network} {number + 1}/{count}: {found[-1]['seconds']:.0f} s", file=sys.stderr)
    return found


def row(network: str, runtime: str, documents: Sequence[Document], *, best: bool) -> Row:
    """One runtime of a network: both latencies, their ratio and its 99 % interval."""
    both = [exp(fmean(_logs(documents, runtime, side))) for side in ("ours", "by_hand")]
    verdict = paired([document[runtime]["log_ratio"] for document in documents], theta=WORST - 1)
    shown = [show("latency", seconds) for seconds in both]
    interval = "" if verdict.low is None else f"{verdict.low:.3f} to {verdict.high:.3f}"
    return (
        network,
        runtime + (" (best)" if best else ""),
        *shown,
        f"{verdict.ratio:.3f}",
        interval,
    )


def _logs(documents: Sequence[Document], runtime: str, side: str) -> list[float]:
    from math import log

    return [log(document[runtime][side]) for document in documents]


def _committed() -> Iterator[str]:
    """What task=rank and task=agreement found on the machine whose results are committed."""
    folder = ROOT / "results" / "reference" / "xeon_2_cores"
    title = "Eight networks in four runtimes (task=rank)"
    if (folder / "runtimes.json").exists():
        yield from ranking_lines(folder / "runtimes.json", title)
    if (folder / "int8.json").exists():
        yield from ranking_lines(folder / "int8.json", "What int8 brings (task=rank)")
        pairs = [
            (f"{network} {runtime} fp32", f"{network} {runtime} int8")
            for network in ("efficientnet_lite0", "efficientnet_b0")
            for runtime in ("onnxruntime", "openvino")
        ]
        yield from pair_lines(folder / "int8.json", pairs)
    agreements = sorted(folder.glob("agreement_*.json"))
    if agreements:
        yield from agreement_lines(agreements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--runtimes", default=",".join(RUNTIMES))
    options = parser.parse_args()
    runtimes = options.runtimes.split(",")
    rows: list[Row] = [("network", "runtime", "ours", "by hand", "ours / by hand", "99 % interval")]
    worst = 0.0
    for network in options.networks.split(","):
        documents = replicates(network, runtimes, options.replicates)
        best = min(runtimes, key=lambda runtime: fmean(_logs(documents, runtime, "ours")))
        rows += [row(network, name, documents, best=name == best) for name in runtimes]
        worst = max(worst, exp(fmean(document[best]["log_ratio"] for document in documents)))
    command = f"make bench-runtimes ARGS='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else ""
    save_page(
        Path(__file__).stem,
        "Our runtimes beside hand-written scripts",
        command or "make bench-runtimes",
        [
            "fp32, batch 1, one pinned thread, the variant's own resolution. Both take turns in "
            f"blocks of 5 ms on ever new sessions, in {options.replicates} fresh processes. The "
            "hand-written scripts are those of tests/benchmarks/by_hand.py.",
            "",
            *table(rows),
            "",
            f"The best runtime of each network, ours / by hand: at most {worst:.3f} "
            f"(aim: {WORST}).",
            *_committed(),
        ],
    )


if __name__ == "__main__":
    main()
