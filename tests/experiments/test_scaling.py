"""What scaling costs: counts by hand, planted latencies, and stored records judged again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from math import log
from typing import Any

import pytest
from conftest import Finished
from made import in_turn, record
from rich.console import Console

from architectures.scaling import Scale, compound, grid, growth, nearest
from benchbench.cases import Case
from benchbench.errors import NoEvidence
from benchbench.experiments.scaling import CURRENCIES, Scaling, judge
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement, exact
from benchbench.records import Record
from benchbench.report.scaling import scaling_document, scaling_rows, scaling_tables
from benchbench.store import Store

MACHINE = (1.0, 1.3, 0.9)
WOBBLE = (0.99, 1.0, 1.01)  # of each scaled network, process by process


def made(
    case: Case, counts: dict[str, float], seconds: float | None = None, blocks: int = 0
) -> Record:
    """A record of these counts; those that are not given are a thousand."""
    measurements: list[Measurement] = [
        exact(name, round(counts.get(name, 1000))) for name in CURRENCIES
    ]
    if seconds is not None:
        wobble = WOBBLE if case.axes.get("way") != "baseline" else (1.0,) * 3
        processes = [[seconds * a * b] * 4 for a, b in zip(MACHINE, wobble, strict=True)]
        measurements.append(in_turn(processes, epoch_rounds=[2, 2]))
        measurements.append(Measurement("peak_memory", tuple((seconds * 1e9,) for _ in range(3))))
        measurements.append(Measurement("predicted_latency", ((seconds / 2,),)))
    layer = Layer("b", "depthwise 3x3", (1, 8, 4, 4), 0, 1, 1, 1, 1, 1, 1)
    layers = tuple(replace(layer, name=f"b{number}") for number in range(blocks))
    measured = Measured(case, {"machine": {"cpu": "Imaginary CPU"}}, measurements, layers)
    return record(measured, task="scaling", session="S", tag="kept", command="benchbench")


@pytest.fixture
def row(case: Callable[..., Case]) -> Callable[..., Record]:
    """A row of a table, of a network with 1 G multiply-adds and 10 ms."""

    def one(way: str, billions: float, times: float, seconds: float | None, **axes: Any) -> Record:
        known = {"part": "table", "network": "net", "way": way, "solved": False, "top1": 70.0}
        scale = Scale()._asdict() | {key: axes.pop(key) for key in Scale._fields if key in axes}
        own = case(name=f"net {way}", turn="net", axes=known | scale | {"billions": billions})
        counts = {name: 1e9 * times for name in CURRENCIES if name != "launches"}
        return made(own, counts, seconds)

    return one


def phi(case: Callable[..., Case], name: str, value: float, *, published: bool = True) -> Case:
    arguments: dict[str, float] = {"width": 1.0, "depth": 1.1} if value else {}
    return case(
        name=name,
        resolution=240 if value else 224,
        arguments=arguments if published else {},
        axes={"part": "phi", "phi": value, "published": published},
    )


def test_the_grid_has_the_papers_point_and_only_what_nearly_doubles() -> None:
    points = grid()
    assert compound(1) in points  # 1.2, 1.1, 1.15: 1.9203
    assert len(set(points)) == len(points) > 40
    assert all(1.9 - 1e-9 <= growth(point) <= 2.1 + 1e-9 for point in points)
    assert Scale(depth=2.0) in points
    assert Scale(width=1.2, depth=1.4) in points  # 2.016
    assert all(min(point) >= 1 for point in points)


def test_growth_is_section_3_3s() -> None:
    """Doubling depth doubles; doubling width or resolution quadruples."""
    assert growth(Scale(depth=2)) == 2
    assert growth(Scale(width=2)) == growth(Scale(resolution=2)) == 4


def test_nearest_finds_the_step_that_comes_closest() -> None:
    """A cost that only takes powers of two: 3 is nearer to 4 than to 2, as a ratio; 2.7 to 2."""

    def cost(value: float) -> float:
        return 2.0 ** int(value)

    assert cost(nearest(cost, 3.0, 0.0, 4.0)) == 4
    assert cost(nearest(cost, 2.7, 0.0, 4.0)) == 2
    assert cost(nearest(cost, 100.0, 0.0, 4.0)) == 16
    assert nearest(lambda x: 2**x, 2**1.5, 0.0, 4.0) == pytest.approx(1.5, abs=1e-3)


def test_a_step_is_taken_apart_into_factors_that_multiply_up(case: Callable[..., Case]) -> None:
    """B1 by hand: 2^0.5 = 1.4142, (1.2 x 1.1^2 x 1.15^2)^0.5 = 1.38574; published d = 1.1,
    r = 240/224: 1.1 x 1.14796 = 1.26276. Counted 1.78 times B0's.
    """
    base = made(phi(case, "efficientnet_b0", 0.0), {"multiply_adds": 1e9}, blocks=16)
    b1 = made(phi(case, "efficientnet_b1", 0.5), {"multiply_adds": 1.78e9}, blocks=23)
    exactly = made(phi(case, "x", 0.5, published=False), {"multiply_adds": 1.9e9}, blocks=23)
    first, second = judge([base, b1, exactly]).steps
    assert (first.name, first.miss, first.blocks) == ("efficientnet_b0", 1.0, 16)
    assert second.ratio == pytest.approx(1.78)
    assert second.constants == pytest.approx(1.38574 / 1.41421, rel=1e-5)
    assert second.coefficients == pytest.approx(1.26276 / 1.38574, rel=1e-5)
    assert second.rounding == pytest.approx(1.78 / 1.26276, rel=1e-5)
    product = second.constants * second.coefficients * second.rounding
    assert product == pytest.approx(second.miss) == pytest.approx(1.78 / 2**0.5)
    assert (second.blocks, second.unrounded_blocks) == (23, pytest.approx(17.6))
    assert second.exactly == pytest.approx(1.9)


def points(case: Callable[..., Case]) -> list[Record]:
    """B0, the paper's point, and two others; the second moves fewest bytes per multiply-add."""
    base = made(phi(case, "efficientnet_b0", 0.0), dict.fromkeys(CURRENCIES, 1e6))
    found = [base]
    for scale, work, moved in (
        (compound(1), 2.5e6, 2.0e6),
        (Scale(width=1.4), 2.0e6, 1.5e6),
        (Scale(depth=2.0), 3.0e6, 2.9e6),
    ):
        own = case(name="efficientnet_b0", axes={"part": "grid", **scale._asdict()})
        counts = dict.fromkeys(CURRENCIES, moved) | {"multiply_adds": work}
        found.append(made(own, counts))
    return found


def test_where_the_papers_point_stands(case: Callable[..., Case]) -> None:
    """Bytes per multiply-add, over B0's: 0.8, 0.75 and 0.967. Promised: 1.92, 1.96 and 2."""
    result = judge(points(case))
    assert result.paper is not None
    assert result.paper.over_aimed == pytest.approx(2.5 / 1.9203, rel=1e-4)
    by_name = {standing.currency: standing for standing in result.standings}
    fused = by_name["memory_access_fused"]
    assert (fused.paper, fused.rank) == (pytest.approx(2.0), 2)
    assert fused.per_multiply_add == pytest.approx(0.8)
    assert (fused.least.scale, fused.most.scale) == (Scale(width=1.4), Scale(depth=2.0))
    work = by_name["multiply_adds"]
    assert (work.rank, work.least.scale) == (2, Scale(width=1.4))


def test_ratios_to_the_baseline_with_an_interval_over_processes(
    row: Callable[..., Record],
) -> None:
    """25 ms against 10: 2.5, give or take t(0.975, 2) = 4.3027 standard errors of the logs."""
    result = judge([row("baseline", 1.0, 1, 0.010), row("width", 4.0, 4, 0.025, width=2.0)])
    base, wide = result.rows
    assert (base.latency_ratio, base.memory_ratio) == (1.0, 1.0)
    assert wide.latency_ratio == pytest.approx(2.5, rel=1e-4)
    assert wide.per_multiply_add == pytest.approx(0.625, rel=1e-4)
    assert wide.memory_ratio == pytest.approx(2.5)
    assert wide.predicted_ratio == pytest.approx(2.5)
    assert wide.ratios["memory_access_ops"] == 4.0
    logs = [log(value) for value in WOBBLE]
    mean = sum(logs) / 3
    error = (sum((value - mean) ** 2 for value in logs) / 2 / 3) ** 0.5
    interval = wide.latency_interval
    assert interval is not None
    assert log(interval.high / 2.5) == pytest.approx(mean + 4.30265 * error, rel=1e-4)
    assert log(interval.low / 2.5) == pytest.approx(mean - 4.30265 * error, rel=1e-4)


def test_rows_without_a_clock_are_counted(row: Callable[..., Record]) -> None:
    result = judge([row("baseline", 1.0, 1, None), row("width", 4.0, 4, None, width=2.0)])
    wide = result.rows[1]
    assert (wide.latency_ratio, wide.latency_interval, wide.per_multiply_add) == (None,) * 3
    assert wide.ratios["multiply_adds"] == 4.0


def test_what_is_printed_agrees_within_its_digits_or_is_exchanged(
    row: Callable[..., Record],
) -> None:
    """Printed 4.0 and counted 4.04 agree; 16.2 and 14.7 for 14.6 and 16.1 are exchanged."""
    rows = [
        row("baseline", 1.0, 1, None),
        row("resolution", 4.0, 4.04, None),
        row("depth", 16.2, 14.6, None),
        row("width", 14.7, 16.1, None),
        row("compound", 2.3, 2.44, None),
    ]
    result = judge(rows)
    agree = {found.way: found.agrees for found in result.rows}
    assert agree == {
        "baseline": True,
        "resolution": True,
        "depth": False,
        "width": False,
        "compound": False,
    }
    assert result.exchanged == (("net", "depth", "width"),)


def test_no_evidence_without_records(case: Callable[..., Case]) -> None:
    with pytest.raises(NoEvidence, match="no record of task=scaling"):
        judge([])
    with pytest.raises(NoEvidence, match="no record of task=scaling"):
        judge([made(case(), {})])


@pytest.fixture
def whole(case: Callable[..., Case], row: Callable[..., Record]) -> tuple[Scaling, list[Record]]:
    b1 = made(phi(case, "efficientnet_b1", 0.5), {"multiply_adds": 1.78e6}, blocks=23)
    timed = [
        row("baseline", 1.0, 1, 0.010),
        row("width", 3.0, 4, 0.025, width=2.0),
    ]
    records = [*points(case), b1, *timed]
    return judge(records), records


def test_the_report(whole: tuple[Scaling, list[Record]]) -> None:
    result, records = whole
    console = Console(markup=False, width=200, record=True, file=StringIO())
    for part in scaling_tables(result, records):
        console.print(part)
    text = console.export_text()
    assert "EfficientNet-B0 at 3 points" in text
    assert "1.2, 1.1, 1.15 (depth, width, resolution): it takes 2.50 x" in text
    assert "efficientnet_b1" in text
    counted, timed = [one.split() for one in text.splitlines() if "width w=2" in one]
    assert counted[:5] == ["net", "width", "w=2", "70.0", "%"]
    assert counted[5:] == ["4.00", "G", "3", "G", *["4.00"] * 5]
    assert timed[3] == "4.00"
    assert timed[6] == "2.50"
    assert timed[-3:] == ["0.62", "2.50", "2.50"]
    assert "net width has 3 G, and 4.00 G are counted (-25 %)" in text
    document = scaling_document(result, records)
    assert [found["way"] for found in document["rows"]] == ["baseline", "width"]
    assert document["rows"][1]["latency_ratio_ci"][0] < 2.5
    assert len(document["grid"]) == 3
    assert document["steps"][1]["name"] == "efficientnet_b1"
    rows = scaling_rows(result)
    assert [found["part"] for found in rows] == ["grid"] * 3 + ["table"] * 2


def test_stored_records_are_judged_again(
    cli: Callable[..., Finished], whole: tuple[Scaling, list[Record]]
) -> None:
    store = Store("sqlite:///results/benchbench.sqlite")
    for one in whole[1]:
        store.put(one)
    store.close()
    done = cli("task=scaling", "records=kept", "output=json")
    assert done.code == 0, done.err
    assert [found["way"] for found in done.document["rows"]] == ["baseline", "width"]
    assert cli("task=scaling", "records=lost").code == 3


def test_a_scale_of_ones_own_is_refused(cli: Callable[..., Finished]) -> None:
    for override in ("resolution=64", "scale.phi=1"):
        done = cli("task=scaling", override)
        assert done.code == 2
        assert "it scales by itself" in done.err


def test_the_counted_part_needs_no_clock_and_agrees_with_the_paper(
    cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Multiply-adds as Table 3 prints them where tests/test_scaling.py found them to agree; B0
    to B7 as Table 2 of the paper: 0.39, 0.70, 1.0, 1.8, 4.2, 9.9, 19 and 37 billion.
    """
    few = [compound(1), *grid()[::20]]  # each takes a tenth of a second
    monkeypatch.setattr(sys.modules["benchbench.tasks.scaling"], "grid", lambda: few)
    done = cli("task=scaling", "profiler=complexity", "output=json")
    assert done.code == 0, done.err
    document = done.document
    counted = {(r["network"], r["way"]): r for r in document["rows"]}
    for key in [
        ("mobilenet_v1", "width"),
        ("mobilenet_v2", "depth"),
        ("mobilenet_v2", "width"),
        ("mobilenet_v2", "resolution"),
        ("resnet50", "resolution"),
    ]:
        assert counted[key]["agrees"], key
        assert counted[key]["latency"] is None
    assert document["exchanged"] == [["resnet50", "depth", "width"]]
    for network in ("mobilenet_v2", "resnet50"):
        solved = counted[network, "compound"]
        assert solved["solved"]
        ratio = solved["multiply_adds"] / solved["printed_multiply_adds"]
        assert ratio == pytest.approx(1, abs=0.05)
    published = (0.39, 0.70, 1.0, 1.8, 4.2, 9.9, 19, 37)
    for step, billions in zip(document["steps"], published, strict=True):
        assert step["ratio"] * 0.3858 == pytest.approx(billions, rel=0.06)
        product = step["constants"] * step["coefficients"] * step["rounding"]
        assert product * 2 ** step["phi"] == pytest.approx(step["ratio"])
    assert len(document["grid"]) == len(few)
    assert document["grid"][0]["over_b0"]["multiply_adds"] == pytest.approx(
        {step["name"]: step["exactly"] for step in document["steps"]}["efficientnet_b2"]
    )
