"""What several replicates say of ours against the references: ratios, intervals, verdicts.

Pure: documents of interleave.py in, tables out. A ratio is ours / theirs, so below 1 ours is
faster. The process is the unit of replication: its value is the median over its rounds of the
log ratio, and an interval is Student's t over processes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any, NamedTuple

OURS = "ours"
CONTROL = "ours again"  # a second instance of ours: its ratio should be 1
LARGEST_RATIO = 1.00  # of a geometric mean
LARGEST_UPPER = 1.02  # end of its interval
NOTABLE = 1.05  # of one network

Row = tuple[str, ...]


class Ratio(NamedTuple):
    """ours / theirs with a 95 % interval, which one process alone does not give."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        interval = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


class Key(NamedTuple):
    network: str
    batch: int
    label: str  # the reference's library, or our second instance


def log_ratios(documents: Sequence[Mapping[str, Any]]) -> dict[Key, list[float]]:
    """One value a process: the median over rounds of log(ours / theirs)."""
    found: dict[Key, list[float]] = defaultdict(list)
    for document in documents:
        for cell in document["cells"]:
            ours = cell["seconds"][OURS]
            for label, theirs in cell["seconds"].items():
                if label != OURS:
                    key = Key(cell["network"], cell["batch"], label)
                    rounds = zip(ours, theirs, strict=True)
                    found[key].append(median(math.log(mine / other) for mine, other in rounds))
    return dict(found)


def milliseconds(documents: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], float]:
    """Median over processes of ours, to tell what the ratios are of."""
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for document in documents:
        for cell in document["cells"]:
            key = cell["network"], cell["batch"]
            found[key].append(1e3 * median(cell["seconds"][OURS]))
    return {key: median(values) for key, values in found.items()}


def ratio(logs: Sequence[float]) -> Ratio:
    """The geometric mean over processes and Student's 95 % interval of it."""
    from scipy.stats import t

    centre = fmean(logs)
    if len(logs) < 2:
        return Ratio(math.exp(centre))
    half = float(t.ppf(0.975, len(logs) - 1)) * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def geometric_mean(logs: Iterable[Sequence[float]]) -> Ratio:
    """Over networks within each process first, so that what a process does to all stays in."""
    return ratio([fmean(process) for process in zip(*logs, strict=True)])


def labels_of(logs: Mapping[Key, Sequence[float]]) -> list[str]:
    """The references' libraries, in order of the networks they have; the control last."""
    counts: dict[str, int] = defaultdict(int)
    for key in logs:
        counts[key.label] += 1
    return sorted(counts, key=lambda label: (label == CONTROL, -counts[label], label))


def network_table(
    logs: Mapping[Key, Sequence[float]], base: Mapping[tuple[str, int], float], batch: int
) -> list[Row]:
    """A row a network: ours in milliseconds, the ratio to each library, and to the fastest."""
    labels = labels_of(logs)
    rows: list[Row] = [("network", "ours, ms", *labels, "fastest reference")]
    for name in sorted({key.network for key in logs if key.batch == batch}):
        found = {
            key.label: ratio(values)
            for key, values in logs.items()
            if key.network == name and key.batch == batch
        }
        rivals = {label: value for label, value in found.items() if label != CONTROL}
        fastest = max(rivals, key=lambda label: rivals[label].value)
        cells = (str(found[label]) if label in found else "" for label in labels)
        rows.append((name, f"{base[name, batch]:.2f}", *cells, fastest))
    return rows


def library_table(logs: Mapping[Key, Sequence[float]]) -> list[Row]:
    """Geometric means over networks, for each batch size and over all of them."""
    batches = sorted({key.batch for key in logs})
    heads = [f"batch {batch}" for batch in batches] + ["together"]
    rows: list[Row] = [("library", "networks", *heads)]
    for label in labels_of(logs):
        networks = {key.network for key in logs if key.label == label}
        means = (
            geometric_mean(
                values for key, values in logs.items() if key.label == label and key.batch in group
            )
            for group in (*((batch,) for batch in batches), batches)
        )
        rows.append((label, str(len(networks)), *map(str, means)))
    return rows


def verdicts(logs: Mapping[Key, Sequence[float]]) -> list[str]:
    """One line a library, over all batch sizes; the control is no library."""
    lines = []
    for label in labels_of(logs):
        if label == CONTROL:
            continue
        found = geometric_mean(values for key, values in logs.items() if key.label == label)
        met = found.value <= LARGEST_RATIO and found.high <= LARGEST_UPPER
        lines.append(f"- {label}: {found}, {'met' if met else 'NOT met'}")
    return lines


def notable(logs: Mapping[Key, Sequence[float]]) -> list[str]:
    """The networks that are slower than a reference by more than their interval can explain."""
    found = [(key, ratio(values)) for key, values in logs.items() if key.label != CONTROL]
    slower = [(key, value) for key, value in found if value.low > NOTABLE]
    return [
        f"- {key.network}, batch {key.batch}, against {key.label}: {value}"
        for key, value in sorted(slower, key=lambda item: -item[1].value)
    ]
