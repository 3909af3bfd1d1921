"""What the zoo's report says of counting: seconds and memory of ours, and of other counters."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from report import Document, Row, child, table

PROCESSES = 3
SECONDS, GIGABYTES = 10.0, 1.5  # limits of importing torch and counting the whole zoo
# Where others can follow in a minute or two; the giants are counted by ours alone.
LARGEST_MULTIPLY_ADDS = 6e9
OTHER_COUNTERS = ("fvcore", "ptflops")


def counting(networks: Sequence[str]) -> list[str]:
    """The report's lines on counting."""
    whole = [child("counters.py", "ours") for _ in range(PROCESSES)]
    totals = whole[0]["networks"]

    def row(name: str, values: Sequence[float], unit: str, limit: float | None = None) -> Row:
        aim = f"{limit:.1f} {unit}" if limit else ""
        return (name, f"{median(values):.2f} {unit}", f"{max(values):.2f} {unit}", aim)

    imports, counts = ([d[key] for d in whole] for key in ("import_seconds", "counting_seconds"))
    rows: list[Row] = [
        ("", "median", "worst", "limit"),
        row("import torch", imports, "s"),
        row("count", counts, "s"),
        row("together", [sum(pair) for pair in zip(imports, counts, strict=True)], "s", SECONDS),
        row("read conf/model, with Hydra", [d["configuration_seconds"] for d in whole], "s"),
        row("whole process", [d["seconds"] for d in whole], "s"),
        row("resident memory", [d["peak_bytes"] / 1e9 for d in whole], "GB", GIGABYTES),
    ]
    return [
        f"## Counting all {len(totals)} variants",
        "",
        "Parameters, multiply-adds, activations, launches and three ledgers of memory access, "
        f"in {PROCESSES} fresh processes; resident memory by the kernel's own mark.",
        "",
        *table(rows),
        "",
        *side_by_side([name for name in networks if name in totals], totals),
    ]


def side_by_side(networks: Sequence[str], totals: Document) -> list[str]:
    """Ours beside other counters, on the networks whose forward they can take."""
    taken = [n for n in networks if totals[n]["multiply_adds"] <= LARGEST_MULTIPLY_ADDS]
    left_out = [n for n in networks if n not in taken]
    counters = {name: child("counters.py", name, *taken) for name in ("ours", *OTHER_COUNTERS)}
    heads = [f"{name}, {what}" for name in counters for what in ("s", "M")]
    rows: list[Row] = [("network", *heads)]
    for network in taken:
        found = [document["networks"][network] for document in counters.values()]
        rows.append(
            (
                network,
                *(f"{x:.3f}" for f in found for x in (f["seconds"], f["multiply_adds"] / 1e6)),
            )
        )
    sums = [sum(f["seconds"] for f in d["networks"].values()) for d in counters.values()]
    rows.append(("sum", *(cell for total in sums for cell in (f"{total:.3f}", ""))))
    peaks = [d["peak_bytes"] / 1e9 for d in counters.values()]
    rows.append(("resident, GB", *(cell for peak in peaks for cell in (f"{peak:.2f}", ""))))
    return [
        "Seconds from a network's class to its total, and millions as each counter counts them: "
        "ours convolutions and linear layers, fvcore batch norms too, ptflops also biases, "
        "activations and poolings. Ours builds on `meta`, the others run a forward.",
        "",
        *table(rows),
        "",
        f"Left out above {LARGEST_MULTIPLY_ADDS / 1e9:.0f} G: {', '.join(left_out) or 'none'}.",
    ]
