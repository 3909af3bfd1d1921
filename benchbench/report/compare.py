"""A comparison of stored runs as table, document and rows."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from benchbench.config import Settings
from benchbench.errors import printable
from benchbench.experiments.compare import UNCHANGED, Comparison, Row
from benchbench.metrics import METRICS, show
from benchbench.records import SCHEMA_VERSION
from benchbench.report.rank import ends, verdict_document
from benchbench.report.tables import plain_table

CONCLUSIONS = {
    0: "no regression",
    1: "a regression, confirmed",
    3: "no evidence: what is missing, ambiguous or seen once proves nothing",
}


def compare_tables(
    result: Comparison, baseline: str | None, candidate: str | None, source: str
) -> list[RenderableType]:
    """Every metric that is not the same, and what follows."""
    table = plain_table(printable(f"candidate {candidate} against baseline {baseline}"))
    for heading in ("network", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("baseline", "candidate", "ratio", "99 % interval", "counts from", "found from"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in result.rows:
        if row.answer != UNCHANGED:
            table.add_row(*_cells(row))
    same = [row for row in result.rows if row.answer == UNCHANGED]
    lines = [f"{len(same)} counts are the same to the unit"] if same else []
    if any(row.verdict for row in result.rows):
        lines += [f"threshold: {source}; at least four times the spread between processes"]
        lines += ["counts from: what is a change at all; found from: what would have been found"]
    if result.new:
        lines += [f"only the candidate has {', '.join(result.new)}"]
    lines += [CONCLUSIONS[result.exit_code]]
    shown: list[RenderableType] = [table] if len(same) < len(result.rows) else []
    return [*shown, *(Text(printable(line)) for line in lines)]


def _cells(row: Row) -> tuple[str, ...]:
    verdict = row.verdict
    name = METRICS[row.metric].label if row.metric else ""
    values = [
        "" if value is None else show(row.metric, value) for value in (row.baseline, row.candidate)
    ]
    ratio = f"{row.candidate / row.baseline:.3f}" if row.baseline and row.candidate else ""
    between, theta, detectable = "", "", ""
    if verdict is not None:
        theta = f"{100 * verdict.theta:.1f} %"
        detectable = "" if verdict.detectable is None else f"{100 * verdict.detectable:.1f} %"
        between = ends(verdict.low, verdict.high, ".3f")
    direction = {True: "worse", False: "better", None: ""}[row.worse]
    note = "; ".join(filter(None, (direction, row.note)))
    judged = (ratio, between, theta, detectable, str(row.answer))
    return (str(row.case["model"]), name, *values, *judged, note)


def compare_document(
    result: Comparison, settings: Settings, source: str, command: str
) -> dict[str, Any]:
    """The document of a comparison."""
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "compare",
        "baseline": settings.baseline,
        "candidate": settings.candidate,
        "rows": [_row(row) | {"case": dict(row.case)} for row in result.rows],
        "only_in_candidate": list(result.new),
        "theta_from": source,
        "conclusion": CONCLUSIONS[result.exit_code],
        "exit_code": result.exit_code,
        "command": command,
    }


def compare_rows(result: Comparison) -> list[dict[str, Any]]:
    """One flat row a metric of a case."""
    return [_row(row) for row in result.rows]


def _row(row: Row) -> dict[str, Any]:
    verdict = row.verdict
    judged = verdict_document(verdict) if verdict else dict.fromkeys(("ci", "theta", "detectable"))
    ratio = row.candidate / row.baseline if row.baseline and row.candidate is not None else None
    return {
        "model": row.case["model"],
        "metric": row.metric,
        "unit": METRICS[row.metric].unit if row.metric else None,
        "baseline": row.baseline,
        "candidate": row.candidate,
        "ratio": ratio,
        "ci": judged["ci"],
        "theta": judged["theta"],
        "detectable": judged["detectable"],
        "verdict": str(row.answer),
        "worse": row.worse,
        "confirmed": row.confirmed,
        "note": row.note,
    }
