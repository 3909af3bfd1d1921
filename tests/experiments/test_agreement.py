"""What a record of an agreement is worth."""

from __future__ import annotations

from collections.abc import Callable

from made import record

from benchbench.cases import Case
from benchbench.experiments.agreement import judge
from benchbench.measure import Measured
from benchbench.measurements import Measurement

DETAILS = {
    "crops": {"count": 2, "areas": [0.35, 1.0], "shapes": [0.75, 4 / 3]},
    "images": 1,
    "confident": 1,
    "sure": 0.5,
    "calibration": None,
    "remarks": [],
}
MACHINE = {"machine": {"cpu": "Imaginary CPU"}}


def test_measured_is_done(case: Callable[..., Case]) -> None:
    found = Measurement("agreement", samples=((1, 0),), details=DETAILS)
    result = judge(record(Measured(case(crops=2), MACHINE, [found]), task="agreement"))
    assert (result.exit_code, result.why_none) == (0, None)
    assert (result.crops["count"], result.images, result.confident) == (2, 1, 1)


def test_ended_while_the_runtime_was_prepared_is_no_evidence(case: Callable[..., Case]) -> None:
    found = Measurement("preparation_time", samples=((1.5,),))
    measured = Measured(case(crops=2), MACHINE, [found], interrupted=True)
    result = judge(record(measured, task="agreement"))
    assert result.exit_code == 3
    assert result.why_none == "interrupted before the first batch"
    assert result.confident == 0
