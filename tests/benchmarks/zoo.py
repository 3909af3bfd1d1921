"""Our networks beside other libraries' of the same function: speed in eager mode, and counting.

python tests/benchmarks/zoo.py --replicates 5 --networks efficientnet_b0,resnet50
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median

from comparison import (
    library_table,
    log_ratios,
    milliseconds,
    network_table,
    notable,
    verdicts,
)
from counted import counting
from report import ROOT, Document, Row, child, save_page, table

NETWORKS = (
    *("efficientnet_b0", "efficientnet_lite0", "efficientnet_v2_b0"),
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *("mnasnet_a1", "mnasnet_b1"),
    *("shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0", "shufflenet_v2_x1_0_torchvision"),
    *("resnet18", "resnet50"),
)
BATCHES = (1, 8)
REPLICATES = 5
# By default glibc hands large blocks back to the system on every call and has them zeroed again:
# at batch 8 that was a quarter of the time, and most of the difference between processes.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
COUNTED_TOO = ("efficientnet_b4", "efficientnet_b7")


def replicates(networks: Sequence[str], count: int) -> list[Document]:
    found = []
    for number in range(count):
        settings = {"networks": list(networks), "batches": list(BATCHES), "seed": number}
        document = child("interleave.py", json.dumps(settings), variables=KEEP_FREED_MEMORY)
        found.append(document)
        print(f"replicate {number + 1}/{count}: {document['seconds']:.0f} s", file=sys.stderr)
    return found


def speed(networks: Sequence[str], count: int) -> list[str]:
    """The report's lines on speed."""
    documents = replicates(networks, count)
    logs, base = log_ratios(documents), milliseconds(documents)
    if not logs:
        return ["## Speed", "", *documents[0]["skipped"]]
    lines = [
        "## Speed: ours / theirs, below 1 ours is faster",
        "",
        "Eager, fp32, one pinned thread and its processor time, the variant's own resolution. "
        f"{count} fresh processes; in each, blocks of at least 50 ms of all implementations in "
        "turn (Latin squares), the same weights where shapes allow, the allocator told to keep "
        "freed memory. A process's value is the median over rounds of the log ratio; in brackets "
        "Student's 95 % interval over processes. `ours again` is a second instance of ours: what "
        "it is off 1 is noise.",
        "",
        *table(library_table(logs)),
        "",
        "Aim: a geometric mean of at most 1.00, its interval's upper end at most 1.02.",
        "",
        *verdicts(logs),
    ]
    for batch in BATCHES:
        lines += ["", f"### Batch {batch}", "", *table(network_table(logs, base, batch))]
    lines += ["", "Slower than a reference by over 5 %, interval and all:", ""]
    lines += notable(logs) or ["- none"]
    return [*lines, "", *remarks(documents), "", *launches(networks)]


def remarks(documents: Sequence[Document]) -> list[str]:
    """What was compared with what, what could not be, and how quiet the machine was."""
    weights: dict[str, list[str]] = {}
    for cell in documents[0]["cells"]:
        for label, kind in cell["weights"].items():
            weights.setdefault(kind, []).append(f"{cell['network']} ({label})")
    shares = [document["cpu_share"] for document in documents]
    switches = [document["involuntary_switches"] for document in documents]
    return [
        *(
            f"- {kind}: {', '.join(sorted(set(names)))}"
            for kind, names in weights.items()
            if kind != "same function"
        ),
        *(f"- skipped: {reason}" for reason in documents[0]["skipped"]),
        f"- The processes had a core for {min(shares):.1%} to {max(shares):.1%} of their time and "
        f"were switched off it {median(switches):.0f} times (median).",
    ]


def launches(networks: Sequence[str]) -> list[str]:
    """How many operators each implementation executes, by our walk of all of them."""
    document = child("launches.py", *networks)["launches"]
    labels = list(dict.fromkeys(label for found in document.values() for label in found))
    rows: list[Row] = [("launches", *labels)]
    for name, found in document.items():
        rows.append((name, *(str(found.get(label, "")) for label in labels)))
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(NETWORKS))
    parser.add_argument("--part", choices=("speed", "counting", "both"), default="both")
    chosen = parser.parse_args()
    known = {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}
    networks = [name for name in chosen.networks if name in known]
    unknown = [name for name in chosen.networks if name not in known]
    lines = [f"Not in conf/model: {', '.join(unknown)}.", ""] if unknown else []
    if chosen.part != "counting":
        lines += [*speed(networks, chosen.replicates), ""]
    if chosen.part != "speed":
        lines += counting([*networks, *COUNTED_TOO])
    save_page("zoo", "Our networks beside other libraries'", "make bench-zoo", lines)


if __name__ == "__main__":
    main()
