"""An ablation as document and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchbench.experiments.ablation import (
    Ablation,
    Row,
    Shared,
    Way,
    again_is_fine,
    score,
    work_ratio,
)
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.rank import verdict_document
from benchbench.statistics.factorial import Attribution, Effect


def ablation_document(result: Ablation, source: str, folder: str | None) -> dict[str, Any]:
    """The document of an ablation."""
    first = result.ways[0].base
    case = first.case
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "ablation",
        "model": result.network,
        "ablation": result.design,
        "device": {"type": case.device, "index": case.device_index, "name": first.device_name},
        "precision": case.precision,
        "layout": case.layout,
        "batch_size": case.batch_size,
        "threads": case.threads,
        "input_shape": list(case.input_shape),
        "ways": [_way_document(way) for way in result.ways],
        "theta": result.theta,
        "theta_from": source,
        "folder": folder,
        "session": first.session,
        "environment": dict(first.environment),
        "command": first.command,
    }


def _way_document(way: Way) -> dict[str, Any]:
    found = score(way)
    again = None if way.again is None else verdict_document(way.again)
    return {
        "runtime": way.base.case.runtime,
        "runtime_options": dict(way.base.case.runtime_options),
        "theta": way.theta,
        "base": _base_row(way),
        "again": again,
        "again_within_limit": again_is_fine(way),
        "edits": [_row_document(row, way) for row in way.rows],
        "prediction": None if found is None else found._asdict(),
        "factorial": None if way.shared is None else _shared_document(way.shared),
    }


def _row_document(row: Row, way: Way) -> dict[str, Any]:
    return _edit_row(row, way) | {
        "edits": list(row.record.case.axes["edits"]),
        "arguments": dict(row.record.case.arguments),
        "as_measured": verdict_document(row.raw),
        "per_multiply_add": verdict_document(row.verdict),
    }


def _shared_document(shared: Shared) -> dict[str, Any]:
    return {
        "factors": list(shared.factors),
        "measured": _attribution(shared, shared.measured),
        "as_measured": _attribution(shared, shared.raw),
        "predicted": None if shared.predicted is None else _attribution(shared, shared.predicted),
    }


def _attribution(shared: Shared, found: Attribution) -> dict[str, Any]:
    """Effects as natural logs of ratios of latency per multiply-add."""

    def rows(effects: Sequence[Effect]) -> list[dict[str, Any]]:
        return [
            {
                "edits": [shared.factors[index] for index in effect.factors],
                "log_ratio": effect.value,
                "ci": None if effect.interval is None else list(effect.interval[:2]),
            }
            for effect in effects
        ]

    return {
        "main": rows(found.main),
        "pairs": rows(found.pairs),
        "higher": rows(found.higher),
        "shapley": rows(found.shapley),
        "total": rows([found.total])[0],
        "explained_by_main_and_pairs": found.share,
        "unexplained_by_noise": found.noise,
    }


def ablation_rows(result: Ablation) -> list[dict[str, Any]]:
    """One flat row an edit and runtime, the base first."""
    return [
        row
        for way in result.ways
        for row in (_base_row(way), *(_edit_row(row, way) for row in way.rows))
    ]


def _base_row(way: Way) -> dict[str, Any]:
    return _flat(way.base, way) | dict.fromkeys(_VERDICTS)


def _edit_row(row: Row, way: Way) -> dict[str, Any]:
    values = (
        *(row.raw.ratio, row.verdict.ratio, row.verdict.low, row.verdict.high),
        *(str(row.verdict.answer), row.predicted),
    )
    return _flat(row.record, way) | dict(zip(_VERDICTS, values, strict=True))


_VERDICTS = (
    *("ratio", "ratio_per_multiply_add", "ratio_low", "ratio_high"),
    *("verdict", "predicted_ratio"),
)
_METRICS = (
    *("params", "multiply_adds", "memory_access_fused", "launches", "latency"),
    "predicted_latency",
)


def _flat(record: Record, way: Way) -> dict[str, Any]:
    axes = record.case.axes
    found = {name: record.get(name) for name in _METRICS}
    return {
        "model": axes["network"],
        "edit": axes["label"],
        "runtime": record.case.runtime,
        "compensator": axes["compensator"],
        "factor": axes["factor"],
        "moved": axes["moved"],
        "miss": axes["miss"],
        "work": work_ratio(record, way.base),
        "resolution": record.case.resolution,
        "note": axes["note"],
        **{name: None if item is None else item.value for name, item in found.items()},
        "processes": len(record["latency"].samples),
        "quality": record.quality.grade,
        "record": record.id,
    }
