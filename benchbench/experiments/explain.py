"""What explains latency: how well each count tells which network is slower, and by how much.

More networks than can take turns at once are measured in sets, and one of them, the anchor, is in
every set: a latency is compared with others' through its ratio to the anchor of its own set,
process by process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from statistics import fmean, median
from typing import NamedTuple

from benchbench.cases import Case
from benchbench.config import ProfilerSettings
from benchbench.errors import NoEvidence
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.rounds import log_ratios
from benchbench.statistics.concordance import (
    Difference,
    Pair,
    Share,
    agreements,
    close_pairs,
    concordance,
    difference,
)
from benchbench.statistics.fits import (
    Collinearity,
    Form,
    LeftOut,
    collinearity,
    leave_groups_out,
    unfitted,
)
from benchbench.statistics.intervals import geometric_mean, mean_interval
from benchbench.statistics.ranking import Tau, kendall, spearman

PROFILERS = ProfilerSettings(complexity=True, latency=True, roofs=True)
SHARES = ProfilerSettings(complexity=True, operators=True)
ANCHOR = "mobilenet_v2"
FEWEST_NETWORKS = 3
SET_SIZE = 8  # networks of a set beside the anchor: what takes turns should do so often
RATIO = 1.2  # of multiply-adds, up to which two networks cost the same by them
LEVELS = (40e6, 140e6, 300e6, 500e6)  # multiply-adds, of ShuffleNetV2's Table 8
PROFILED = (  # for the shares of operators
    *("shufflenet_v2_x1_0", "mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1"),
    *("efficientnet_b0", "resnet50"),
)
BASELINES = ("multiply_adds", "activations")
PROBED = "predicted_latency"  # from the device's probes alone
PREDICTORS = (
    *("params", "multiply_adds", "multiply_adds_padded", "activations", "launches"),
    *("memory_access_paper", "memory_access_ops", "memory_access_fused", PROBED),
)
TOGETHER = (
    ("multiply_adds", "memory_access_fused"),
    ("multiply_adds", "launches"),
    ("multiply_adds_padded", "memory_access_fused", "launches"),
    ("multiply_adds_padded", "memory_access_ops", "launches"),
)


class Network(NamedTuple):
    """One network, with what its latency says when the anchor's is taken as 1."""

    record: Record
    family: str  # the module of its class
    level: str  # of multiply-adds
    logs: tuple[float, ...]  # of latency over the anchor's, of each process
    seconds: float  # times the anchor's latency of all sets

    @property
    def log(self) -> float:
        """The mean over processes."""
        return fmean(self.logs)


class Predictor(NamedTuple):
    """How well one count tells the order."""

    name: str
    share: Share | None  # of close pairs; None: there are none
    over_baseline: Difference | None  # less the share that multiply-adds order right
    spearman: float | None  # None: the same for all
    kendall: Tau | None


class Fit(NamedTuple):
    """How far off a fit is for what it has not seen; `form` is None where nothing is fitted."""

    predictors: tuple[str, ...]
    form: Form | None
    by_family: LeftOut | None  # None: too few networks to fit
    by_level: LeftOut | None


class Explained(NamedTuple):
    """All networks of one runtime in one precision."""

    label: str
    networks: tuple[Network, ...]  # the fewest multiply-adds first
    pairs: tuple[Pair, ...]  # close in multiply-adds, of different families
    decided: int  # of them: the clock is sure of their order
    predictors: tuple[Predictor, ...]
    missing: tuple[str, ...]  # predictors that not all networks have
    fits: tuple[Fit, ...]
    alike: Collinearity | None
    alike_names: tuple[str, ...]
    anchors: tuple[float, ...]  # seconds the anchor took in each set
    over_probed: float | None  # the median of measured over predicted by probes


class Explanation(NamedTuple):
    """`left_out` are networks too large to be timed here, with their multiply-adds."""

    ways: tuple[Explained, ...]
    left_out: Mapping[str, int]
    largest: float | None  # multiply-adds, above which they are


def in_sets(
    cases: Sequence[Case], multiply_adds: Sequence[float], left_out: Mapping[str, int]
) -> list[Case]:
    """The cases of one way in sets that take turns, each with the anchor.

    Networks of like cost share a set, so that most close pairs are measured side by side. The
    anchor is mobilenet_v2 or, without it, the network in the middle.
    """
    order = sorted(range(len(cases)), key=lambda index: multiply_adds[index])
    ordered = [cases[index] for index in order]
    anchor = next((case for case in ordered if case.name == ANCHOR), ordered[len(ordered) // 2])
    others = [case for case in ordered if case is not anchor]
    count = max(1, round(len(others) / SET_SIZE))
    bounds = [round(number * len(others) / count) for number in range(count + 1)]
    found = []
    for number, (begin, end) in enumerate(pairwise(bounds), start=1):
        turn = f"{anchor.runtime} {anchor.precision} {number}"
        known = {"anchor": True, "left_out": dict(left_out)}
        found.append(replace(anchor, turn=turn, axes=known))
        found += [replace(case, turn=turn, axes={"anchor": False}) for case in others[begin:end]]
    return found


def judge(records: Sequence[Record]) -> Explanation:
    """Explain the latencies of the records of one session.

    Raises:
        NoEvidence: they were not timed in sets with an anchor, or fewer than 3 were.
    """
    ways: dict[str, list[Record]] = {}
    for record in records:
        case = record.case
        ways.setdefault(f"{case.runtime} {case.precision}", []).append(record)
    left_out: dict[str, int] = {}
    for record in records:
        left_out |= record.case.axes.get("left_out", {})
    largest = records[0].settings.get("largest_multiply_adds") if records else None
    explained = tuple(_explained(label, found) for label, found in ways.items())
    if not explained:
        raise NoEvidence("no record: task=explain needs networks that took turns")
    return Explanation(explained, left_out, largest)


def _explained(label: str, records: Sequence[Record]) -> Explained:
    networks = tuple(_networks(label, records))
    if len(networks) < FEWEST_NETWORKS:
        fewest = f"{FEWEST_NETWORKS} are the fewest"
        raise NoEvidence(f"{label}: {len(networks)} networks were timed, and {fewest}")
    values = {name: _values(networks, name) for name in PREDICTORS}
    known = {name: found for name, found in values.items() if found is not None}
    pairs = close_pairs(known["multiply_adds"], [n.family for n in networks], RATIO)
    varying = {name: found for name, found in known.items() if len(set(found)) > 1}
    return Explained(
        label=label,
        networks=networks,
        pairs=tuple(pairs),
        decided=sum(_decided(networks[a], networks[b]) for a, b in pairs),
        predictors=tuple(_predictors(networks, pairs, known)),
        missing=tuple(name for name in PREDICTORS if name not in known),
        fits=tuple(_fits(networks, known)),
        alike=collinearity(list(varying.values())) if len(varying) > 1 else None,
        alike_names=tuple(varying),
        anchors=tuple(anchor.value or 0.0 for anchor in _anchors(records).values()),
        over_probed=_over_probed(networks, known.get(PROBED)),
    )


def _over_probed(networks: Sequence[Network], probed: Sequence[float] | None) -> float | None:
    if probed is None:
        return None
    return median(n.seconds / value for n, value in zip(networks, probed, strict=True))


def _anchors(records: Sequence[Record]) -> dict[str, Measurement]:
    """The anchor's latency in each set."""
    found = {r.case.turn: r.get("latency") for r in records if r.case.axes.get("anchor")}
    return {turn: latency for turn, latency in found.items() if latency and latency.samples}


def _networks(label: str, records: Sequence[Record]) -> Iterator[Network]:
    """Each network once; those that were not timed before Ctrl-C are left out."""
    anchors = _anchors(records)
    if not anchors:
        raise NoEvidence(f"{label}: no set of networks has an anchor that was timed")
    typical = geometric_mean([latency.value or 0.0 for latency in anchors.values()])
    seen: set[str] = set()
    for record in sorted(records, key=lambda record: record["multiply_adds"].value or 0):
        latency, anchor = record.get("latency"), anchors.get(record.case.turn)
        if latency is None or not latency.samples or anchor is None or record.case.name in seen:
            continue
        logs = tuple(log_ratios(latency, anchor))
        if logs:
            seen.add(record.case.name)
            yield Network(
                record,
                record.case.target.split(".")[-2],
                level(record["multiply_adds"].value or 0),
                logs,
                typical * exp(fmean(logs)),
            )


def level(multiply_adds: float) -> str:
    """The level of ShuffleNetV2's Table 8 that is nearest, as a ratio."""
    nearest = min(LEVELS, key=lambda one: abs(log(max(multiply_adds, 1) / one)))
    return f"{nearest / 1e6:g} M"


def _values(networks: Sequence[Network], name: str) -> list[float] | None:
    """A predictor of all networks; None where one has it not, or is 0, which has no log."""
    found = [network.record.get(name) for network in networks]
    values = [float(one.value) for one in found if one is not None and one.value]
    return values if len(values) == len(networks) else None


def _decided(one: Network, other: Network) -> bool:
    """Whether the 95 % interval of the ratio over processes leaves 1 out."""
    interval = mean_interval([a - b for a, b in zip(one.logs, other.logs, strict=False)])
    return interval is not None and not interval.low <= 0 <= interval.high


def _predictors(
    networks: Sequence[Network], pairs: Sequence[Pair], known: Mapping[str, Sequence[float]]
) -> Iterator[Predictor]:
    families = [network.family for network in networks]
    latencies = [network.log for network in networks]
    processes = min(len(network.logs) for network in networks)
    logs = [[network.logs[n] for network in networks] for n in range(processes)]
    baseline = agreements(known[BASELINES[0]], latencies, pairs)
    for name, values in known.items():
        scores = agreements(values, latencies, pairs)
        yield Predictor(
            name,
            concordance(scores, pairs, families),
            difference(scores, baseline, pairs, families) if name != BASELINES[0] else None,
            spearman(latencies, values),
            kendall(logs, values),
        )


def _fits(networks: Sequence[Network], known: Mapping[str, Sequence[float]]) -> Iterator[Fit]:
    seconds = [network.seconds for network in networks]
    families = [network.family for network in networks]
    levels = [network.level for network in networks]
    if PROBED in known:
        probed = (unfitted(known[PROBED], seconds, groups) for groups in (families, levels))
        yield Fit((PROBED,), None, *probed)
    for names in [*((name,) for name in known), *TOGETHER]:
        if not set(names) <= set(known):
            continue
        rows = list(zip(*(known[name] for name in names), strict=True))
        for form in Form:
            yield Fit(
                names,
                form,
                leave_groups_out(rows, seconds, families, form),
                leave_groups_out(rows, seconds, levels, form),
            )
