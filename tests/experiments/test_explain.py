"""What explains latency: planted laws over made-up networks, judged from records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
from planted_zoo import FAMILIES, MACHINE, SETS, by_bytes, counts, networks, session

from benchbench.cases import Case
from benchbench.errors import NoEvidence
from benchbench.experiments.explain import (
    ANCHOR,
    LEVELS,
    PREDICTORS,
    Explained,
    in_sets,
    judge,
    level,
)
from benchbench.statistics.fits import Form


@pytest.fixture
def explained(case: Callable[..., Case]) -> Explained:
    (way,) = judge(session(case, by_bytes)).ways
    return way


def test_sets_share_an_anchor_and_neighbours_in_cost(case: Callable[..., Case]) -> None:
    """59 others in sets of about 8; no set costs more than the next one."""
    work = [numbers["multiply_adds"] for numbers in counts()]
    known = dict(zip((c.name for c in networks(case)), work, strict=True))
    cases = in_sets(networks(case), work, {"large": 10})
    by_turn: dict[str, list[Case]] = {}
    for one in cases:
        by_turn.setdefault(one.turn, []).append(one)
    sets = list(by_turn.values())
    assert {len(found) for found in sets} <= {8, 9, 10}
    assert len(cases) == 59 + len(sets)
    for found in sets:
        anchors = [one.name for one in found if one.axes["anchor"]]
        assert anchors == [ANCHOR]
        assert found[0].axes["left_out"] == {"large": 10}
    costs = [[known[one.name] for one in found if not one.axes["anchor"]] for found in sets]
    assert all(max(first) <= min(second) for first, second in pairwise(costs))


def test_without_mobilenet_v2_the_network_in_the_middle_is_the_anchor(
    case: Callable[..., Case],
) -> None:
    cases = in_sets([case(name=name) for name in "abc"], [3.0, 1.0, 2.0], {})
    assert [one.name for one in cases if one.axes["anchor"]] == ["c"]
    assert {one.turn for one in cases} == {"eager fp32 1"}


def test_sets_are_compared_through_their_anchor(explained: Explained) -> None:
    """Whole sets were up to 1.9 times slower: the latencies are those of the law all the same.

    Times the geometric mean of what disturbed the anchor, that is of everything.
    """
    assert len(explained.networks) == 60
    known = dict(zip((f"net{n}" if n else ANCHOR for n in range(60)), counts(), strict=True))
    anchor = by_bytes(known[ANCHOR])
    for network in explained.networks:
        expected = by_bytes(known[network.record.case.name])
        assert network.log == pytest.approx(log(expected / anchor), abs=1e-9)
        assert len(network.logs) == 3
    typical = {n.seconds / by_bytes(known[n.record.case.name]) for n in explained.networks}
    assert max(typical) / min(typical) == pytest.approx(1)
    used = [SETS[number % 4] for number in range(len(explained.anchors))]
    disturbed = exp(np.mean(np.log(used)) + np.mean(np.log(MACHINE)))
    assert max(typical) == pytest.approx(disturbed)


def test_the_predictor_that_latency_follows_orders_every_pair(explained: Explained) -> None:
    by_name = {found.name: found for found in explained.predictors}
    right = {name: found.share.value for name, found in by_name.items() if found.share}
    assert right["memory_access_fused"] == 1.0
    assert 0.3 < right["params"] < 0.7
    assert 0.3 < right["launches"] < 0.7
    assert 0.35 < right["multiply_adds"] < 0.75
    assert by_name["memory_access_fused"].spearman == pytest.approx(1)
    assert by_name["memory_access_fused"].kendall is not None
    assert by_name["memory_access_fused"].kendall.value == pytest.approx(1)
    over = by_name["memory_access_fused"].over_baseline
    assert over is not None
    assert over.value == pytest.approx(1 - right["multiply_adds"])
    assert by_name["multiply_adds"].over_baseline is None


def test_pairs_are_of_other_families_and_of_like_cost(explained: Explained) -> None:
    assert explained.pairs
    for one, other in explained.pairs:
        first, second = explained.networks[one], explained.networks[other]
        assert first.family != second.family
        ratio = second.record["multiply_adds"].value / first.record["multiply_adds"].value  # type: ignore[operator]
        assert 1 / 1.2 <= ratio <= 1.2 + 1e-6
    # Nothing but exact factors disturbs these: every pair's order is certain.
    assert explained.decided == len(explained.pairs)


def test_the_fit_to_what_latency_is_made_of_has_no_error(explained: Explained) -> None:
    """Whatever family or level it has not seen; from multiply-adds alone it is far off."""
    errors = {(*fit.predictors, fit.form): (fit.by_family, fit.by_level) for fit in explained.fits}
    for found in errors["memory_access_fused", Form.LINEAR]:
        assert found is not None
        assert found.error == pytest.approx(0, abs=1e-6)  # bytes are counted in whole ones
    for found in errors["multiply_adds", Form.LINEAR]:
        assert found is not None
        assert found.error > 0.1
    by_family, by_level = errors["multiply_adds", "launches", Form.LINEAR]
    assert by_family is not None
    assert by_level is not None
    assert set(by_family.by_group) == set(FAMILIES)
    assert set(by_level.by_group) == {"40 M", "140 M", "300 M", "500 M"}


def test_predictors_that_some_network_has_not_are_named(explained: Explained) -> None:
    expected = {"params", "multiply_adds", "activations", "memory_access_fused", "launches"}
    assert {found.name for found in explained.predictors} == expected
    assert set(explained.missing) == set(PREDICTORS) - expected
    assert explained.over_probed is None
    assert set(explained.alike_names) == expected


def test_levels_are_those_of_the_papers_table() -> None:
    """Table 8 of arXiv:1807.11164 has networks of 40, 140, 300 and 500 M."""
    assert [level(one) for one in LEVELS] == ["40 M", "140 M", "300 M", "500 M"]
    assert level(1e9) == "500 M"
    assert level(1) == "40 M"
    assert level((140e6 * 300e6) ** 0.5 * 1.01) == "300 M"


def test_several_runtimes_are_explained_each_for_itself(case: Callable[..., Case]) -> None:
    """In the second, latency is in the launches."""
    eager = session(case, by_bytes)
    other = session(case, lambda numbers: numbers["launches"] * 1e-5)
    moved = [
        replace(
            one,
            id=f"{one.id}-2",
            case=replace(one.case, runtime="openvino", turn=f"openvino {one.case.turn}"),
        )
        for one in other
    ]
    first, second = judge([*eager, *moved]).ways
    assert (first.label, second.label) == ("eager fp32", "openvino fp32")
    best = [
        max(way.predictors, key=lambda found: found.share.value if found.share else 0)
        for way in (first, second)
    ]
    assert [found.name for found in best] == ["memory_access_fused", "launches"]


def test_what_was_not_timed_is_left_out(case: Callable[..., Case]) -> None:
    records = session(case, by_bytes)
    lost = records[3]
    kept = tuple(item for item in lost.measurements if item.metric != "latency")
    changed = [replace(one, measurements=kept) if one is lost else one for one in records]
    (way,) = judge(changed).ways
    assert len(way.networks) == 59
    assert lost.case.name not in {network.record.case.name for network in way.networks}


def test_no_evidence_without_sets_or_networks(case: Callable[..., Case]) -> None:
    with pytest.raises(NoEvidence, match="needs networks that took turns"):
        judge([])
    records = session(case, by_bytes)
    plain = [replace(one, case=replace(one.case, axes={}, turn="")) for one in records]
    with pytest.raises(NoEvidence, match="no set of networks has an anchor"):
        judge(plain)
    with pytest.raises(NoEvidence, match="2 networks were timed, and 3 are the fewest"):
        judge(records[:2])
