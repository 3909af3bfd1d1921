"""Records of ladders as a run would keep them, with slowdowns that are planted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO

from made import in_turn, record
from rich.console import Console

from benchbench import config
from benchbench.cases import Case
from benchbench.experiments.guidelines.judge import Result, Verdict
from benchbench.experiments.guidelines.ladders import BASE, COPY, Rung, verdict_rungs, with_copy
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.profilers.complexity import complexity
from benchbench.records import Record
from benchbench.report.guidelines import guideline_tables

OPTIONS = config.guideline_settings()
RULE = {
    "smallest": 0.03,
    "noises": 2.0,
    "confidence": 0.95,
    "equal": 0.005,
    "worst_grade": "B",
    "processes": 5,
}
SETTINGS = {"task": {"name": "guidelines", "rule": RULE}, "guideline": OPTIONS}
NOISE = (0.9985, 0.999, 1.0, 1.001, 1.0015)
AXES = {
    "g1": ("widths",),
    "g2": ("groups",),
    "g3": ("series", "parallel, add", "parallel, concat"),
    "g4": ("ReLU", "shortcut", "ReLU and shortcut"),
}
OF_RUNG = ("guideline", "ladder", "scale", "axis", "step", "label", "setting", "last")
Slowdown = Callable[[Rung], float]
Plant = Callable[..., list[Record]]


def steps(*factors: float) -> Slowdown:
    """A rung of step n takes so many times as long as the first."""
    return lambda rung: 1.0 if rung.axis in (BASE, COPY) else factors[rung.step - 1]


def planted_records(
    case: Callable[..., Case],
    rungs: list[Rung],
    slowdown: Slowdown,
    *,
    kernel: Callable[[Rung], str] = lambda _: "brgemm",
    load: float = 0.0,
    precision: str = "fp32",
    work: Callable[[Rung], float] = lambda _: 1.0,
) -> Iterator[Record]:
    for number, rung in enumerate(rungs):
        made = replace(
            case(target=rung.target, arguments=rung.arguments, resolution=56, name=rung.label),
            input_channels=rung.input_channels,
            precision=precision,
            turn=f"{rung.guideline} {rung.ladder} {rung.scale}",
            axes={key: getattr(rung, key) for key in OF_RUNG},
        )
        counted = list(complexity(made).measurements)
        counted = [
            exact("multiply_adds", round(work(rung) * item.flat[0]))
            if item.metric == "multiply_adds"
            else item
            for item in counted
        ]
        seconds = 0.01 * slowdown(rung)
        # Rungs differ from process to process by the same noise in another order.
        medians = [seconds * NOISE[(place * 2 + number) % 5] for place in range(5)]
        latency = in_turn(
            [[median] * 40 for median in medians],
            epoch_rounds=[20, 20],
            probe=[0.001] * 40,
            sentinels={"load": load, "runnable": 0},
        )
        machine = {"machine": {"cpu": "made up", "logical_cores": 2}}
        kernels = exact("executed_kernels", 1, kernels=[["0", kernel(rung), 1]])
        foreseen = Measurement(
            "predicted_latency",
            samples=((seconds,),),
            details={"peak_multiply_adds": 8e10, "peak_bandwidth": 5e10, "launch_cost": 1e-6},
        )
        measured = Measured(made, machine, [*counted, latency, kernels, foreseen])
        yield record(measured, task="guidelines", settings=SETTINGS, session="planted", tag="made")


def ladder(guideline: str) -> list[Rung]:
    rungs = verdict_rungs(guideline, OPTIONS[guideline])
    scales = dict.fromkeys(rung.scale for rung in rungs)
    return [r for scale in scales for r in with_copy([r for r in rungs if r.scale == scale])]


def verdicts(result: Result) -> dict[str, Verdict]:
    (cell,) = result.cells
    return {verdict.axis: verdict for ladder in cell.ladders for verdict in ladder.verdicts}


def printed(result: Result) -> str:
    console = Console(markup=False, width=140, record=True, file=StringIO())
    for part in guideline_tables(result, None):
        console.print(part, soft_wrap=True)
    return console.export_text()
