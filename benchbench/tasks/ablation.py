"""task=ablation: a network of MBConv blocks rewritten edit by edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchbench.cases import Case, from_settings
from benchbench.config import RuntimeSettings, Settings, executed
from benchbench.errors import UserError
from benchbench.folders import check_writable
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import named_records, plan, threshold

if TYPE_CHECKING:
    from benchbench.experiments.ablation import Ablation


def ablation(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.ablation import judge
    from benchbench.experiments.ablation_design import PROFILERS, cases
    from benchbench.report.ablation import ablation_tables
    from benchbench.report.ablation_document import ablation_document, ablation_rows

    interrupted = False
    if settings.records is not None:
        records = named_records(settings)
    else:
        first, *others = _ways(settings, job)
        designed = cases(first, others, settings.ablation)
        if settings.plan:
            return plan(designed, PROFILERS, settings)
        records, interrupted = recorded(designed, PROFILERS, settings, job)
    known = threshold(settings, records[0].environment)
    result = judge(records, known.theta)
    folder = None if interrupted else _pictures(result, settings, job)
    return Result(
        ablation_tables(result, known.source, folder),
        ablation_document(result, known.source, folder),
        ablation_rows(result),
        INTERRUPTED if interrupted else DONE if result.decided else NO_EVIDENCE,
        None if interrupted or result.decided else "no evidence: every edit is ambiguous",
    )


def _ways(settings: Settings, job: Job) -> list[Case]:
    """The network in each of the runtimes that were asked for, or in two that differ much."""
    from benchbench.experiments.ablation_design import RUNTIMES

    asked = settings.runtimes
    if not asked and settings.runtime.name != RuntimeSettings().name:
        asked = [settings.runtime.name]
    runtimes = asked or list(RUNTIMES[settings.device.type])
    twice = sorted({name for name in runtimes if runtimes.count(name) > 1})
    if twice:
        raise UserError(f"runtimes: {', '.join(twice)} stands there twice")
    return [
        from_settings(executed(settings, runtime, settings.precision), job.model_name)
        for runtime in runtimes
    ]


def _pictures(result: Ablation, settings: Settings, job: Job) -> str | None:
    """Where the pictures are, if any are wanted."""
    wanted = not job.sweep if settings.plots is None else settings.plots
    if not wanted:
        return None
    from benchbench.report.ablation_pictures import save

    runs = Path(settings.results) / "runs"
    try:
        check_writable(runs)
        return str(save(result, runs))
    except OSError as error:
        raise UserError(
            f"results={settings.results} cannot be written: {error.strerror}; the records are kept"
        ) from error
