"""`task=audit` from the command line: counted, timed, judged from the store, and refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Finished

from benchbench.store import Store

Cli = Callable[..., Finished]
AUDIT = ("task=audit", "output=json")
COUNTED = (*AUDIT, "profiler=complexity")
SMALL = ("model=mobilenet_v3_small", "resolution=64")
BRIEF = (
    *("budget.processes=2", "budget.seconds=0.05", "budget.min_samples=6"),
    *("budget.warm_up_seconds=0", "budget.warm_up_limit_seconds=0.05"),
)


def test_counted_alone_it_needs_no_clock_and_can_be_judged_again(cli: Cli) -> None:
    finished = cli(*COUNTED, "model=mobilenet_v2", "tag=mine")
    assert (finished.code, finished.err) == (0, "")
    (found,) = finished.document["audits"]
    assert "G1" in found["breaks"]
    assert finished.document["swaps"] == []
    (record,) = Store("sqlite:///results/benchbench.sqlite").records()
    assert record.get("latency") is None
    cli(*COUNTED, "model=resnet18")
    again = cli("task=audit", "output=json", "records=mine")
    assert again.document["audits"] == finished.document["audits"]
    lenient = cli("task=audit", "output=json", "records=mine", "task.rule.g1=0.9")
    assert "G1" not in lenient.document["audits"][0]["breaks"]


def test_several_are_counted_and_said_something_of(cli: Cli) -> None:
    models = 'models=[mobilenet_v2,shufflenet_v1_g3_x1_0,"glob(resnet18*)"]'
    finished = cli(*AUDIT, models, "tag=many")
    assert finished.code == 0, finished.err
    names = [found["model"] for found in finished.document["audits"]]
    assert names == ["mobilenet_v2", "shufflenet_v1_g3_x1_0", "resnet18"]
    said = {one["saying"]: one["standing"] for one in finished.document["sayings"]}
    assert said["ShuffleNetV1 breaks G2"] == "CONFIRMED"  # the paper says so itself
    assert said["MnasNet breaks G3"] == "no evidence"
    again = cli("task=audit", "output=json", "records=many")
    assert again.document["sayings"] == finished.document["sayings"]


@pytest.mark.extended
def test_layers_are_timed_beside_their_twins(cli: Cli) -> None:
    """Whatever the clock says, every pair of the plan is there, with an interval."""
    planned = cli(*AUDIT, *SMALL, "plan=true").document["plan"]
    layers = [case for case in planned if case["axes"]["role"] == "own"]
    assert {case["axes"]["guideline"] for case in layers} == {"G1", "depthwise"}
    finished = cli(*AUDIT, *SMALL, "tag=timed", *BRIEF)
    assert finished.code == 0, finished.err
    swaps = finished.document["swaps"]
    assert [swap["layer"] for swap in swaps] == [case["axes"]["layer"] for case in layers]
    for swap in swaps:
        low, high = swap["cost"]["ci"]
        assert low <= swap["cost"]["value"] <= high
        assert abs(swap["multiply_adds_miss"]) < 0.2
        assert swap["share_of_latency"]["value"] is not None
    (found,) = finished.document["audits"]
    assert found["parallelism"]["weighed_by"] == "seconds at the measured roofs"
    assert 0 <= found["small_launches"] <= 1
    again = cli("task=audit", "output=json", "records=timed")
    assert again.document["swaps"] == swaps


def test_a_network_without_a_convolution_is_no_evidence(cli: Cli) -> None:
    finished = cli(
        *("task=audit", "profiler=complexity", "model._target_=architectures.blocks.Classifier"),
        *("model.resolution=8", "+model.in_channels=3", "+model.num_classes=10"),
    )
    assert finished.code == 3
    assert "executes no convolution that could be scored" in finished.err


MISTAKES = {
    "model=resnet18 models=[resnet50,resnet18]": ["model=NAME or models=[...]"],
    "model=resnet18 mode=train": ["mode=train", "forward"],
    "models=[resnet18]": ["models=[resnet18]", "at least two"],
    "records=nosuch": ["records=nosuch", "no record or tag"],
    "model=resnet18 task.rule.g1=-1": ["task.rule.g1=-1", "number from 0 on"],
    "model=resnet18 +task.rule.g5=1": ["g5", "g3_operations"],
    "model=resnet18 +task.limits=1": ["task.limits", "task.rule"],
    "runtimes=[eager,openvino]": ["runtimes", "only task=rank"],
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_mistakes_are_named_in_one_line(cli: Cli, arguments: str) -> None:
    finished = cli("task=audit", *arguments.split(" "))
    assert finished.code in (2, 3)
    assert len(finished.err.strip().splitlines()) == 1
    for part in MISTAKES[arguments]:
        assert part in finished.err
