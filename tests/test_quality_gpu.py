"""Grades of what a GPU's sensors saw, and of every metric that is measured and not counted.

Figures of one NVIDIA H200 (driver 580.159.04, CUDA 13.0, PyTorch 2.11.0): EfficientNet-B0 in eager
fp32, `budget=quick`, a machine on which nothing else ran. Medians and intervals are as its
documents have them; these hold no sensors, so that what the driver told is written down here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import Measurement, absent, exact
from benchbench.metrics import METRICS
from benchbench.quality import quality

DEVICE_TIME = (0.0015646719932556152, 0.0015320480465888977, 0.001565168023109436)
GRAPH_TIME = (0.0013952000141143799, 0.0013982399702072144, 0.0013969280123710633)
LATENCY = (0.0035014595, 0.0031953325, 0.003155895)
PROBE = (0.000233885, 0.000218818, 0.000223057)
ENERGY, ENERGY_INTEGRATED = 0.05518105413072444, 0.057032445579515915
ROOFS = {"peak_multiply_adds": 25355996683438.42, "peak_bandwidth": 4984770981719.144}

ALONE: dict[str, Any] = {
    "missing": None,
    "calibrated_sm_clock_mhz": 1980,
    "throttle_reasons": [],
    "foreign_processes": [],
    "blocks_rejected": 0,
    "blocks_marked": 0,
    "remarks": [],
}
UNKNOWN = "not available: this process is not among the 1 that the driver shows"
UNTOLD = "nothing tells whether other work disturbed it; measure again"
COUNTS = "nothing but counts, which are exact"
Grade = tuple[str | None, tuple[str, ...]]


def processes_of(metric: str, medians: tuple[float, ...], **sensors: Any) -> Measurement:
    """A measurement of several processes, in each of which the driver told the same."""
    told = [{"sensors": ALONE | sensors} for _ in medians]
    return Measurement(metric, tuple((one,) for one in medians), details={"processes": told})


@pytest.fixture
def judge(case: Callable[..., Case]) -> Callable[..., Grade]:
    def grade(*found: Measurement) -> Grade:
        return quality(Measured(case(device="cuda"), {"machine": {}}, list(found)))

    return grade


Judge = Callable[..., Grade]


def test_device_time_of_an_h200_was_watched_by_its_sensors(judge: Judge) -> None:
    """Three processes and an interval of 3 % allow a B: nothing else was wrong."""
    device, graph = processes_of("device_time", DEVICE_TIME), processes_of("graph_time", GRAPH_TIME)
    assert device.interval is not None
    assert graph.interval is not None
    assert device.interval[:2] == pytest.approx((0.001507282478701193, 0.0016019284823798605))
    assert graph.interval[:2] == pytest.approx((0.0013930060256474657, 0.0014005818013141753))
    assert judge(device, graph) == (
        "B",
        (
            "device_time comes from 3 processes; budget=standard takes 5",
            "device_time's 95 % interval is ±3.0 %; quieten the machine, or take more processes: "
            "budget=rigorous takes 10",
            "graph_time comes from 3 processes; budget=standard takes 5",
        ),
    )


def test_the_profile_of_an_h200_is_a_c_for_its_latency(judge: Judge) -> None:
    """The host's interval of 14.1 % and a probe that drifted by 6.9 %: nothing of the GPU's."""
    told = [{"sentinels": {"wall_seconds": 1.0}, "probe": [probe] * 3} for probe in PROBE]
    samples = tuple((one,) for one in LATENCY)
    latency = Measurement("latency", samples, details={"processes": told})
    times = processes_of("device_time", DEVICE_TIME), processes_of("graph_time", GRAPH_TIME)
    grade, reasons = judge(latency, *times)
    assert grade == "C"
    assert "latency's 95 % interval is ±14.1 %" in reasons[1]
    assert "drifted by 6.9 % between processes" in reasons[2]
    assert len(reasons) == 6
    assert UNTOLD not in reasons


def test_five_calm_processes_on_a_watched_gpu_are_an_a(judge: Judge) -> None:
    five = (*GRAPH_TIME, GRAPH_TIME[0], GRAPH_TIME[1])
    assert judge(processes_of("graph_time", five))[0] == "A"


@pytest.mark.parametrize(
    ("sensors", "grade", "reason"),
    [
        ({"foreign_processes": UNKNOWN}, "B", UNTOLD),
        ({"foreign_processes": "not available"}, "B", UNTOLD),
        ({"foreign_processes": [7]}, "C", "other processes on the GPU: 1; measure when they are"),
        (
            {"blocks_rejected": 2},
            "B",
            "the GPU's clock fell below 0.9 of the calibrated one, and blocks were measured again: "
            "10; let it cool, and look at its power limit",
        ),
        (
            {"throttle_reasons": ["software power cap"]},
            "B",
            "the driver held the GPU's clock down (software power cap); let it cool, and look",
        ),
        (
            {"blocks_marked": 1, "blocks_rejected": 3, "throttle_reasons": ["board limit"]},
            "C",
            "the GPU's clock stayed below 0.9 of the calibrated one in 5 of 5 processes (board",
        ),
    ],
)
def test_what_the_sensors_saw_and_what_they_could_not_tell(
    judge: Judge, sensors: dict[str, Any], grade: str, reason: str
) -> None:
    five = (*GRAPH_TIME, GRAPH_TIME[0], GRAPH_TIME[1])
    found, reasons = judge(processes_of("graph_time", five, **sensors))
    assert (found, len(reasons)) == (grade, 1)
    assert reasons[0].startswith(reason)


def test_energy_of_an_h200_is_a_rough_order(judge: Judge) -> None:
    """One process, whose two sensors say 0.0552 and 0.0570 J: 3.4 % apart."""
    found = judge(
        processes_of("energy", (ENERGY,)), processes_of("energy_integrated", (ENERGY_INTEGRATED,))
    )
    assert found == (
        "C",
        (
            "energy comes from one process; measure again to compare",
            "the driver's counter of energy and its power differ by 3.4 %",
            "energy_integrated comes from one process; measure again to compare",
        ),
    )


@pytest.mark.parametrize(
    ("joules", "grade", "reason"),
    [
        ((1.0, 1.0, 1.009), "A", "3 processes agree on energy within 0.9 %, no disturbance seen"),
        ((1.0, 1.0), "B", "energy comes from 2 processes; measure again to compare"),
        ((1.0, 1.0, 1.06), "C", "energy differs by 6.0 % between processes; measure again"),
    ],
)
def test_energy_is_graded_by_its_processes(
    judge: Judge, joules: tuple[float, ...], grade: str, reason: str
) -> None:
    assert judge(processes_of("energy", joules)) == (grade, (reason,))


def test_a_gpu_that_did_not_idle_has_no_idle_power(judge: Judge) -> None:
    told = [{"sensors": ALONE, "idle_utilisation": share} for share in (0.0, 0.12, 0.0)]
    found = Measurement("energy", ((1.0,),) * 3, details={"processes": told})
    expected = "something used the GPU for 12.0 % of the time that it was to be idle"
    assert judge(found) == ("C", (expected,))


def test_roofs_of_an_h200_are_of_one_process(judge: Judge) -> None:
    grade, reasons = judge(*(Measurement(name, ((value,),)) for name, value in ROOFS.items()))
    assert grade == "C"
    assert reasons == (
        "peak_multiply_adds comes from one process; measure again to compare",
        "peak_bandwidth comes from one process; measure again to compare",
    )


@pytest.mark.parametrize(
    ("overhead", "expected"), [(1.049, None), (1.051, "5.1 %"), (1.3, "30.0 %")]
)
def test_operators_say_what_the_profiler_cost(
    judge: Judge, overhead: float, expected: str | None
) -> None:
    found = Measurement("operator_time", ((0.0012, 0.0013),), details={"overhead": overhead})
    grade, reasons = judge(found, exact("executed_kernels", 4))
    assert grade == "C"
    assert reasons[0] == "operator_time comes from one process; measure again to compare"
    said = f"a call took {expected} longer under the profiler than without it"
    assert any(reason.startswith(said) for reason in reasons) == (expected is not None)


@pytest.mark.parametrize("metric", METRICS)
def test_only_exact_metrics_are_said_to_be_exact(judge: Judge, metric: str) -> None:
    """Whatever metric there is or will be, alone and beside a count, measured or absent."""
    for item in (Measurement(metric, ((0.5,),)), absent(metric, "no sensor")):
        for found in ([item], [exact("params", 1), item]):
            grade, reasons = judge(*{one.metric: one for one in found}.values())
            assert (reasons == (COUNTS,)) == METRICS[metric].exact
            assert COUNTS not in reasons[1:]
            graded = item.flat and not METRICS[metric].exact and METRICS[metric].checked_as
            assert (grade is not None) == bool(graded)


def test_what_was_taken_once_beside_counts_is_neither_exact_nor_graded(judge: Judge) -> None:
    found = [Measurement(name, ((0.5,),)) for name in ("preparation_time", "runtime_difference")]
    assert judge(exact("graph_nodes", 3), *found) == (
        None,
        ("measured in one process, and neither exact nor graded: preparation_time, "
         "runtime_difference",),
    )  # fmt: skip


def test_energy_that_was_not_measured_is_no_count(judge: Judge) -> None:
    why = "not available: no energy sensor is read on the CPU"
    assert judge(absent("energy", why)) == (None, (f"energy was not measured: {why}",))


def test_what_disturbed_a_figure_beside_the_graded_ones_is_a_word_and_no_grade(
    judge: Judge,
) -> None:
    five = (*GRAPH_TIME, GRAPH_TIME[0], GRAPH_TIME[1])
    times = processes_of("graph_time", five)
    shared = processes_of("energy", (1.0,), foreign_processes=[7])
    grade, reasons = judge(times, shared)
    assert grade == "A"
    assert reasons[1:] == ("energy: other processes on the GPU: 1; measure when they are done",)
