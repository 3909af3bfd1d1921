"""What a GPU's driver tells through NVML while something is measured, and the guard on its clock.

What a driver does not tell is None or "not available": never an error, a zero or a guess.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

NOT_AVAILABLE = "not available"
SM_CLOCK, MEMORY_CLOCK, GPU_TEMPERATURE = 1, 2, 0  # enumerators of nvml.h
# nvmlClocksEventReasons of nvml.h: what holds the clock down against the load's wish ...
THROTTLE_REASONS = {
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x200: "board limit",
    0x400: "reliability",
}
# ... and what somebody set, or the lack of load.
CLOCK_SETTINGS = {
    0x001: "idle",
    0x002: "applications clocks",
    0x010: "sync boost",
    0x100: "display clock",
}

LOAD_SECONDS = 0.15  # of load, before a clock is believed
READING_SECONDS = 0.05  # between two clocks: the driver repeats itself within less
CALIBRATION_SECONDS = 3.0  # after which a clock that never settled is taken as it is
AGREEMENT = 0.02  # a step of the clock is 15 MHz: 1 % of a slow one
LEAST_CLOCK = 0.9  # of the calibrated one
MOST_REJECTIONS = 3  # in a row: a GPU that stays slow is measured as it is, and marked


class Reading(NamedTuple):
    """One look at a GPU; None is what its driver does not tell."""

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_watts: float | None = None  # averaged over 1 s by the driver, on Ampere and later
    temperature_celsius: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    clock_settings: tuple[str, ...] | None = None
    energy_joules: float | None = None  # since the driver was loaded
    utilisation: float | None = None  # share of the time that a kernel ran, 0 to 1
    processes: int | None = None  # that the driver shows on the GPU, ours among them
    # Process ids. None also where ours is not among those shown: then the ids may be of another
    # namespace, as in a container, and nobody can say which are foreign.
    foreign_processes: tuple[int, ...] | None = None


def ask(nvml: Any, question: str, *about: Any) -> Any:
    """What NVML answers; None for any refusal, also of a function this NVML does not have."""
    function = getattr(nvml, question, None)
    if function is None:
        return None
    try:
        return function(*about)
    except nvml.NVMLError:
        return None


def our_processes() -> frozenset[int]:
    """The ids of this process and of those it started."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return frozenset((os.getpid(), *(child.pid for child in children)))


@dataclass(frozen=True)
class Sensors:
    """The sensors of one GPU; without a `handle` every reading is None, and `missing` says why."""

    nvml: Any = None
    handle: Any = None
    missing: str | None = None
    ours: Callable[[], frozenset[int]] = our_processes

    def ask(self, question: str, *about: Any) -> Any:
        """What NVML answers about this GPU, None where it does not."""
        return None if self.handle is None else ask(self.nvml, question, self.handle, *about)

    def sm_clock_mhz(self) -> int | None:
        """The clock of the multiprocessors; no GPU that answers runs at 0 MHz."""
        return self.ask("nvmlDeviceGetClockInfo", SM_CLOCK) or None

    def power_watts(self) -> float | None:
        """What the whole board draws. Ampere and later: the average of the last second."""
        milliwatts = self.ask("nvmlDeviceGetPowerUsage")
        return milliwatts / 1e3 if milliwatts else None

    def energy_joules(self) -> float | None:
        """What the whole board took since its driver was loaded (Volta and later)."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption")
        return millijoules / 1e3 if millijoules else None

    def read(self) -> Reading:
        """Everything at once: takes milliseconds, so never inside a timed call."""
        reasons = self._clock_reasons()
        processes, foreign = self._processes()
        rates = self.ask("nvmlDeviceGetUtilizationRates")
        return Reading(
            sm_clock_mhz=self.sm_clock_mhz(),
            memory_clock_mhz=self.ask("nvmlDeviceGetClockInfo", MEMORY_CLOCK) or None,
            power_watts=self.power_watts(),
            temperature_celsius=self.ask("nvmlDeviceGetTemperature", GPU_TEMPERATURE),
            throttle_reasons=None if reasons is None else throttle_reasons(reasons),
            clock_settings=None if reasons is None else _names(reasons, CLOCK_SETTINGS),
            energy_joules=self.energy_joules(),
            utilisation=None if rates is None else rates.gpu / 100,
            processes=processes,
            foreign_processes=foreign,
        )

    def _clock_reasons(self) -> int | None:
        """A bit mask, under the name it has had since driver 535 or the one before."""
        found: int | None = self.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if found is None:
            found = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return found

    def _processes(self) -> tuple[int | None, tuple[int, ...] | None]:
        """How many processes the driver shows, and which of them are not ours."""
        compute = self.ask("nvmlDeviceGetComputeRunningProcesses")
        graphics = self.ask("nvmlDeviceGetGraphicsRunningProcesses")
        if compute is None and graphics is None:
            return None, None
        shown = {process.pid for process in (*(compute or ()), *(graphics or ()))}
        ours = self.ours()
        return len(shown), tuple(sorted(shown - ours)) if shown & ours else None


def open_sensors(uuid: str, nvml: Any = None) -> Sensors:
    """The sensors of the GPU with this UUID, as torch and NVML know it, "GPU-" or not before it.

    Without a driver, or one that does not know the GPU, these are sensors that tell nothing.
    """
    if nvml is None:
        import pynvml

        nvml = pynvml
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid.removeprefix('GPU-')}")
    except nvml.NVMLError as error:
        return Sensors(nvml, missing=f"NVML says: {error}")
    return Sensors(nvml, handle)


def throttle_reasons(mask: int) -> tuple[str, ...]:
    """The names of the bits that hold a clock down; a bit that nvml.h did not have is one too."""
    unknown = mask
    for bit in (*THROTTLE_REASONS, *CLOCK_SETTINGS):
        unknown &= ~bit
    named = _names(mask, THROTTLE_REASONS)
    return (*named, f"unknown ({unknown:#x})") if unknown else named


def _names(mask: int, names: dict[int, str]) -> tuple[str, ...]:
    return tuple(name for bit, name in names.items() if mask & bit)


@dataclass
class Watch:
    """The guard of a timing loop: blocks at a lower clock than the calibrated one are rejected.

    Judged against the clock this GPU settled at, not against a data sheet's, so that a GPU which
    is always held down is still measured. Clocks are never set.
    """

    sensors: Sensors
    calibrated_mhz: float | None = None
    settled: bool | None = None  # None: there was no clock to settle
    readings: list[Reading] = field(default_factory=list)
    rejected: int = 0
    marked_mhz: list[int] = field(default_factory=list)  # of the blocks kept although slow
    _in_a_row: int = 0

    def calibrate(
        self, load: Callable[[], bool], *, clock: Callable[[], float] = perf_counter
    ) -> None:
        """Load the GPU, 150 ms at least, until two readings of its clock agree; 3 s at most.

        `load` runs something for a few milliseconds; False ends the calibration. The calibrated
        clock is the median of the readings that agree, or of all where none did.
        """
        started = clock()
        due = started + LOAD_SECONDS
        found: list[int] = []
        while not self.settled and clock() - started < CALIBRATION_SECONDS and load():
            if clock() < due:
                continue
            reading = self.sensors.sm_clock_mhz()
            if reading is None:
                return
            found.append(reading)
            due = clock() + READING_SECONDS
            self.settled = _agree(found)
            self.calibrated_mhz = median(found[-2:] if self.settled else found)

    def observe(self) -> Reading:
        """Take a reading into the summary, and judge nothing."""
        self.readings.append(self.sensors.read())
        return self.readings[-1]

    def accepts(self) -> bool:
        """Whether the block that just ended counts. After three rejections in a row it does."""
        clock = self.observe().sm_clock_mhz
        if clock is None or self.calibrated_mhz is None:
            return True
        if clock >= LEAST_CLOCK * self.calibrated_mhz:
            self._in_a_row = 0
            return True
        if self._in_a_row == MOST_REJECTIONS:
            self.marked_mhz.append(clock)
            return True
        self._in_a_row += 1
        self.rejected += 1
        return False

    def summary(self) -> dict[str, Any]:
        """For a record: what was seen after the blocks, in the units that the keys name."""
        return {
            "missing": self.sensors.missing,
            "calibrated_sm_clock_mhz": self.calibrated_mhz or NOT_AVAILABLE,
            "clock_settled": NOT_AVAILABLE if self.settled is None else self.settled,
            "sm_clock_mhz": _spread(reading.sm_clock_mhz for reading in self.readings),
            "memory_clock_mhz": _spread(reading.memory_clock_mhz for reading in self.readings),
            "temperature_celsius": _spread(item.temperature_celsius for item in self.readings),
            "power_watts": _spread(reading.power_watts for reading in self.readings),
            "throttle_reasons": _seen(reading.throttle_reasons for reading in self.readings),
            "clock_settings": _seen(reading.clock_settings for reading in self.readings),
            "foreign_processes": self._foreign(),
            "blocks_rejected": self.rejected,
            "blocks_marked": len(self.marked_mhz),
            "remarks": self._remarks(),
        }

    def _foreign(self) -> list[Any] | str:
        found = _seen(reading.foreign_processes for reading in self.readings)
        shown = [item.processes for item in self.readings if item.processes is not None]
        if found != NOT_AVAILABLE or not shown:
            return found
        return (
            f"{NOT_AVAILABLE}: this process is not among the {max(shown)} that the driver shows, "
            "whose ids may be of another namespace"
        )

    def _remarks(self) -> list[str]:
        remarks = []
        if self.settled is False:
            remarks.append(f"the clock did not settle within {CALIBRATION_SECONDS:g} s of load")
        if self.marked_mhz:
            remarks.append(
                f"measured at {median(self.marked_mhz):g} MHz, calibrated at "
                f"{self.calibrated_mhz:g} MHz: {len(self.marked_mhz)} blocks"
            )
        return remarks


def _agree(clocks: list[int]) -> bool:
    """Whether the last two are the same within a step."""
    *_, before, last = (0, *clocks)
    return abs(last - before) <= AGREEMENT * max(last, before)


def _spread(values: Iterable[float | None]) -> dict[str, float] | str:
    known = [value for value in values if value is not None]
    if not known:
        return NOT_AVAILABLE
    return {"minimum": min(known), "median": median(known), "maximum": max(known)}


def _seen(values: Iterable[tuple[Any, ...] | None]) -> list[Any] | str:
    known = [value for value in values if value is not None]
    return sorted({item for value in known for item in value}) if known else NOT_AVAILABLE
