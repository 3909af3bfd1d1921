"""Records refuse nonsense, and come back from JSON as they went."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from made import record

from benchbench.cases import Case
from benchbench.environment import fingerprint, machine_environment
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import Measurement, absent, exact
from benchbench.profilers.complexity import complexity
from benchbench.records import Quality, Record, from_dict


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    small = case()
    counted = complexity(small)
    latency = Measurement("latency", samples=((0.0021, 0.002, 0.0022),), details={"a": [1, 2]})
    measured = Measured(
        small,
        machine_environment(),
        [*counted.measurements, latency, absent("flops_fvcore", "too large")],
        counted.layers,
    )
    return record(measured, task="profile", settings={"seed": 0}, command="python", tag="1e5")


def test_a_record_survives_json(made: Record) -> None:
    assert from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_a_record_cannot_be_changed(made: Record) -> None:
    with pytest.raises(FrozenInstanceError):
        made.tag = "other"  # type: ignore[misc]


def test_raw_samples_are_kept_in_order(made: Record) -> None:
    assert made["latency"].flat == (0.0021, 0.002, 0.0022)
    assert made["latency"].value == 0.0021
    assert made["latency"].interval is None  # three samples say too little


def test_one_process_alone_is_not_to_be_trusted(made: Record) -> None:
    assert made.quality.grade == "D"
    assert "one process" in made.quality.reasons[0]


def test_an_accuracy_is_a_mean_with_wilsons_interval() -> None:
    """Newcombe 1998, Table I: 81 of 263."""
    top1 = Measurement("top1", samples=((1,) * 81 + (0,) * 182,))
    assert top1.value == pytest.approx(81 / 263)
    assert top1.interval is not None
    assert top1.interval[:2] == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("architectures.resnet.ResNet", "weights are random, so the accuracy is chance"),
        ("their.Net", "weights are what their.Net starts with: if random, the accuracy is chance"),
    ],
)
def test_the_quality_of_an_accuracy_says_whose_weights(
    case: Callable[..., Case], target: str, expected: str
) -> None:
    top1 = Measurement("top1", samples=((1,),), details={"remarks": ["2 images are odd"]})
    measured = Measured(case(target=target), machine_environment(), [top1])
    made = record(measured, task="accuracy", settings={}, command="")
    assert made.quality.grade is None
    assert made.quality.reasons == (
        expected,
        "the interval is about the choice of images alone",
        "2 images are odd",
    )


def test_a_record_from_before_labels_is_read(made: Record) -> None:
    document = made.as_dict()
    del document["case"]["labels"]
    assert from_dict(document) == made


def test_nonsense_is_refused(made: Record) -> None:
    twice = (*made.measurements, made.measurements[0])
    with pytest.raises(ValueError, match="each once"):
        replace(made, measurements=twice)
    with pytest.raises(ValueError, match="metrics"):
        replace(made, measurements=())
    with pytest.raises(ValueError, match="schema_version 99"):
        replace(made, schema_version=99)
    with pytest.raises(ValueError, match="allowed are A, B, C, D"):
        Quality("E", ("why",))
    with pytest.raises(ValueError, match="reasons"):
        Quality(None, ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "mac", "samples": ((1,),)}, "unknown metric 'mac'"),
        ({"metric": "latency", "samples": ((-1.0,),)}, "finite number"),
        ({"metric": "latency", "samples": ((float("nan"),),)}, "finite number"),
        ({"metric": "latency", "samples": ((float("inf"),),)}, "finite number"),
        ({"metric": "latency"}, "the reason for none"),
        ({"metric": "latency", "samples": ((1.0,),), "reason": "none"}, "the reason for none"),
    ],
)
def test_a_measurement_refuses_nonsense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(**arguments)


def test_an_exact_value_stays_a_whole_number() -> None:
    value = exact("multiply_adds", 93353452112).value
    assert value == 93353452112
    assert isinstance(value, int)


def test_nothing_measured_is_no_record(case: Callable[..., Case]) -> None:
    with pytest.raises(UserError, match="nothing was measured"):
        record(Measured(case(), machine_environment()), task="profile", settings={}, command="")


def test_a_fingerprint_leaves_the_commit_out_and_the_machine_in() -> None:
    environment = machine_environment()
    assert fingerprint(environment) == fingerprint(environment | {"git": {"commit": "other"}})
    assert fingerprint(environment) != fingerprint(environment | {"python": "3.99"})
    other = environment | {"machine": environment["machine"] | {"cpu": "another"}}
    assert fingerprint(environment) != fingerprint(other)
