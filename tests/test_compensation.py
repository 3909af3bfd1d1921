"""The factor that brings an edited network back to its base's multiply-adds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchbench.cases import Case
from benchbench.compensation import closest, compensated, multiply_adds
from benchbench.errors import UserError
from benchbench.networks import build

B0 = 385_814_752  # as torchvision's and timm's are counted: tests/reference/computed_counts.csv


@pytest.fixture
def b0(case: Callable[..., Case]) -> Callable[..., Case]:
    """EfficientNet-B0 with edits."""

    def make(*edits: str) -> Case:
        return case(
            name="B0",
            target="architectures.edited_mbconv.EditedMBConv",
            arguments={"base": "efficientnet", "edits": list(edits)},
            resolution=224,
        )

    return make


def counted_by_torch(case: Case) -> int:
    """Half of what torch's own counter calls FLOPs."""
    network = build(case, "meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(case.input_shape, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("guess", [1, 3, 800, 1999])
@pytest.mark.parametrize("seed", range(5))
def test_the_closest_step_is_found(seed: int, guess: int) -> None:
    """Against looking at every step of a staircase, wherever the search begins."""
    random = np.random.default_rng(seed)
    stairs = np.cumsum(random.integers(0, 50, 2000) * (random.random(2000) < 0.05)).tolist()
    target = int(stairs[-1] * random.uniform(0.2, 0.7))
    found = closest(lambda n: stairs[n], target, guess, (1, 1999))
    crossing = bisect_left(stairs, target)
    misses = [abs(stairs[n] - target) for n in (crossing - 1, crossing)]
    assert abs(stairs[found] - target) == min(misses)


def test_a_good_guess_costs_little() -> None:
    """The answer itself and its neighbour, of 10,000 steps."""
    looked: list[int] = []

    def count(n: int) -> int:
        looked.append(n)
        return 3 * n

    assert closest(count, 2100, 700, (1, 10_000)) == 700
    assert set(looked) <= {699, 700, 701}


def test_what_no_factor_reaches_is_said() -> None:
    with pytest.raises(ValueError, match="1,600 multiply-adds at most, and 1,601 are wanted"):
        closest(lambda n: n, 1601, 100, (1, 1600))
    with pytest.raises(ValueError, match="50 multiply-adds at least, and 10 are wanted"):
        closest(lambda n: max(n, 50), 10, 32, (2, 512))


def test_what_moves_little_is_left_alone(b0: Callable[..., Case]) -> None:
    """Squeeze-excite is 0.2 % of B0's multiply-adds: by hand, 2 x its weights."""
    weights = (32 * 8 + 96 * 4 + 144 * 6 + 144 * 6 + 240 * 10 + 240 * 10 + 2 * 480 * 20) + (
        480 * 20 + 2 * 672 * 28 + 672 * 28 + 3 * 1152 * 48 + 1152 * 48
    )
    assert multiply_adds(b0()) == B0
    found = compensated(b0("no_se"), B0)
    assert found.compensator == "none"
    assert found.case == b0("no_se")
    assert (found.factor, found.miss) == (1.0, found.moved)
    assert round(found.moved * B0) == -2 * weights


@pytest.mark.parametrize(
    ("edit", "miss"),
    [
        *(("expansion_4", 0.01), ("expansion_3", 0.01), ("expansion_1", 0.01)),
        *(("grouped_2", 0.01), ("grouped_4", 0.01), ("fused_early", 0.01), ("fused_late", 0.01)),
        *(("dw5_as_3x3_series", 0.01), ("patchify", 0.01), ("shuffle_unit", 0.01)),
        # No step of 8 or 16 channels comes nearer, which is said beside the result.
        *(("dw3", 0.014), ("aligned_16", 0.011)),
    ],
)
def test_b0_has_its_multiply_adds_again(b0: Callable[..., Case], edit: str, miss: float) -> None:
    """By torch's own counter, to the unit of what is said."""
    found = compensated(b0(edit), B0)
    assert found.compensator == "width"
    assert abs(found.moved) > 0.01
    assert abs(found.miss) < miss
    assert counted_by_torch(found.case) == round((1 + found.miss) * B0)
    assert (found.factor > 1) == (found.moved < 0)
    head = build(found.case, "meta").get_submodule("head.conv")
    assert head.weight.shape[0] == 1280  # type: ignore[union-attr,index]


def test_factors_of_others_are_only_where_the_search_begins(b0: Callable[..., Case]) -> None:
    own = compensated(b0("expansion_3"), B0)
    for known in ({own.moved: own.factor}, {-0.4: 2.0, 0.3: 0.5}):
        assert abs(compensated(b0("expansion_3"), B0, "width", known).miss) == abs(own.miss)


def test_no_width_nearby_would_do_better(b0: Callable[..., Case]) -> None:
    found = compensated(b0("dw3"), B0)
    others = []
    for step in range(-30, 31, 2):
        arguments = {**found.case.arguments, "width": found.factor + step / 1000}
        others.append(abs(multiply_adds(replace(found.case, arguments=arguments)) / B0 - 1))
    assert min(others) == pytest.approx(abs(found.miss))


def test_depth_and_resolution_make_up_for_it_as_well(b0: Callable[..., Case]) -> None:
    by_depth = compensated(b0("expansion_3"), B0, "depth")
    assert by_depth.case.arguments["depth"] == by_depth.factor > 1.5
    by_resolution = compensated(b0("expansion_3"), B0, "resolution")
    assert by_resolution.factor == by_resolution.case.resolution / 224 > 1.2
    assert by_resolution.case.arguments == b0("expansion_3").arguments
    for found in (by_depth, by_resolution):
        assert counted_by_torch(found.case) == round((1 + found.miss) * B0)
        assert abs(found.miss) < 0.05


def test_an_edit_that_cannot_be_made_up_for_is_refused(b0: Callable[..., Case]) -> None:
    with pytest.raises(UserError, match="B0: resolution cannot make up for the edit"):
        compensated(b0("expansion_3"), 1000 * B0, "resolution")
