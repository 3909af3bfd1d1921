"""A session of task=explain as made-up networks and a planted law would leave it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from made import in_turn, record

from benchbench.cases import Case
from benchbench.experiments.explain import ANCHOR, in_sets
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.records import Record

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "mnasnet", "shufflenet_v1", "efficientnet")
MACHINE = (1.0, 1.4, 0.9)  # what each process does to all networks
SETS = (1.0, 1.2, 0.8, 1.5)  # what the machine did while a set was measured


def counts(seed: int = 0) -> list[dict[str, float]]:
    """Of 60 networks: bytes are what families differ in, at equal multiply-adds."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(60):
        work = float(np.exp(random.uniform(np.log(20e6), np.log(800e6))))
        moved = work * 0.3 * (1 + number % 5) * float(np.exp(random.normal(0, 0.1)))
        found.append(
            {
                "params": float(random.integers(1e6, 9e6)),
                "multiply_adds": work,
                "activations": float(random.integers(1e6, 9e6)),
                "memory_access_fused": moved,
                "launches": float(random.integers(50, 300)),
                "family": number % 5,
            }
        )
    return found


def networks(case: Callable[..., Case]) -> list[Case]:
    targets = [f"architectures.{family}.Network" for family in FAMILIES]
    return [
        case(name=f"net{number}" if number else ANCHOR, target=targets[number % 5])
        for number in range(60)
    ]


def session(case: Callable[..., Case], law: Callable[[dict[str, float]], float]) -> list[Record]:
    """A session of sets: a latency by the law, times what the process and the set do to all."""
    known = dict(zip((c.name for c in networks(case)), counts(), strict=True))
    cases = in_sets(networks(case), [known[c.name]["multiply_adds"] for c in networks(case)], {})
    turns = list(dict.fromkeys(c.turn for c in cases))
    found = []
    for one in cases:
        numbers = known[one.name]
        disturbed = SETS[turns.index(one.turn) % len(SETS)]
        processes = [[law(numbers) * machine * disturbed] * 4 for machine in MACHINE]
        measurements: list[Measurement] = [
            exact(name, round(value)) for name, value in numbers.items() if name != "family"
        ]
        measurements.append(in_turn(processes, epoch_rounds=[2, 2]))
        environment = {"machine": {"cpu": "Imaginary CPU"}}
        measured = Measured(one, environment, measurements)
        settings = {"largest_multiply_adds": 1e9}
        command = "python -m benchbench task=explain"
        found.append(
            record(measured, task="explain", session="S", settings=settings, command=command)
        )
    return found


def by_bytes(numbers: dict[str, float]) -> float:
    return 1e-3 + numbers["memory_access_fused"] / 10e9
