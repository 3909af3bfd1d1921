"""Twins of equal multiply-adds, derived by hand, and costs of planted timings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import pytest
from audited import MACHINE, row, swapped
from made import in_turn

from benchbench.cases import Case
from benchbench.counting.split import Convolved, from_row, split
from benchbench.experiments.audit import Alike
from benchbench.experiments.swaps import cases, compliant, is_lone, judge_swaps
from benchbench.measurements import exact
from benchbench.records import Record


@pytest.mark.parametrize(
    ("found", "guideline", "expected"),
    [
        # sqrt(16 x 96) is 39.2: 40 x 40 is 4.2 % more, and whole vectors.
        (row(16, 96), "G1", (40, 40, 1)),
        (row(64, 256), "G1", (128, 128, 1)),
        # 58.8: 56 x 64 is 3.7 % more.
        (row(24, 144), "G1", (56, 64, 1)),
        # 7.7: 8 x 8 is 6.7 % more than 60 and 7 x 8 as much less, which is the larger factor.
        (row(10, 6), "G1", (8, 8, 1)),
        # Groups stay, and divide both: 24 is the least that 3 and 8 do.
        (row(240, 60, groups=3), "G1", (120, 120, 3)),
        # 42.4: multiples of 24 miss by a quarter, of 12 by 4 %.
        (row(30, 60, groups=3), "G1", (36, 48, 3)),
        # At stride 2 a quarter is written: as many elements are read with half the channels.
        (row(128, 128, stride=2), "G1", (64, 256, 1)),
        # Half the channels each: 1 / sqrt(4).
        (row(64, 256, groups=4), "G2", (32, 128, 1)),
        # Depthwise, 9.8: no 8 will do (8 x 8 and 8 x 16 miss by a third), but 8 x 12 is 96.
        (row(96, 96, groups=96, kernel=3), "depthwise", (8, 12, 1)),
        (row(144, 144, groups=144, kernel=3), "depthwise", (12, 12, 1)),
    ],
)
def test_widths_that_obey(found: Convolved, guideline: str, expected: tuple[int, int, int]) -> None:
    assert compliant(found, guideline) == expected


@pytest.mark.parametrize("guideline", ["G1", "G2"])
def test_a_twin_has_less_of_what_it_is_to_mend(guideline: str) -> None:
    for c1, c2, groups in ((240, 60, 3), (24, 144, 4), (320, 80, 8), (48, 240, 2)):
        before = row(c1, c2, groups=groups)
        twin = compliant(before, guideline)
        after = before._replace(
            **twin._asdict(), multiply_adds=before.multiply_adds * prod(twin[:2])
        )
        key = guideline.lower()
        excess = [getattr(split(one), key) / split(one).total for one in (before, after)]
        assert excess[1] < 0.1 * excess[0]


def test_cases_are_pairs_that_take_turns(case: Callable[..., Case]) -> None:
    """The network is by itself; an image keeps its channels; at most three of a guideline."""
    widths = ((3, 32), (16, 96), (24, 144), (32, 192), (64, 384))
    layers = [Alike((f"layer {c1}", "like it"), row(c1, c2), excess=1) for c1, c2 in widths]
    equal = Alike(("depthwise",), row(96, 96, groups=96, kernel=3, stride=2), excess=1)
    found = cases(case(weights="a file", input="a folder"), {"G1": layers, "depthwise": [equal]})
    network, *lone = found
    assert (network.name, network.turn) == ("mobilenet_v2", "network")
    assert [one.turn for one in lone] == [
        *("G1 1", "G1 1", "G1 2", "G1 2", "G1 3", "G1 3", "depthwise 1", "depthwise 1")
    ]
    own, twin = lone[:2]
    assert (own.name, twin.name) == ("layer 16 16 to 96", "layer 16 40 to 40")
    assert (own.input_shape, twin.input_shape) == ((1, 16, 56, 56), (1, 40, 56, 56))
    assert own.axes == {"role": "own", "guideline": "G1", "layer": "layer 16", "count": 2}
    assert (own.weights, own.input) == (None, "random")
    arguments = lone[-2].arguments
    assert (arguments["groups"], arguments["stride"], arguments["padding"]) == (96, [2, 2], [1, 1])
    assert lone[-1].arguments["groups"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"transposed": True},
        {"input_size": (56, 28)},
        {"input_size": (56,)},
        {"in_channels": 64, "out_channels": 64},
    ],
)
def test_what_has_no_twin_is_left_out(case: Callable[..., Case], changes: dict[str, Any]) -> None:
    alike = Alike(("layer",), row(16, 96)._replace(**changes), excess=1)
    assert len(cases(case(), {"G1": [alike]})) == 1


def test_a_twin_multiplies_as_often(case: Callable[..., Case]) -> None:
    """Counted, not computed from the widths that were chosen; 4 repeats each."""
    from benchbench.profilers.complexity import complexity

    alike = Alike(("layer",), row(96, 96, groups=96, kernel=3, stride=2), excess=1)
    _, *pair = cases(case(), {"depthwise": [alike]})
    counted = [complexity(one) for one in pair]
    assert counted[0].multiply_adds == counted[1].multiply_adds == 4 * 28 * 28 * 9 * 96
    paper = next(m for m in counted[0].measurements if m.metric == "memory_access_paper")
    rows = [from_row(found) for found in paper.details["convolutions"]]
    assert {one._replace(layer="layer") for one in rows} == {alike.row}


@pytest.fixture
def session(case: Callable[..., Case]) -> list[Record]:
    return swapped(case())


def test_the_cost_is_at_equal_work_and_of_all_alike(session: list[Record]) -> None:
    """10 ms less 6 ms / 1.2, of 4 repeats, three times: 3.75 ms, and 3.75 % of 100 ms.

    The share holds still though the machine does not.
    """
    (swap,) = judge_swaps(session)
    mean = sum(MACHINE) / 3
    assert swap.seconds == pytest.approx(mean * 0.00375)
    assert swap.miss == pytest.approx(0.2)
    assert swap.alike == 3
    assert swap.share == pytest.approx(0.0375)
    assert swap.share_interval is not None
    assert swap.share_interval.high - swap.share_interval.low < 1e-9
    # Student: 4.303 standard errors for 2 degrees of freedom.
    assert swap.interval is not None
    spread = (sum((m - mean) ** 2 for m in MACHINE) / 2) ** 0.5 * 0.00375
    assert swap.interval.high - swap.seconds == pytest.approx(4.303 * spread / 3**0.5, rel=1e-3)
    assert swap.decided


def test_kernels_that_differ_are_named(session: list[Record]) -> None:
    (swap,) = judge_swaps(session)
    assert swap.other_kernel is True
    assert swap.as_in_network is True
    unseen = [replace(r, measurements=r.measurements[:2]) for r in session]
    (swap,) = judge_swaps(unseen)
    assert swap.other_kernel is None
    assert swap.as_in_network is None


def test_a_layer_that_is_as_fast_decides_nothing(session: list[Record]) -> None:
    network, own, twin = session
    wobbling = [[0.012 * m * w] * 4 for m, w in zip(MACHINE, (0.9, 1.0, 1.1), strict=True)]
    equal = replace(
        twin, measurements=(exact("multiply_adds", 1200), in_turn(wobbling, epoch_rounds=[2, 2]))
    )
    (swap,) = judge_swaps([network, own, equal])
    assert not swap.decided
    assert swap.interval is not None
    assert swap.interval.low < 0 < swap.interval.high


def test_a_pair_that_was_not_timed_says_nothing(session: list[Record]) -> None:
    network, own, twin = session
    untimed = replace(twin, measurements=twin.measurements[:1])
    assert judge_swaps([network, own, untimed]) == []
    assert judge_swaps([network, own]) == []
    assert [is_lone(one) for one in session] == [False, True, True]


def test_without_the_networks_latency_there_is_no_share(session: list[Record]) -> None:
    network, own, twin = session
    uncounted = replace(network, measurements=network.measurements[:1])
    (swap,) = judge_swaps([uncounted, own, twin])
    assert swap.share is None
    assert swap.seconds > 0


def test_the_grade_is_the_worse_of_the_two(session: list[Record]) -> None:
    from benchbench.records import Quality

    network, own, twin = session
    good = replace(own, quality=Quality("A", ("fine",)))
    bad = replace(twin, quality=Quality("C", ("not so fine",)))
    (swap,) = judge_swaps([network, good, bad])
    assert swap.grade == "C"
