"""ShuffleNetV2's guidelines: measured on stacks of their own, or judged from stored records."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchbench.config import Settings, guideline_settings
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import drawn, named_records, picture_folder, plan


def guidelines(settings: Settings, job: Job) -> Result:
    """Verdicts on the four guidelines, with the paper's tables beside them."""
    from benchbench.experiments.guidelines.judge import judge
    from benchbench.report.guideline_document import guideline_document, guideline_rows
    from benchbench.report.guideline_pictures import save
    from benchbench.report.guidelines import guideline_tables

    interrupted, runs = False, None if settings.plan else picture_folder(settings, job)
    if settings.records is not None:
        records = named_records(settings)
    else:
        from benchbench.experiments.guidelines.cases import (
            PROFILERS,
            guideline_cases,
            shortened,
        )

        settings = replace(settings, guideline=settings.guideline or guideline_settings())
        cases = guideline_cases(settings)
        budget = shortened(settings.budget, settings.task.rule["processes"])
        settings = replace(settings, budget=budget)
        if settings.plan:
            return plan(cases, PROFILERS, settings)
        records, interrupted = recorded(cases, PROFILERS, settings, job)
    result = judge(records)
    folder, problem = drawn(partial(save, result), None if interrupted else runs, records)
    if not interrupted and not result.decided:
        problem = "no evidence: every verdict is INCONCLUSIVE"
    return Result(
        guideline_tables(result, folder),
        guideline_document(result, folder),
        guideline_rows(result),
        INTERRUPTED if interrupted else DONE if result.decided else NO_EVIDENCE,
        problem,
    )
