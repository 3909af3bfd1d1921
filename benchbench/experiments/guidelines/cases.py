"""The cases of task=guidelines: every ladder in every way that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchbench.cases import Case, from_settings
from benchbench.config import BudgetSettings, ProfilerSettings, Settings, executed
from benchbench.errors import UserError, unknown
from benchbench.experiments.guidelines.ladders import (
    COLUMNS,
    LADDERS,
    SIZE,
    Rung,
    extended_rungs,
    reproduction_rungs,
    verdict_rungs,
    with_copy,
)
from benchbench.experiments.guidelines.options import check_options
from benchbench.experiments.guidelines.rule import rule_from
from benchbench.support import installed_runtimes

PROFILERS = ProfilerSettings(complexity=True, latency=True, roofs=True, kernels=True)
QUICK_RUNTIMES = {"cpu": ("eager", "onnxruntime"), "cuda": ("eager", "cuda_graph")}
# What a stack needs of a budget: its calls are alike, and dozens of stacks take turns. Seconds of
# timed calls and of the warm-up at most, with budget=quick and with others.
QUICK_SECONDS, SECONDS = 0.15, 0.2
QUICK_WARM_UP_SECONDS, WARM_UP_SECONDS = 0.05, 0.1
FEWEST_SAMPLES = 3
REPRODUCED_PROCESSES = 3  # no verdict hangs on the paper's own channels


def guideline_cases(settings: Settings) -> list[Case]:
    """What is to be measured; the paper's rows that make no network are left out.

    Raises:
        UserError: a ladder or a runtime that there is not, or a rule that is none.
    """
    rule_from(settings.task.rule)
    check_options(settings.guideline)
    _refuse_others(settings)
    quick = settings.budget.name == "quick"
    ladders = settings.ladders or (["verdict"] if quick else list(LADDERS[:2]))
    for name in ladders:
        if name not in LADDERS:
            raise unknown("ladders", name, LADDERS)
    rungs = _rungs(settings, ladders)
    if not rungs:
        asked = ", ".join(settings.guideline)
        raise UserError(f"ladders={','.join(ladders)}: {asked} has none; g2 and g4 have extended")
    return [
        _case(rung, replace(executed(settings, runtime, precision), runtimes=[], precisions=[]))
        for precision in settings.precisions or [settings.precision]
        for runtime in _runtimes(settings, precision, quick=quick)
        for rung in rungs
    ]


def _refuse_others(settings: Settings) -> None:
    """What would be measured is no ladder any more."""
    if settings.mode != "inference":
        raise UserError(f"mode={settings.mode}: task=guidelines is about the forward alone")
    if settings.resolution not in (None, SIZE):
        raise UserError(f"resolution={settings.resolution}: the ladders' maps are {SIZE}x{SIZE}")
    if settings.weights is not None:
        raise UserError(f"weights={settings.weights}: the ladders' networks have none")


def shortened(budget: BudgetSettings, fewest_processes: int) -> BudgetSettings:
    """The budget of a run whose networks are dozens of stacks: more processes, less in each."""
    quick = budget.name == "quick"
    return replace(
        budget,
        processes=max(budget.processes, fewest_processes),
        seconds=min(budget.seconds, QUICK_SECONDS if quick else SECONDS),
        warm_up_seconds=QUICK_WARM_UP_SECONDS,
        warm_up_limit_seconds=QUICK_WARM_UP_SECONDS if quick else WARM_UP_SECONDS,
        min_samples=min(budget.min_samples, FEWEST_SAMPLES),
    )


def _runtimes(settings: Settings, precision: str, *, quick: bool) -> Sequence[str]:
    if settings.runtimes:
        return settings.runtimes
    if settings.runtime.name != "eager":
        return [settings.runtime.name]
    device = settings.device.type
    there = installed_runtimes(settings, precision)
    return [name for name in there if name in QUICK_RUNTIMES[device]] if quick else there


def _rungs(settings: Settings, ladders: Sequence[str]) -> list[Rung]:
    rungs: list[Rung] = []
    for guideline, options in settings.guideline.items():
        found: list[Rung] = []
        if "verdict" in ladders:
            found += verdict_rungs(guideline, options)
        if "extended" in ladders:
            found += extended_rungs(guideline, options)
        if "reproduction" in ladders:
            for column in COLUMNS:
                found += reproduction_rungs(guideline, column)[0]
        rungs += [rung for one in _sets(found) for rung in with_copy(one)]
    return rungs


def _sets(rungs: Sequence[Rung]) -> Iterator[list[Rung]]:
    """Rungs of one ladder and scale: they take turns."""
    found: dict[tuple[str, str], list[Rung]] = {}
    for rung in rungs:
        found.setdefault((rung.ladder, rung.scale), []).append(rung)
    yield from found.values()


def _case(rung: Rung, settings: Settings) -> Case:
    model = {"_target_": rung.target, "resolution": SIZE, **rung.arguments}
    name = f"{rung.guideline} {rung.scale} {rung.label}"
    case = from_settings(replace(settings, model=model), name)
    runtime, precision = settings.runtime.name, settings.precision
    return replace(
        case,
        input_channels=rung.input_channels,
        processes=REPRODUCED_PROCESSES if rung.ladder == "reproduction" else None,
        turn=f"{rung.guideline} {rung.ladder} {rung.scale} {runtime} {precision}",
        axes={
            "guideline": rung.guideline,
            "ladder": rung.ladder,
            "scale": rung.scale,
            "axis": rung.axis,
            "step": rung.step,
            "label": rung.label,
            "setting": rung.setting,
            "last": rung.last,
        },
    )
