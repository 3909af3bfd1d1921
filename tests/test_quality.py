"""Grades and reasons of all checks, from measurements made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.quality import GRADES, quality
from benchbench.statistics.intervals import Interval

MACHINE = {"logical_cores": 4, "governor": "performance"}
UNDISTURBED: dict[str, Any] = {
    "warm_up": {"seconds": 0.6, "calls": 30, "steady": True},
    "stopped": "precise",
    "calls_per_sample": 1,
    "block_samples": [3],
    "probe": [0.010] * 12,
    "sentinels": {
        "wall_seconds": 4.0,
        "cpu_share": 0.999,
        "involuntary_switches_per_second": 3.0,
        "steal_share": 0.0,
        "throttled_periods": 0,
        "throttled_share": 0.0,
        "load": 1.0,
        "runnable": 0,
        "frequency_mhz_before": 3000.0,
        "frequency_mhz_after": 3000.0,
    },
    "activations": {"problems": []},
    "sensors": {
        "blocks_rejected": 0,
        "blocks_marked": 0,
        "foreign_processes": [],
        "throttle_reasons": [],
    },
}
# Medians of five processes around 20 ms, 0.8 % apart, and an interval of half a percent each way.
MEDIANS = (0.01996, 0.01998, 0.02, 0.02002, 0.02012)
HALF = 0.005


@pytest.fixture(autouse=True)
def _known_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are tested elsewhere: here a measurement says its own."""

    def interval(self: Measurement) -> Interval | None:
        half = self.details.get("half")
        middle = self.value
        if half is None or middle is None:
            return None
        return Interval(middle * (1 - half), middle * (1 + half), 0.95)

    monkeypatch.setattr(Measurement, "interval", property(interval))


def process(group: str = "", **changes: Any) -> dict[str, Any]:
    """What an undisturbed process tells, with some of a group changed."""
    if not group:
        return UNDISTURBED | changes
    return UNDISTURBED | {group: UNDISTURBED[group] | changes}


@pytest.fixture
def judge(case: Callable[..., Case]) -> Callable[..., tuple[str | None, tuple[str, ...]]]:
    """Grade a latency of five processes, of which the first tell what is given."""

    def grade(
        *told: dict[str, Any],
        medians: tuple[float, ...] = MEDIANS,
        half: float | None = HALF,
        metric: str = "latency",
        machine: dict[str, Any] = MACHINE,
        variables: dict[str, str] | None = None,
        **changes: Any,
    ) -> tuple[str | None, tuple[str, ...]]:
        processes = [*told, *[process()] * (len(medians) - len(told))]
        samples = tuple((median * 0.99, median, median * 1.01) for median in medians)
        item = Measurement(metric, samples, details={"processes": processes, "half": half})
        environment = {"machine": machine, "variables": variables or {}}
        return quality(Measured(case(**changes), environment, [item]))

    return grade


Judge = Callable[..., tuple[str | None, tuple[str, ...]]]


def test_an_undisturbed_measurement_is_an_a_and_says_why(judge: Judge) -> None:
    """(20.12 - 19.96) / 20 ms = 0.8 %."""
    assert judge() == ("A", ("5 processes agree on latency within 0.8 %, no disturbance seen",))


def test_the_kind_of_core_is_told_where_there_are_several(judge: Judge) -> None:
    machine = MACHINE | {"core_kinds": {"cpu_core": [0, 1], "cpu_atom": [2, 3]}}
    assert (
        "of 2 kinds of cores it ran on cpu_core"
        in judge({**process(), "core": 1}, machine=machine)[1]
    )
    both = judge({**process(), "cores": [1, 2]}, machine=machine)[1]
    assert "of 2 kinds of cores it ran on cpu_core and cpu_atom" in both


@pytest.mark.parametrize(
    ("count", "grade", "reason"),
    [
        (5, "A", "5 processes agree on latency within 0.8 %, no disturbance seen"),
        (4, "B", "latency comes from 4 processes; budget=standard takes 5"),
        (3, "B", "latency comes from 3 processes; budget=standard takes 5"),
        (2, "C", "latency comes from 2 processes; budget=standard takes 5"),
        (
            *(1, "D"),
            "latency comes from one process, and between processes it changes up to tenfold more "
            "than within one; budget=standard takes 5",
        ),
    ],
)
def test_fewer_processes_allow_less(judge: Judge, count: int, grade: str, reason: str) -> None:
    assert judge(medians=MEDIANS[5 - count :] if count < 5 else MEDIANS) == (grade, (reason,))


@pytest.mark.parametrize(
    ("half", "grade"),
    [(0.0099, "A"), (0.0101, "B"), (0.0499, "B"), (0.0501, "C"), (0.199, "C"), (0.201, "D")],
)
def test_the_interval_keeps_the_grades_promise(judge: Judge, half: float, grade: str) -> None:
    found, reasons = judge(half=half)
    assert found == grade
    expected = f"latency's 95 % interval is ±{100 * half:.1f} %; quieten the machine"
    assert reasons[0].startswith(expected) == (grade != "A")


def test_several_processes_without_an_interval_are_no_a(judge: Judge) -> None:
    assert judge(half=None) == (
        "C",
        ("latency has no interval between processes; measure again",),
    )


SENTINELS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"steal_share": 0.0099}, "A", None),
    (
        {"steal_share": 0.0101},
        "B",
        "the hypervisor gave 1.0 % of the cores' time to others; measure at another hour or on a "
        "dedicated machine",
    ),
    ({"steal_share": 0.0499}, "B", "the hypervisor gave 5.0 % of"),
    ({"steal_share": 0.0501}, "C", "the hypervisor gave 5.0 % of"),
    (
        {"throttled_periods": 1, "throttled_share": 0.0001},
        "C",
        "throttled by the quota of a control group (periods: 1, up to 0.0 % of the time); raise "
        "the container's share of the cores",
    ),
    ({"cpu_share": 0.951}, "A", None),
    ({"cpu_share": 0.949}, "B", "a process got only 94.9 % of its core's time; stop what else"),
    ({"cpu_share": 0.801}, "B", "a process got only 80.1 %"),
    ({"cpu_share": 0.799}, "C", "a process got only 79.9 %"),
    ({"involuntary_switches_per_second": 49.0}, "A", None),
    (
        {"involuntary_switches_per_second": 51.0},
        "B",
        "a core was taken away 51 times a second; stop what else runs",
    ),
    ({"runnable": 3}, "A", None),  # four cores, one thread of ours
    (
        {"runnable": 4},
        "C",
        "threads of others that wanted to run: 4, with 3 of 4 cores left for them; stop what",
    ),
    ({"load": 4.0}, "A", None),
    ({"load": 4.1}, "B", "the load was 4.1 on 4 cores; wait a minute, and measure again"),
    ({"frequency_mhz_after": 2851.0}, "A", None),
    (
        {"frequency_mhz_after": 2849.0},
        "B",
        "the clock fell from 3000 to 2849 MHz; let the machine cool, and see that it is on mains",
    ),
    ({"frequency_mhz_after": 3500.0}, "A", None),
    (dict.fromkeys(UNDISTURBED["sentinels"]) | {"wall_seconds": 4.0}, "A", None),
]


@pytest.mark.parametrize(("changes", "grade", "reason"), SENTINELS)
def test_one_disturbed_process_is_enough(
    judge: Judge, changes: dict[str, Any], grade: str, reason: str | None
) -> None:
    found, reasons = judge(process("sentinels", **changes))
    assert found == grade
    assert len(reasons) == 1
    assert reasons[0].startswith(reason or "5 processes agree")


def test_a_share_of_cpu_time_is_judged_of_one_thread_on_the_cpu(judge: Judge) -> None:
    waiting = process("sentinels", cpu_share=0.3)
    assert judge(waiting)[0] == "C"
    assert judge(waiting, threads=2)[0] == "A"
    assert judge(waiting, device="cuda")[0] == "A"


def test_more_threads_of_ours_leave_fewer_cores_and_are_switched_more(judge: Judge) -> None:
    assert judge(process("sentinels", runnable=1), threads=3)[0] == "A"
    assert judge(process("sentinels", runnable=1), threads=4)[0] == "C"
    switched = process("sentinels", involuntary_switches_per_second=99.0)
    assert judge(switched, threads=2)[0] == "A"
    assert judge(switched, threads=1)[0] == "B"


def test_nothing_seen_where_nobody_looked_is_no_a(judge: Judge) -> None:
    expected = "nothing tells whether other work disturbed it; measure again"
    assert judge({}, {}, {}, {}, {}) == ("B", (expected,))
    assert judge(*[process(sentinels=None)] * 4)[0] == "A"


@pytest.mark.parametrize(
    ("never", "grade"),
    [(0, "A"), (1, "B"), (2, "B"), (3, "C"), (5, "C")],
)
def test_processes_that_never_became_steady(judge: Judge, never: int, grade: str) -> None:
    found, reasons = judge(*[process("warm_up", steady=False)] * never)
    assert found == grade
    expected = f"{never} of 5 processes never became steady; raise budget.warm_up_limit_seconds"
    assert (reasons == (expected,)) == (never > 0)


def test_half_of_four_processes_not_steady_is_a_c(judge: Judge) -> None:
    unsteady = process("warm_up", steady=False)
    assert judge(unsteady, unsteady, medians=MEDIANS[:4])[0] == "C"


@pytest.mark.parametrize(
    ("probe", "grade", "where"),
    [
        ([0.010] * 9 + [0.01049] * 3, "A", ""),
        ([0.010] * 9 + [0.01051] * 3, "C", "5.1 % within a process"),
        ([0.010] * 9 + [0.01, 0.02, 0.01], "A", ""),  # one interrupt moves no quarter
        ([0.0104, 0.0104, 0.0104, *[0.01] * 9], "A", ""),
        ([0.012, 0.012, 0.012, *[0.01] * 9], "C", "20.0 % within a process"),
        ([0.012, *[0.01] * 3], "A", ""),  # too few for quarters
        ([0.01049] * 4, "A", ""),
        ([0.01051] * 4, "C", "5.1 % between processes"),
        ([0.02] * 2, "A", ""),  # too few for a median
        ([], "A", ""),
    ],
)
def test_a_probe_that_drifts_was_disturbed(
    judge: Judge, probe: list[float], grade: str, where: str
) -> None:
    found, reasons = judge(process(probe=probe))
    assert found == grade
    expected = f"contaminated: the control probe, always the same work, drifted by {where}; measure"
    assert reasons[0].startswith(expected) == bool(where)


@pytest.mark.parametrize(
    ("problems", "grade", "expected"),
    [
        (["layer a gives inf or nan"], "D", ["layer a gives inf or nan"]),
        (["layer b: every output is zero"], "D", ["layer b: every output is zero"]),
        (["c: 12 % are subnormal"], "C", ["c: 12 % are subnormal"]),
        (
            ["c: 12 % are subnormal", "a gives nan", "b gives nan"],
            "D",
            ["a gives nan and 1 more like it", "c: 12 % are subnormal"],
        ),
    ],
)
def test_activations_that_are_no_work(
    judge: Judge, problems: list[str], grade: str, expected: list[str]
) -> None:
    """All processes see the same network, so each problem is said once."""
    found, reasons = judge(*[process("activations", problems=problems)] * 5)
    assert found == grade
    assert reasons == tuple(f"{one}; choose other weights, input or precision" for one in expected)


def test_a_gpu_that_was_slowed_or_shared(judge: Judge) -> None:
    slowed = process("sensors", blocks_marked=4, throttle_reasons=["power cap", "heat"])
    assert judge(slowed, device="cuda") == (
        "C",
        (
            "the GPU's clock stayed below 0.9 of the calibrated one in 1 of 5 processes "
            "(heat, power cap); let it cool, and look at its power limit",
        ),
    )
    shared = process("sensors", foreign_processes=[{"pid": 12}, {"pid": 13}])
    assert judge(shared, device="cuda") == (
        "C",
        ("other processes on the GPU: 2; measure when they are done",),
    )
    unknown = process("sensors", foreign_processes="not available: not among the 3 shown")
    assert judge(unknown, device="cuda")[0] == "A"


def test_settings_are_advised_on_and_cost_no_grade(judge: Judge) -> None:
    grade, reasons = judge(
        machine=MACHINE | {"governor": "powersave"},
        variables={"MALLOC_ARENA_MAX": "1", "CUDA_VISIBLE_DEVICES": "0", "OMP_NUM_THREADS": "1"},
    )
    assert grade == "A"
    assert reasons[1:] == (
        "the power governor is powersave; performance gives steadier figures",
        "set in this environment: MALLOC_ARENA_MAX; unset what you did not mean to set",
    )


def test_the_worst_finding_decides_and_all_are_said(judge: Judge) -> None:
    disturbed = process("sentinels", steal_share=0.02, cpu_share=0.5)
    grade, reasons = judge(disturbed, half=0.3)
    assert grade == "D"
    assert [reason.split()[0] for reason in reasons] == ["latency's", "a", "the"]
    assert not [reason for reason in reasons if "no disturbance" in reason]


def test_a_process_without_a_sample_does_not_count(case: Callable[..., Case]) -> None:
    """It was interrupted before the first."""
    samples = ((0.02, 0.021), (), (0.02, 0.021))
    item = Measurement("latency", samples, details={"processes": [process()] * 3, "half": HALF})
    measured = Measured(case(), {"machine": MACHINE}, [item], interrupted=True)
    assert quality(measured) == (
        "C",
        (
            "latency comes from 2 processes; budget=standard takes 5",
            "interrupted: this is what was measured until then",
        ),
    )


def test_an_old_record_s_latency_of_one_process(case: Callable[..., Case]) -> None:
    old = Measured(case(), {"machine": {}}, [Measurement("latency", ((0.02, 0.021),))])
    grade, reasons = quality(old)
    assert grade == "D"
    assert "one process" in reasons[0]


@pytest.mark.parametrize(
    ("peaks", "grade", "reason"),
    [
        ((1000,), "C", "peak memory comes from one process; measure again to compare"),
        ((1000, 1000), "B", "peak memory comes from 2 processes; measure again to compare"),
        (
            (1000, 1000, 1009),
            "A",
            "3 processes agree on peak_memory within 0.9 %, no disturbance seen",
        ),
        ((1000, 1000, 1011), "B", "peak_memory differs by 1.1 % between processes; measure again"),
        ((1000, 1000, 1051), "C", "peak_memory differs by 5.1 % between processes; measure again"),
        ((1000, 1000, 1201), "D", "peak_memory differs by 20.1 % between processes; measure again"),
    ],
)
def test_peak_memory_alone_is_graded_by_its_processes(
    case: Callable[..., Case], peaks: tuple[int, ...], grade: str, reason: str
) -> None:
    item = Measurement("peak_memory", tuple((peak,) for peak in peaks))
    assert quality(Measured(case(), {}, [item])) == (grade, (reason,))


def test_peak_memory_does_not_grade_a_latency(judge: Judge, case: Callable[..., Case]) -> None:
    timed = Measurement(
        "latency",
        tuple((median,) for median in MEDIANS),
        details={"processes": [process()] * 5, "half": HALF},
    )
    peak = Measurement("peak_memory", ((1000,),))
    measured = Measured(case(), {"machine": MACHINE}, [timed, peak])
    assert quality(measured) == judge()


def test_counts_need_no_grade(case: Callable[..., Case]) -> None:
    measured = Measured(case(), {}, [exact("params", 1)])
    assert quality(measured) == (None, ("nothing but counts, which are exact",))


def test_remarks_stay_whatever_the_grade(case: Callable[..., Case]) -> None:
    """What profilers, weights and Ctrl-C have to say follows what was found."""
    item = Measurement("peak_memory", ((1000,),) * 3, details={"remarks": ["odd"]})
    weights = {"format": "timm", "warnings": ["padding is assumed"], "remarks": ["averaged"]}
    measured = Measured(case(), {"weights": weights}, [item], interrupted=True)
    assert quality(measured)[1] == (
        "padding is assumed",
        "3 processes agree on peak_memory within 0.0 %, no disturbance seen",
        "peak memory includes reading the checkpoint",
        "averaged",
        "odd",
        "interrupted: this is what was measured until then",
    )


def test_grades_are_ordered_from_the_best() -> None:
    """The worst one is found by comparing letters."""
    assert list(GRADES) == sorted(GRADES)
