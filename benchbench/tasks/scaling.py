"""What scaling costs, counted and, unless only counts are asked for, measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from architectures.scaling import Scale, compound, grid, nearest
from benchbench.cases import Case, from_settings
from benchbench.config import ProfilerSettings, ScaleSettings, Settings, model_settings
from benchbench.errors import NoEvidence, UserError
from benchbench.jobs import DONE, INTERRUPTED, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import plan

if TYPE_CHECKING:
    from benchbench.experiments.published_scaling import Printed
    from benchbench.records import Record

LARGEST_PHI = 4.0  # 16 times the multiply-adds: the tables' rows have 4 times
BASE = "efficientnet_b0"


def scaling(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.scaling import COUNTED, MEASURED, judge
    from benchbench.report.scaling import scaling_document, scaling_rows, scaling_tables

    _refuse_other_scales(settings)
    interrupted = False
    if settings.records is not None:
        records = _stored(settings)
    else:
        only_counts = settings.profiler == ProfilerSettings(complexity=True)
        counted, rows = [*_grid(settings), *_phis(settings)], list(_rows(settings))
        profilers = COUNTED if only_counts else MEASURED
        if settings.plan:
            return plan(rows, profilers, settings, counted)
        records, _ = recorded(counted, COUNTED, settings, job)
        measured, interrupted = recorded(rows, profilers, settings, job)
        records += measured
    result = judge(records)
    return Result(
        scaling_tables(result, records),
        scaling_document(result, records),
        scaling_rows(result),
        INTERRUPTED if interrupted else DONE,
    )


def _refuse_other_scales(settings: Settings) -> None:
    if settings.resolution is not None or settings.scale != ScaleSettings():
        raise UserError("task=scaling takes no resolution= and no scale.: it scales by itself")


def _case(settings: Settings, variant: str, scale: Scale, **axes: object) -> Case:
    factors = ScaleSettings(*scale)
    own = replace(settings, model=model_settings(variant), scale=factors)
    asked = [f"scale.{key}={value:g}" for key, value in scale._asdict().items() if value != 1]
    name = f"{variant}[{','.join(asked)}]" if asked else variant
    return replace(from_settings(own, name), axes=axes)


def _grid(settings: Settings) -> list[Case]:
    """EfficientNet-B0 at the points of the grid search, phi being 1."""
    return [_case(settings, BASE, scale, part="grid", **scale._asdict()) for scale in grid()]


def _phis(settings: Settings) -> Iterator[Case]:
    """The published B0 to B7, and B0 at exactly their phis."""
    from benchbench.experiments.published_scaling import PHIS

    for name, phi in PHIS.items():
        yield _case(settings, name, Scale(), part="phi", phi=phi, published=True)
    for phi in PHIS.values():
        if phi:
            yield _case(settings, BASE, compound(phi), part="phi", phi=phi, published=False)


def _rows(settings: Settings) -> Iterator[Case]:
    """The rows of the paper's tables; those of one network take turns."""
    from benchbench.experiments.published_scaling import ROWS

    for row in ROWS:
        scale = row.scale or _solved(settings, row)
        case = _case(
            settings,
            row.network,
            scale,
            part="table",
            network=row.network,
            way=row.way,
            billions=row.billions,
            top1=row.top1,
            solved=row.scale is None,
            **scale._asdict(),
        )
        yield replace(case, turn=row.network)


def _solved(settings: Settings, row: Printed) -> Scale:
    """The compound factors with the multiply-adds that are printed, where the factors are not."""
    from benchbench.profilers.complexity import complexity

    one = replace(settings, batch_size=1)

    def cost(phi: float) -> float:
        return complexity(_case(one, row.network, compound(phi))).multiply_adds / 1e9

    return compound(round(nearest(cost, row.billions, 0.0, LARGEST_PHI), 3))


def _stored(settings: Settings) -> list[Record]:
    """The newest counted and the newest measured session of what was asked for.

    Raises:
        NoEvidence: nothing is called so.
    """
    from benchbench.entries import named
    from benchbench.store import Store

    with closing(Store(settings.store.url)) as store:
        asked = [r for r in named(store, str(settings.records)) if r.task == "scaling"]
        if not asked:
            raise NoEvidence(
                f"records={settings.records}: no record or tag of task=scaling is called so"
            )
        newest = {_is_row(record): record.session for record in asked}
        records = store.records(task="scaling")
    return [record for record in records if record.session == newest.get(_is_row(record))]


def _is_row(record: Record) -> bool:
    return bool(record.case.axes.get("part") == "table")
