"""What a machine can see, as table, document and row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from benchbench.experiments.selftest import NETWORK, Selftest
from benchbench.metrics import METRICS, show, si
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.rank import ends, verdict_document
from benchbench.report.tables import closing_lines, describe, plain_table

ROOFS = ("peak_multiply_adds", "peak_bandwidth", "launch_cost")


def selftest_tables(records: Sequence[Record], result: Selftest) -> list[RenderableType]:
    """Noise, what can be found in it, and the clock."""
    first = records[0]
    table = plain_table("what this machine can see")
    table.add_column("")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("which means", overflow="fold")
    for row in _lines(result):
        table.add_row(*row)
    for name in ROOFS:
        found = first.get(name)
        if found is not None:
            table.add_row(METRICS[name].label, show(name, found.value), found.reason or "")
    heading = f"selftest of {first.case.device_name} ({first.device_name})"
    title = Text.assemble((heading, "bold"), f"\n{describe(first.case)}")
    return [title, table, *closing_lines(records)]


def _lines(result: Selftest) -> list[tuple[str, str, str]]:
    verdict = result.verdict
    interval = ends(verdict.low, verdict.high, ".3f")
    effects = ", ".join(f"{100 * e:.1f} % with {n}" for n, e in result.effects.items())
    return [
        (f"{NETWORK} against itself", f"{verdict.ratio:.3f}", f"{verdict.answer}, {interval}"),
        ("noise, in turn", f"{100 * result.noise:.2f} %", "between processes, of the ratio"),
        ("noise, apart", f"{100 * result.noise_apart:.2f} %", "between processes, of the time"),
        ("threshold", f"{100 * result.theta:.2f} %", "a change counts from here on"),
        ("smallest change found", effects.split(",")[0], f"95 times in 100: {effects} processes"),
        ("resolution of the clock", si(result.clock_resolution, "s"), "its smallest step"),
        ("reading the clock", si(result.timer_cost, "s"), "on average"),
    ]


def selftest_document(records: Sequence[Record], result: Selftest) -> dict[str, Any]:
    """The document of a selftest."""
    first = records[0]
    (row,) = selftest_rows(records, result)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "selftest",
        **row,
        "smallest_effects": {str(count): effect for count, effect in result.effects.items()},
        "itself": verdict_document(result.verdict),
        "quality": {"grade": first.quality.grade, "reasons": list(first.quality.reasons)},
        "environment": dict(first.environment),
        "records": [record.id for record in records],
        "command": first.command,
    }


def selftest_rows(records: Sequence[Record], result: Selftest) -> list[dict[str, Any]]:
    """A selftest as one flat row; noise, threshold and effects are shares, times seconds."""
    first = records[0]
    row: dict[str, Any] = {
        "device": first.case.device_name,
        "device_name": first.device_name,
        "threads": first.case.threads,
        "noise": result.noise,
        "noise_apart": result.noise_apart,
        "theta": result.theta,
        "clock_resolution_s": result.clock_resolution,
        "timer_cost_s": result.timer_cost,
    }
    for name in ROOFS:
        found = first.get(name)
        row[name] = found.value if found else None
    return [row | {"fingerprint": first.environment["fingerprint"]}]
