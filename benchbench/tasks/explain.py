"""What explains latency, over many networks: each runtime's in sets that share an anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchbench.cases import Case, from_models
from benchbench.config import Settings
from benchbench.errors import UserError
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import drawn, named_records, picture_folder, plan

if TYPE_CHECKING:
    from benchbench.records import Record

EVERY_VARIANT = ["glob(*)"]


def explain(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.explain import PROFILERS, judge
    from benchbench.report.explain import explain_document, explain_rows, explain_tables
    from benchbench.report.explain_pictures import save

    runs = None if settings.plan else picture_folder(settings, job)
    if settings.records is not None:
        records, profiled, interrupted = named_records(settings), _profiled(settings), False
    else:
        cases = _cases(settings)
        if settings.plan:
            return plan(cases, PROFILERS, settings)
        profiled = _profile(cases, settings, job) if runs else []
        records, interrupted = recorded(cases, PROFILERS, settings, job)
    result = judge(records)
    folder, problem = drawn(partial(save, result, profiled), None if interrupted else runs, records)
    nothing = not any(way.pairs for way in result.ways)
    if nothing and not interrupted:
        problem = "no evidence: no two networks of different families cost about the same"
    return Result(
        explain_tables(result, folder),
        explain_document(result, folder),
        explain_rows(result),
        INTERRUPTED if interrupted else NO_EVIDENCE if nothing else DONE,
        problem,
    )


def _cases(settings: Settings) -> list[Case]:
    """The networks that can be timed in time, in sets; those named one by one in any case."""
    from benchbench.experiments.explain import FEWEST_NETWORKS, in_sets
    from benchbench.networks import look
    from benchbench.profilers.complexity import complexity

    models = settings.models or EVERY_VARIANT
    ways: dict[tuple[str, str], list[Case]] = {}
    for case in from_models(replace(settings, models=models)):
        ways.setdefault((case.runtime, case.precision), []).append(case)
    counts = {case.name: look(case, complexity).multiply_adds for case in next(iter(ways.values()))}
    for name, count in counts.items():
        if not count:
            raise UserError(f"models: {name} has no multiply-adds, and task=explain is about them")
    named = {_name(item) for item in models}
    large = {
        name: count
        for name, count in counts.items()
        if count > settings.largest_multiply_adds and name not in named
    }
    kept = [[case for case in cases if case.name not in large] for cases in ways.values()]
    if not kept[0]:
        limit = f"largest_multiply_adds={settings.largest_multiply_adds:g}"
        raise UserError(f"{limit}: the smallest network has {min(large.values()):,}")
    if len(kept[0]) < FEWEST_NETWORKS:
        names = ", ".join(case.name for case in kept[0])
        raise UserError(f"models: {names}: {FEWEST_NETWORKS} networks are the fewest")
    return [
        case
        for cases in kept
        for case in in_sets(cases, [counts[one.name] for one in cases], large)
    ]


def _name(item: object) -> str:
    """What a network of `models` is called, unless a glob names it."""
    if isinstance(item, dict):
        return str(item.get("_target_")).rpartition(".")[2]
    return str(item)


def _profile(cases: Sequence[Case], settings: Settings, job: Job) -> list[Record]:
    """Operator by operator, a few well-known networks of each way; before anything is timed."""
    from benchbench.experiments.explain import PROFILED, SHARES

    chosen: dict[tuple[str, str, str], Case] = {}
    for case in cases:
        if case.name in PROFILED:
            key = (case.runtime, case.precision, case.name)
            chosen[key] = replace(case, turn="", axes={})
    if not chosen:
        return []
    records, interrupted = recorded(list(chosen.values()), SHARES, settings, job)
    if interrupted:
        raise KeyboardInterrupt
    return records


def _profiled(settings: Settings) -> list[Record]:
    """Those of the stored records that were profiled for the same report."""
    from benchbench.entries import stored

    named = stored(str(settings.records), settings.store.url)
    found = [r for r in named if r.task == "explain" and r.get("operator_time")]
    return [record for record in found if record.session == found[-1].session]
