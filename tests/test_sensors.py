"""Sensors and the clock guard, with a driver that the test speaks for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from fake_gpu import fake_nvml, refusal

from benchbench.sensors import (
    CLOCK_SETTINGS,
    THROTTLE_REASONS,
    Reading,
    Sensors,
    Watch,
    open_sensors,
    our_processes,
    throttle_reasons,
)

OURS, CHILD, STRANGER = 10, 11, 99


def processes(*ids: int) -> Callable[[Any], list[Any]]:
    return lambda _: [SimpleNamespace(pid=number) for number in ids]


ANSWERS: dict[str, Callable[..., Any]] = {
    "nvmlDeviceGetClockInfo": lambda _, kind: {
        pynvml.NVML_CLOCK_SM: 1980,
        pynvml.NVML_CLOCK_MEM: 2619,
    }[kind],
    "nvmlDeviceGetPowerUsage": lambda _: 345_678,  # mW
    "nvmlDeviceGetTotalEnergyConsumption": lambda _: 12_345_678,  # mJ
    "nvmlDeviceGetTemperature": lambda _, kind: {pynvml.NVML_TEMPERATURE_GPU: 51}[kind],
    "nvmlDeviceGetCurrentClocksEventReasons": lambda _: (
        pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonGpuIdle
    ),
    "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=73, memory=20),
    "nvmlDeviceGetComputeRunningProcesses": processes(OURS, CHILD),
    "nvmlDeviceGetGraphicsRunningProcesses": processes(STRANGER),
}
FULL = Reading(
    sm_clock_mhz=1980,
    memory_clock_mhz=2619,
    power_watts=345.678,
    temperature_celsius=51,
    throttle_reasons=("software power cap",),
    clock_settings=("idle",),
    energy_joules=12345.678,
    utilisation=0.73,
    processes=3,
    foreign_processes=(STRANGER,),
)


def sensors(**changes: Callable[..., Any]) -> Sensors:
    return Sensors(fake_nvml(**(ANSWERS | changes)), "gpu", ours=lambda: frozenset((OURS, CHILD)))


def test_a_reading_in_si_units_but_for_the_clocks() -> None:
    assert sensors().read() == FULL


@pytest.mark.parametrize(
    ("question", "fields"),
    [
        ("nvmlDeviceGetClockInfo", ("sm_clock_mhz", "memory_clock_mhz")),
        ("nvmlDeviceGetPowerUsage", ("power_watts",)),
        ("nvmlDeviceGetTotalEnergyConsumption", ("energy_joules",)),
        ("nvmlDeviceGetTemperature", ("temperature_celsius",)),
        ("nvmlDeviceGetCurrentClocksEventReasons", ("throttle_reasons", "clock_settings")),
        ("nvmlDeviceGetUtilizationRates", ("utilisation",)),
    ],
)
@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_GPU_IS_LOST])
def test_what_a_driver_does_not_tell_is_none_and_the_rest_is_told(
    question: str, fields: tuple[str, ...], code: int
) -> None:
    found = sensors(**{question: refusal(code)}).read()
    assert found == FULL._replace(**dict.fromkeys(fields))


def test_a_power_or_clock_of_zero_is_no_reading() -> None:
    nothing = {name: lambda *_: 0 for name in ANSWERS if "Clock" in name or "Power" in name}
    found = sensors(**nothing, nvmlDeviceGetTotalEnergyConsumption=lambda _: 0).read()
    assert (found.sm_clock_mhz, found.power_watts, found.energy_joules) == (None, None, None)


def test_an_older_driver_has_the_reasons_under_their_older_name() -> None:
    found = sensors(
        nvmlDeviceGetCurrentClocksEventReasons=refusal(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: 0x40,
    ).read()
    assert found.throttle_reasons == ("hardware thermal slowdown",)


def test_an_nvml_without_a_function_is_no_error() -> None:
    old = fake_nvml(**ANSWERS)
    del old.nvmlDeviceGetTotalEnergyConsumption
    found = Sensors(old, "gpu", ours=lambda: frozenset((OURS, CHILD))).read()
    assert found == FULL._replace(energy_joules=None)


def test_every_bit_of_the_driver_has_a_name_and_only_slowdowns_throttle() -> None:
    """The constants are those that nvidia-ml-py takes from nvml.h."""
    assert not THROTTLE_REASONS.keys() & CLOCK_SETTINGS.keys()
    assert sum(THROTTLE_REASONS) + sum(CLOCK_SETTINGS) == pynvml.nvmlClocksThrottleReasonAll
    harmless = (
        pynvml.nvmlClocksEventReasonGpuIdle
        | pynvml.nvmlClocksEventReasonApplicationsClocksSetting
        | pynvml.nvmlClocksEventReasonSyncBoost
        | pynvml.nvmlClocksEventReasonDisplayClockSetting
    )
    assert throttle_reasons(harmless) == ()
    for name, said in {
        "SwPowerCap": "software power cap",
        "HwSlowdown": "hardware slowdown",
        "SwThermalSlowdown": "software thermal slowdown",
        "HwThermalSlowdown": "hardware thermal slowdown",
        "HwPowerBrakeSlowdown": "hardware power brake",
    }.items():
        assert throttle_reasons(getattr(pynvml, f"nvmlClocksEventReason{name}")) == (said,)
    assert throttle_reasons(0x8004) == ("software power cap", "unknown (0x8000)")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"nvmlInit": refusal(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)}, "NVML Shared Library"),
        ({"nvmlDeviceGetHandleByUUID": refusal(pynvml.NVML_ERROR_NOT_FOUND)}, "Not Found"),
    ],
)
def test_without_a_driver_or_its_gpu_there_are_sensors_that_tell_nothing(
    answers: dict[str, Any], said: str
) -> None:
    found = open_sensors("1-2", fake_nvml(**(ANSWERS | answers)))
    assert found.read() == Reading()
    assert found.energy_joules() is None
    assert said in str(found.missing)


@pytest.mark.parametrize("uuid", ["1-2", "GPU-1-2"])
def test_a_gpu_is_found_by_its_uuid(uuid: str) -> None:
    assert open_sensors(uuid, fake_nvml()).handle == "GPU-1-2"


@pytest.mark.parametrize("shown", [(), (STRANGER,), (STRANGER, 98)])
def test_where_our_own_process_is_not_shown_none_is_called_foreign(shown: tuple[int, ...]) -> None:
    found = sensors(
        nvmlDeviceGetComputeRunningProcesses=processes(*shown),
        nvmlDeviceGetGraphicsRunningProcesses=processes(),
    )
    assert found.read().processes == len(shown)
    assert found.read().foreign_processes is None
    watch = Watch(found)
    watch.observe()
    said = watch.summary()["foreign_processes"]
    assert said.startswith(f"not available: this process is not among the {len(shown)} ")


def test_a_driver_that_shows_no_processes_leaves_them_unknown() -> None:
    hidden = {name: refusal() for name in ANSWERS if "RunningProcesses" in name}
    found = sensors(**hidden)
    assert (found.read().processes, found.read().foreign_processes) == (None, None)
    assert Watch(found).summary()["foreign_processes"] == "not available"


def test_ours_are_this_process_and_its_children() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= our_processes()
        assert os.getppid() not in our_processes()
        child.communicate(b"\n")


class Clocks:
    """A driver whose SM clock takes these values, one a question, the last one for ever."""

    def __init__(self, *mhz: int) -> None:
        self.asked_at: list[float] = []
        self.now = 50.0
        self._left = list(mhz)

    def sensors(self) -> Sensors:
        return sensors(nvmlDeviceGetClockInfo=lambda _, kind: self._next() if kind == 1 else 2619)

    def _next(self) -> int:
        self.asked_at.append(self.now)
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def load(self) -> bool:
        self.now += 0.01
        return True


def calibrated(*mhz: int) -> tuple[Watch, Clocks]:
    clocks = Clocks(*mhz)
    watch = Watch(clocks.sensors())
    watch.calibrate(clocks.load, clock=lambda: clocks.now)
    return watch, clocks


def test_the_calibrated_clock_is_the_one_that_two_readings_agree_on() -> None:
    """On the way up from idle, 210 and 1500 MHz do not count."""
    watch, clocks = calibrated(210, 1500, 1965, 1980)
    assert (watch.settled, watch.calibrated_mhz) == (True, 1972.5)
    assert len(clocks.asked_at) == 4
    assert clocks.asked_at[0] >= 50.15  # 150 ms of load first


def test_readings_are_apart_or_a_repeated_one_would_look_settled() -> None:
    _, clocks = calibrated(210, 1500, 1965, 1980)
    gaps = [b - a for a, b in zip(clocks.asked_at, clocks.asked_at[1:], strict=False)]
    assert min(gaps) >= 0.05 - 1e-9


def test_a_clock_that_never_settles_is_taken_as_it_is_and_said() -> None:
    swinging = [1000, 1500] * 100
    watch, clocks = calibrated(*swinging)
    assert watch.settled is False
    assert watch.calibrated_mhz in (1000, 1250, 1500)
    assert clocks.now - 50.0 == pytest.approx(3.0, abs=0.02)
    assert watch.summary()["remarks"] == ["the clock did not settle within 3 s of load"]


def test_a_load_that_is_told_to_stop_ends_the_calibration() -> None:
    clocks = Clocks(1980)
    watch = Watch(clocks.sensors())
    answers: Iterator[bool] = iter([True, True, False])
    watch.calibrate(lambda: next(answers), clock=lambda: clocks.now)
    assert (watch.calibrated_mhz, clocks.asked_at) == (None, [])


def watched(*mhz: int) -> tuple[Watch, list[bool]]:
    """A watch calibrated at 2000 MHz, and its verdicts on blocks at these clocks."""
    watch = Watch(Clocks(*mhz).sensors(), calibrated_mhz=2000.0, settled=True)
    return watch, [watch.accepts() for _ in mhz]


def test_a_block_under_nine_tenths_of_the_clock_is_rejected() -> None:
    watch, verdicts = watched(2000, 1800, 1799, 2010)
    assert verdicts == [True, True, False, True]
    found = watch.summary()
    assert (found["blocks_rejected"], found["blocks_marked"], found["remarks"]) == (1, 0, [])
    assert found["sm_clock_mhz"] == {"minimum": 1799, "median": 1900, "maximum": 2010}


def test_after_three_in_a_row_blocks_are_kept_and_marked() -> None:
    watch, verdicts = watched(1400, 1410, 1400, 1395, 1410, 1425)
    assert verdicts == [False] * 3 + [True] * 3
    found = watch.summary()
    assert (found["blocks_rejected"], found["blocks_marked"]) == (3, 3)
    assert found["remarks"] == ["measured at 1410 MHz, calibrated at 2000 MHz: 3 blocks"]


def test_a_good_block_starts_the_count_anew() -> None:
    _, verdicts = watched(1400, 1400, 2000, 1400, 1400, 1400, 1400, 2000, 1400)
    assert verdicts == [False, False, True, False, False, False, True, True, False]


def test_a_summary_has_temperature_power_reasons_and_strangers() -> None:
    watch, _ = watched(2000)
    found = watch.summary()
    assert found["temperature_celsius"] == {"minimum": 51, "median": 51, "maximum": 51}
    assert found["power_watts"]["median"] == 345.678
    assert found["throttle_reasons"] == ["software power cap"]
    assert found["clock_settings"] == ["idle"]
    assert found["foreign_processes"] == [STRANGER]
    assert (found["calibrated_sm_clock_mhz"], found["missing"]) == (2000, None)


def test_without_sensors_every_block_counts_and_nothing_is_available() -> None:
    watch = Watch(Sensors(missing="NVML says: Driver Not Loaded"))
    watch.calibrate(lambda: True, clock=iter(range(100)).__next__)
    assert [watch.accepts() for _ in range(5)] == [True] * 5
    found = watch.summary()
    numbers = {"missing", "blocks_rejected", "blocks_marked", "remarks"}
    assert {found[key] for key in found.keys() - numbers} == {"not available"}
    assert found["missing"] == "NVML says: Driver Not Loaded"
    assert (found["blocks_rejected"], found["blocks_marked"], found["remarks"]) == (0, 0, [])
