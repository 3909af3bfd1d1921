"""What explains latency, as tables, document and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.errors import printable
from benchbench.experiments.explain import (
    BASELINES,
    PREDICTORS,
    RATIO,
    Explained,
    Explanation,
    Fit,
    Network,
    Predictor,
)
from benchbench.metrics import METRICS, show, si
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.rank import ends
from benchbench.report.remarks import quality_of
from benchbench.report.tables import describe, plain_table
from benchbench.statistics.concordance import Difference, Share
from benchbench.statistics.fits import Form, LeftOut

CLOSE = f"within {100 * (RATIO - 1):.0f} % of equal multiply-adds"
NAMES_SHOWN = 12
HOW = (
    "right: of these pairs, ties a half; its interval is for other families: one is left out after "
    "the other, with all its pairs\n"
    "errors: the median of |predicted / measured - 1| over networks whose family, or whose level "
    "of multiply-adds, the fit has not seen\n"
    "linear: a constant and a non-negative multiple of each, least squares of relative residuals; "
    "power: a constant times a power of each, least squares of logs"
)


def explain_tables(result: Explanation, folder: str | None) -> list[RenderableType]:
    """For each runtime the order of close pairs, the errors of fits, and how alike counts are."""
    first = result.ways[0].networks[0].record
    heading = f"what explains latency on {first.case.device_name} ({first.device_name})?"
    how = describe(first.case, network=False, way=len(result.ways) == 1)
    parts: list[RenderableType] = [Text.assemble((heading, "bold"), f"\n{how}")]
    for way in result.ways:
        parts += [_headline(way), _order_table(way), _fit_table(way), *_alike_table(way)]
        parts += [Text(_measured(way))]
    parts += [Text(HOW), *(Text(line) for line in _left_out(result))]
    return [*parts, *_closing(result, folder)]


def _headline(way: Explained) -> Text:
    """The answer in one line."""
    families = len({network.family for network in way.networks})
    lines = [f"\n{way.label}: {len(way.networks)} networks of {families} families"]
    shares = {found.name: found.share for found in way.predictors if found.share}
    if shares:
        base = shares[BASELINES[0]]
        best = max(shares, key=lambda name: shares[name].value)
        of = f"of {base.pairs} pairs of different families {CLOSE}"
        lines += [
            f"{of}, multiply-adds order {_percent(base.value)} right, "
            f"{METRICS[best].label} {_percent(shares[best].value)}"
        ]
    else:
        lines += [f"no two networks of different families are {CLOSE}"]
    return Text("\n".join(lines), style="bold")


def _order_table(way: Explained) -> Table:
    pairs = f"{len(way.pairs)} pairs {CLOSE}, {way.decided} of them told apart by the clock"
    table = plain_table(f"which of two is slower? {pairs}")
    table.add_column("predictor")
    for heading in (
        *("right", "95 % interval", "less multiply-adds'", "95 % interval"),
        *("Spearman, all", "Kendall, all"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in sorted(way.predictors, key=lambda p: -p.share.value if p.share else 0):
        table.add_row(METRICS[found.name].label, *_order_cells(found))
    for name in way.missing:
        table.add_row(METRICS[name].label, "0 or missing in some records")
    return table


def _order_cells(found: Predictor) -> Iterable[str]:
    share, over = found.share, found.over_baseline
    yield _percent(share.value) if share else ""
    yield _percents(share) if share else ""
    yield f"{100 * over.value:+.0f} %" if over else ""
    yield _percents(over) if over else ""
    yield "" if found.spearman is None else f"{found.spearman:+.2f}"
    yield "" if found.kendall is None else f"{found.kendall.value:+.2f}"


def _fit_table(way: Explained) -> Table:
    table = plain_table("error of latency predicted for what the fit has not seen")
    table.add_column("predicted from", overflow="fold")
    for heading in ("linear, by family", "worst family", "by level", "power, by family"):
        table.add_column(heading, justify="right")
    table.add_column("by level", justify="right")
    by_names: dict[tuple[str, ...], dict[Form | None, Fit]] = {}
    for fit in way.fits:
        by_names.setdefault(fit.predictors, {})[fit.form] = fit
    for names, forms in by_names.items():
        label = " + ".join(METRICS[name].label for name in names)
        if None in forms:
            label_unfitted = f"{label}, nothing fitted"
            table.add_row(label_unfitted, *_fit_cells(forms[None]), "", "")
        linear, power = forms.get(Form.LINEAR), forms.get(Form.POWER)
        if linear and power:
            table.add_row(label, *_fit_cells(linear), *_errors(power))
    return table


def _fit_cells(fit: Fit) -> tuple[str, str, str]:
    own, level = _errors(fit)
    worst = fit.by_family
    shown = f"{worst.worst} {_percent(worst.by_group[worst.worst])}" if worst else ""
    return own, shown, level


def _errors(fit: Fit) -> tuple[str, str]:
    family, level = (_percent(one.error) if one else "" for one in (fit.by_family, fit.by_level))
    return family, level


def _alike_table(way: Explained) -> list[RenderableType]:
    if way.alike is None:
        return []
    table = plain_table("how alike the predictors are: correlation of logs, variance inflation")
    table.add_column("", no_wrap=True)
    for number in range(1, len(way.alike_names) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    table.add_column("inflation", justify="right", no_wrap=True)
    rows = zip(way.alike_names, way.alike.correlations, way.alike.inflation, strict=True)
    for number, (name, row, inflation) in enumerate(rows, start=1):
        cells = [f"{value:.2f}" if place < number else "" for place, value in enumerate(row)]
        cells = cells[: number - 1] + [""] * (len(row) - number + 1)
        shown = f"{inflation:.0f}" if isfinite(inflation) else "infinite"
        table.add_row(f"{number} {METRICS[name].label}", *cells, shown)
    condition = way.alike.condition
    alike = f"condition number {condition:.0f}" if isfinite(condition) else "they are dependent"
    return [table, Text(f"{alike}; above 30 their shares in a fit mean little\n")]


def _measured(way: Explained) -> str:
    """What there is to know of the figures that were explained."""
    shown = [show("latency", end) for end in (min(way.anchors), max(way.anchors))]
    said = f"the anchor took {' to '.join(shown)} in {len(way.anchors)} sets"
    if len(way.anchors) == 1:
        said = f"the anchor took {shown[0]} in the only set"
    if way.over_probed is None:
        return said
    return f"{said}; the median network takes {way.over_probed:.1f} times what probes predict"


def _left_out(result: Explanation) -> list[str]:
    if not result.left_out:
        return []
    sizes = sorted(result.left_out.items(), key=lambda item: item[1])
    shown = [f"{name} ({si(count, '', 3)})" for name, count in sizes[:NAMES_SHOWN]]
    more = len(sizes) - len(shown)
    rest = f" and {more} larger" if more else ""
    limit = "" if result.largest is None else f" {si(result.largest, '', 3)}"
    why = f"{len(sizes)} networks above largest_multiply_adds={limit.strip()}"
    return [f"left out: {why}, to end in time: {', '.join(shown)}{rest}"]


def _closing(result: Explanation, folder: str | None) -> list[RenderableType]:
    """Grades by their number, for there are too many records to name."""
    records = _records(result)
    lines = [*quality_of(records), f"session {records[0].session}"]
    lines += [] if folder is None else [f"folder  {folder}"]
    return [Text(printable(line)) for line in [*lines, f"repeat  {records[0].command}"]]


def _records(result: Explanation) -> list[Record]:
    return [network.record for way in result.ways for network in way.networks]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _percents(found: Share | Difference) -> str:
    low, high = (None if end is None else 100 * end for end in (found.low, found.high))
    return ends(low, high, ".0f" if isinstance(found, Share) else "+.0f")


def explain_document(result: Explanation, folder: str | None) -> dict[str, Any]:
    """The same whole, for `output=json`."""
    first = result.ways[0].networks[0].record
    case = first.case
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "explain",
        "device": {"type": case.device, "index": case.device_index, "name": first.device_name},
        "layout": case.layout,
        "batch_size": case.batch_size,
        "threads": case.threads,
        "ways": [_way(way) for way in result.ways],
        "networks": explain_rows(result),
        "left_out": dict(result.left_out),
        "largest_multiply_adds": result.largest,
        "folder": folder,
        "session": first.session,
        "environment": dict(first.environment),
        "command": first.command,
    }


def _way(way: Explained) -> dict[str, Any]:
    case = way.networks[0].record.case
    return {
        "runtime": case.runtime,
        "runtime_options": dict(case.runtime_options),
        "precision": case.precision,
        "networks": len(way.networks),
        "families": sorted({network.family for network in way.networks}),
        "pairs": len(way.pairs),
        "pairs_within": RATIO,
        "decided": way.decided,
        "predictors": [_predictor(found) for found in way.predictors],
        "missing": list(way.missing),
        "fits": [_fit(fit) for fit in way.fits],
        "collinearity": _collinearity(way),
        "anchor_latencies": list(way.anchors),
        "measured_over_predicted": way.over_probed,
    }


def _predictor(found: Predictor) -> dict[str, Any]:
    share, over, tau = found.share, found.over_baseline, found.kendall
    return {
        "predictor": found.name,
        "concordance": None if share is None else share.value,
        "ci": None if share is None else _ci(share.low, share.high),
        "families": None if share is None else share.families,
        "less_multiply_adds": None if over is None else over.value,
        "less_multiply_adds_ci": None if over is None else _ci(over.low, over.high),
        "spearman": found.spearman,
        "kendall": None if tau is None else tau.value,
        "kendall_ci": None if tau is None else _ci(tau.low, tau.high),
    }


def _ci(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "predictors": list(fit.predictors),
        "form": "unfitted" if fit.form is None else str(fit.form),
        "by_family": _error(fit.by_family),
        "by_level": _error(fit.by_level),
    }


def _error(found: LeftOut | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"error": found.error, "each": {str(k): v for k, v in found.by_group.items()}}


def _collinearity(way: Explained) -> dict[str, Any] | None:
    if way.alike is None:
        return None
    return {
        "predictors": list(way.alike_names),
        "correlations": [list(row) for row in way.alike.correlations],
        "inflation": [value if isfinite(value) else None for value in way.alike.inflation],
        "condition": way.alike.condition if isfinite(way.alike.condition) else None,
    }


def explain_rows(result: Explanation) -> list[dict[str, Any]]:
    """One flat row a network and way, with everything that was asked to explain it."""
    return [_row(network) for way in result.ways for network in way.networks]


def _row(network: Network) -> dict[str, Any]:
    record = network.record
    found: Sequence[tuple[str, Any]] = [(name, record.get(name)) for name in PREDICTORS]
    return {
        "model": record.case.name,
        "family": network.family,
        "level": network.level,
        "runtime": record.case.runtime,
        "precision": record.case.precision,
        "resolution": record.case.resolution,
        "latency": network.seconds,
        "log_latency_over_anchor": network.log,
        **{name: None if one is None else one.value for name, one in found},
        "processes": len(network.logs),
        "quality": record.quality.grade,
        "record": record.id,
    }
