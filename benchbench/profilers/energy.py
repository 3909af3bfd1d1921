"""Energy of one call, batch included, above what the idle GPU takes: measured apart from timing.

Two ways from two sensors: the driver's counter of energy, and its power integrated over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import sleep
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.runtimes.cuda import Cuda, completions, open_cuda
from benchbench.runtimes.running import Running, prepare
from benchbench.sensors import NOT_AVAILABLE, Reading, Sensors, Watch, open_sensors
from benchbench.statistics.power import (
    PowerSample,
    counted_watts,
    integrated_watts,
    net_joules,
)

# The driver's power is the average of the last second (Ampere and later): what was before has to
# leave it first.
SETTLE_SECONDS = 1.5
IDLE_SECONDS = 3.0
LOADED_SECONDS = 5.0
SPACING_SECONDS = 0.025  # between two samples
MOST_CALLS = 2**16  # between two samples
INTERRUPTED = "interrupted before there were enough calls"

POWER: dict[str, Callable[[Sequence[PowerSample]], float]] = {
    "energy": counted_watts,
    "energy_integrated": integrated_watts,
}


class Load(NamedTuple):
    """Samples under load and how many calls were completed from the first to the last of them."""

    samples: list[PowerSample]
    calls: int


def energy(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`energy` by the counter and `energy_integrated` by power; a missing sensor's is absent."""
    if case.device != "cuda":
        yield absent("energy", f"{NOT_AVAILABLE}: no energy sensor is read on the CPU")
        return
    cuda = open_cuda(case)
    sensors = open_sensors(cuda.uuid)
    silent = silent_sensors(sensors)
    if len(silent) < len(POWER):
        running = prepare(case).running()
        yield from _measured(running, cuda, sensors, silent, budget, beat)
    yield from (absent(metric, f"{NOT_AVAILABLE}: {why}") for metric, why in silent.items())


def silent_sensors(sensors: Sensors) -> dict[str, str]:
    """The metrics whose sensor tells nothing, and why."""
    told = {"energy": sensors.energy_joules(), "energy_integrated": sensors.power_watts()}
    names = {"energy": "total energy consumption", "energy_integrated": "power"}
    return {
        metric: sensors.missing or f"the driver does not tell this GPU's {names[metric]}"
        for metric, value in told.items()
        if value is None
    }


def _measured(
    running: Running,
    cuda: Cuda,
    sensors: Sensors,
    silent: dict[str, str],
    budget: BudgetSettings,
    beat: Beat,
) -> Iterator[Measurement]:
    """Idle first, with everything built, then back-to-back calls."""
    metrics = [metric for metric in POWER if metric not in silent]
    calls = _calls_between_samples(running, cuda)
    idle = _idle(cuda, sensors, lambda done: beat(0.4 * done))
    watch = Watch(sensors)
    before = sensors.read()
    seconds = max(budget.seconds, LOADED_SECONDS)
    load = _loaded(running, cuda, watch, calls, seconds, lambda done: beat(0.4 + 0.6 * done))
    if _span(idle) < IDLE_SECONDS or _span(load.samples) < seconds:
        yield from (absent(metric, INTERRUPTED) for metric in metrics)
        return
    for metric in metrics:
        yield _energy(metric, idle, load, _seen_idle(before) | {"sensors": watch.summary()})


def _energy(metric: str, idle: list[PowerSample], load: Load, seen: dict[str, Any]) -> Measurement:
    """Joules of a call, from the mean powers; absent where a sensor's own story fails."""
    seconds = _span(load.samples)
    try:
        idle_watts, loaded_watts = POWER[metric](idle), POWER[metric](load.samples)
        joules = net_joules(loaded_watts, idle_watts, seconds, load.calls)
    except ValueError as error:
        return absent(metric, f"{NOT_AVAILABLE}: {error}")
    details = {
        "idle_watts": idle_watts,
        "loaded_watts": loaded_watts,
        "joules": loaded_watts * seconds,  # idle included
        "idle_seconds": _span(idle),
        "seconds": seconds,
        "calls": load.calls,
        "samples": len(load.samples),
    }
    return Measurement(metric, samples=((joules,),), details={"processes": [details | seen]})


def _seen_idle(reading: Reading) -> dict[str, Any]:
    """What else tells whether idle was idle: only somebody else can have used the GPU then."""
    temperature, utilisation = reading.temperature_celsius, reading.utilisation
    return {
        "idle_temperature_celsius": NOT_AVAILABLE if temperature is None else temperature,
        "idle_utilisation": NOT_AVAILABLE if utilisation is None else utilisation,
    }


def _calls_between_samples(running: Running, cuda: Cuda) -> int:
    """How many calls fill the time between two samples; warms the network up as well."""
    calls = 1
    while True:
        started = cuda.clock()
        for _ in range(calls):
            running.call()
        running.synchronise()
        elapsed = cuda.clock() - started
        if elapsed >= SPACING_SECONDS and calls > 1:  # the first call is not like the others
            return max(1, round(calls * SPACING_SECONDS / elapsed))
        if calls >= MOST_CALLS:
            return calls
        calls *= 2


def _idle(cuda: Cuda, sensors: Sensors, beat: Beat) -> list[PowerSample]:
    """Samples of a GPU that has nothing to do."""
    samples: list[PowerSample] = []
    started = cuda.clock()
    while _span(samples) < IDLE_SECONDS:
        elapsed = cuda.clock() - started
        if not beat(min(elapsed / (SETTLE_SECONDS + IDLE_SECONDS), 1.0)):
            break
        if elapsed >= SETTLE_SECONDS:
            samples.append(_sample(cuda, sensors))
        sleep(SPACING_SECONDS)
    return samples


def _loaded(
    running: Running, cuda: Cuda, watch: Watch, calls: int, seconds: float, beat: Beat
) -> Load:
    """Samples of a GPU that calls without a pause, each taken when so many more are done."""
    samples: list[PowerSample] = []
    started = cuda.clock()
    for _ in completions(running.call, cuda, calls):
        elapsed = cuda.clock() - started
        if not beat(min(elapsed / (SETTLE_SECONDS + seconds), 1.0)):
            break
        if elapsed >= SETTLE_SECONDS:
            samples.append(_sample(cuda, watch.sensors))
        if _span(samples) >= seconds:
            watch.observe()  # the next calls are running
            break
    cuda.synchronise()
    return Load(samples, max(len(samples) - 1, 0) * calls)


def _sample(cuda: Cuda, sensors: Sensors) -> PowerSample:
    return PowerSample(cuda.clock(), sensors.power_watts(), sensors.energy_joules())


def _span(samples: list[PowerSample]) -> float:
    return samples[-1].seconds - samples[0].seconds if samples else 0.0
