"""A ranking as tables, document and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.experiments.rank import Pair, Ranked, Ranking, Way
from benchbench.measurements import Measurement
from benchbench.metrics import METRICS, show
from benchbench.records import SCHEMA_VERSION
from benchbench.report.tables import closing_lines, describe, plain_table
from benchbench.statistics.ranking import Tau
from benchbench.statistics.verdicts import Verdict

SAME_FOR_ALL = "the same for all networks, or not counted"
MATRIX_LIMIT = 12  # networks: a wider matrix does not fit a terminal
LEGEND = "the row is > slower than the column, < faster, = the same; ? ambiguous\n"
SIGNS = {"FASTER": "<", "SLOWER": ">", "SAME": "=", "AMBIGUOUS": "?"}


def rank_tables(result: Ranking, source: str) -> list[RenderableType]:
    """The ranking, every pair, and what would have told the order without a clock."""
    first = result.entries[0].record
    count = len({entry.record.case.name for entry in result.entries})
    networks = "1 network" if count == 1 else f"{count} networks"
    ways = "" if len(result.ways) == 1 else f" in {len(result.ways)} ways"
    heading = f"{networks}{ways} on {first.case.device_name} ({first.device_name})"
    how = describe(first.case, network=False, way=len(result.ways) == 1)
    parts: list[RenderableType] = [
        Text.assemble((heading, "bold"), f"\n{how}"),
        _ranking(result),
    ]
    if len(result.ways) > 1:
        parts += [_crossed(result)]
    if result.between:
        parts += [_taus_between(result)]
    if 2 < len(result.entries) <= MATRIX_LIMIT:
        parts += [_matrix(result), Text(LEGEND)]
    if len(result.ways[0].entries) > 2:
        parts.append(_correlations(result.ways))
    parts.append(Text(_explanation(result, source)))
    names = {entry.record.id: entry.label for entry in result.entries}
    return [*parts, *closing_lines([entry.record for entry in result.entries], names)]


def _ranking(result: Ranking) -> Table:
    table = plain_table("ranking, the fastest first")
    for heading in ("rank", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("network", overflow="fold")
    for heading in ("latency", "95 % interval", "/ bound", "/ next faster", "99 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("verdict", "grade"):
        table.add_column(heading, no_wrap=True)
    verdicts = {(pair.first, pair.second): pair.verdict for pair in result.pairs}
    before = None
    for entry in result.entries:
        between = _between(entry.latency)
        name = entry.label
        verdict = None if before is None else verdicts[before, name]
        table.add_row(
            f"{entry.rank.rank:g}",
            ends(entry.rank.low, entry.rank.high, "g"),
            name,
            show("latency", entry.latency.value),
            between,
            "" if entry.bound is None else f"{entry.bound.ratio:.1f}",
            *(("", "", "") if verdict is None else _cells(verdict)),
            entry.record.quality.grade or "none",
        )
        before = name
    return table


def _cells(verdict: Verdict) -> tuple[str, str, str]:
    return f"{verdict.ratio:.3f}", ends(verdict.low, verdict.high, ".3f"), str(verdict.answer)


def _between(latency: Measurement) -> str:
    interval = latency.interval
    if interval is None:
        return ""
    return f"{show('latency', interval.low)} to {show('latency', interval.high)}"


def ends(low: float | None, high: float | None, spec: str) -> str:
    """Both ends of an interval; nothing where there is none."""
    return "" if low is None or high is None else f"{low:{spec}} to {high:{spec}}"


def _matrix(result: Ranking) -> Table:
    table = plain_table("every pair")
    table.add_column("", overflow="fold")
    names = [entry.label for entry in result.entries]
    signs: dict[tuple[str, str], str] = {}
    for pair in result.pairs:
        sign = SIGNS[str(pair.verdict.answer)]
        signs[pair.second, pair.first] = sign
        signs[pair.first, pair.second] = {"<": ">", ">": "<"}.get(sign, sign)
    for number in range(1, len(names) + 1):
        table.add_column(str(number), justify="center", no_wrap=True)
    for number, row in enumerate(names, start=1):
        cells = ("·" if row == column else signs[row, column] for column in names)
        table.add_row(f"{number} {row}", *cells)
    return table


def _crossed(result: Ranking) -> Table:
    """A row a network, a column a way: latency, its 95 % interval, and how often its bound."""
    table = plain_table("latency of each network in each way, 95 % interval, times its bound")
    table.add_column("network", overflow="fold")
    for way in result.ways:
        table.add_column(way.label, justify="right", no_wrap=True)
    for entries in zip(*(way.entries for way in result.ways), strict=True):
        cells = (_cell(entry) for entry in entries)
        table.add_row(entries[0].record.case.name, *cells)
    return table


def _cell(entry: Ranked) -> str:
    bound = "" if entry.bound is None else f"{entry.bound.ratio:.1f} x"
    parts = (show("latency", entry.latency.value), _between(entry.latency), bound)
    return "\n".join(filter(None, parts))


def _taus_between(result: Ranking) -> Table:
    table = plain_table("do two ways rank the networks alike? Kendall's tau")
    for heading in ("way", "and way"):
        table.add_column(heading)
    for heading in ("tau", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for between in result.between:
        table.add_row(between.first, between.second, *_tau_cells(between.tau))
    return table


def _tau_cells(tau: Tau | None) -> tuple[str, str]:
    if tau is None:
        return "none", SAME_FOR_ALL
    return f"{tau.value:+.2f}", ends(tau.low, tau.high, "+.2f")


def _correlations(ways: Sequence[Way]) -> Table:
    table = plain_table("Kendall's tau of latency with")
    table.add_column("what is counted")
    for way in ways:
        heading = "tau, 95 % interval" if len(ways) == 1 else way.label
        table.add_column(heading, justify="right", overflow="fold")
    for name in ways[0].correlations:
        found = [way.correlations[name] for way in ways]
        if not any(found):
            table.add_row(METRICS[name].label, SAME_FOR_ALL, *[""] * (len(ways) - 1))
        else:
            table.add_row(METRICS[name].label, *map(_tau_cell, found))
    return table


def _tau_cell(tau: Tau | None) -> str:
    value, interval = _tau_cells(tau)
    return "\n".join(filter(None, (value, "" if tau is None else interval)))


def _explanation(result: Ranking, source: str) -> str:
    seen = [p.verdict.detectable for p in result.pairs if p.verdict.detectable is not None]
    effects = ""
    if seen:
        effects = f"; a pair's true difference of {100 * max(seen):.1f} % would have been found"
    return (
        f"a difference counts from {100 * result.theta:.1f} % on ({source}){effects}\n"
        "ratios leave out the time for which the kernel gave the core to others; latencies do not\n"
        "bound: what the ideally fused kernels take at the measured roofs; "
        "int8 has no roof here\n"
        "tau is of these networks; its interval is about the measurement, not about other networks"
    )


def rank_document(result: Ranking, source: str) -> dict[str, Any]:
    """The document of a ranking."""
    first = result.entries[0].record
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "rank",
        "device": {
            "type": first.case.device,
            "index": first.case.device_index,
            "name": first.device_name,
        },
        "layout": first.case.layout,
        "cache": first.case.cache,
        "mode": first.case.mode,
        "batch_size": first.case.batch_size,
        "threads": first.case.threads,
        "ranking": rank_rows(result),
        "pairs": [_pair(pair) for pair in result.pairs],
        "ways": [_way(way) for way in result.ways],
        "kendall_tau_between": [
            {"first": between.first, "second": between.second} | _tau(between.tau)
            for between in result.between
        ],
        "theta": result.theta,
        "theta_from": source,
        "session": first.session,
        "environment": dict(first.environment),
        "command": first.command,
    }


def _way(way: Way) -> dict[str, Any]:
    case = way.entries[0].record.case
    return {
        "way": way.label,
        "runtime": case.runtime,
        "runtime_options": dict(case.runtime_options),
        "precision": case.precision,
        "kendall_tau": {name: _tau(tau) for name, tau in way.correlations.items()},
    }


def _tau(tau: Tau | None) -> dict[str, Any]:
    if tau is None:
        return {"value": None, "ci": None, "reason": SAME_FOR_ALL}
    return {"value": tau.value, "ci": None if tau.low is None else [tau.low, tau.high]}


def _pair(pair: Pair) -> dict[str, Any]:
    names = {"baseline": pair.first, "candidate": pair.second}
    return names | verdict_document(pair.verdict)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON types: candidate / baseline, its 99 % interval and what it could see."""
    interval = None if verdict.low is None else [verdict.low, verdict.high]
    return {
        "verdict": str(verdict.answer),
        "ratio": verdict.ratio,
        "ci": interval,
        "theta": verdict.theta,
        "detectable": verdict.detectable,
        "processes": verdict.processes,
    }


def rank_rows(result: Ranking) -> list[dict[str, Any]]:
    """One flat row a network, the fastest first."""
    rows = []
    for entry in result.entries:
        interval = entry.latency.interval
        rows.append(
            {
                "model": entry.record.case.name,
                "runtime": entry.record.case.runtime,
                "precision": entry.record.case.precision,
                "resolution": entry.record.case.resolution,
                "rank": entry.rank.rank,
                "rank_low": entry.rank.low,
                "rank_high": entry.rank.high,
                "latency": entry.latency.value,
                "latency_low": interval.low if interval else None,
                "latency_high": interval.high if interval else None,
                "bound": entry.bound.bound.seconds if entry.bound else None,
                "over_bound": entry.bound.ratio if entry.bound else None,
                "processes": len(entry.latency.samples),
                "quality": entry.record.quality.grade,
                "reasons": "; ".join(entry.record.quality.reasons),
                "record": entry.record.id,
            }
        )
    return rows
