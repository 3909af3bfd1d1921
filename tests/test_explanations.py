"""Each reason can fail to be one; other ways of counting are right by numbers from elsewhere."""

from __future__ import annotations

import csv
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import conventions
import explanations
import pytest
from conventions import CONVENTIONS
from explanations import CHECKS, Difference, cut, explain, nominal, rounded_up, rounding
from notes import NOTES
from published import MODELS, Figure
from sources import MILLION, SOURCES, Printed
from zoo import Entry, entries, page

from benchbench.counting.cost import Cost
from benchbench.measurements import exact

COUNTS = Path(__file__).parent / "reference" / "computed_counts.csv"


@pytest.fixture(scope="module")
def zoo() -> dict[str, Entry]:
    return {entry.case.name: entry for entry in entries()}


@pytest.fixture(scope="module")
def everything(zoo: dict[str, Entry]) -> list[Difference]:
    return [difference for entry in zoo.values() for difference in entry.differences()]


def made_up(exact_count: int, printed: Printed, *, quantity: str = "multiply_adds") -> Difference:
    """A figure of a source and network that do not exist."""
    cost = Cost(
        measurements=(
            exact("params", exact_count),
            exact("multiply_adds", exact_count, operators={}),
        ),
        layers=(),
    )
    figure = Figure(SOURCES[-1]._replace(label="nobody"), printed, printed)
    return Difference("network", "family", quantity, figure, cost)


def column(*pairs: tuple[float, float]) -> list[Difference]:
    """Figures of one column: our count and what is printed, whole millions."""
    return [
        made_up(round(ours * MILLION), Printed(round(theirs) * MILLION, MILLION))
        for ours, theirs in pairs
    ]


def test_rounding() -> None:
    assert rounding(made_up(1_366_000, Printed(1_400_000, 100_000)), [])
    assert rounding(made_up(5_483_032, Printed(5_400_000, 100_000)), []) is None


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(43.9, 43), (30.87, 30), (20.2, 20)], "cut"),
        ([(43.9, 43), (30.87, 31), (20.2, 20)], None),  # one is rounded
        ([(43.9, 43), (30.87, 30)], None),  # too few to tell
        ([(43.1, 43), (30.27, 30), (20.2, 20)], None),  # so does rounding
        ([(40.4, 41), (145.8, 146), (298.9, 299)], "rounded up"),
        ([(40.4, 41), (145.4, 145), (298.9, 299)], None),
        ([(40.6, 41), (145.8, 146), (298.9, 299)], None),
    ],
)
def test_cut_and_rounded_up_are_habits(
    pairs: list[tuple[float, float]], reason: str | None
) -> None:
    found = column(*pairs)
    reasons = [check(found[0], found) for check in (cut, rounded_up)]
    assert [item.short for item in reasons if item] == ([reason] if reason else [])


def test_another_column_shows_no_habit() -> None:
    first, second, third = column((43.9, 43), (30.87, 30), (20.2, 20))
    assert cut(first, [first, second, third._replace(family="other")]) is None
    assert cut(first, [first, second, third._replace(quantity="params")]) is None


def test_nominal_is_one_figure_for_several_networks(zoo: dict[str, Entry]) -> None:
    half = zoo["shufflenet_v1_g8_x0_5"].differences()[0]
    whole = zoo["shufflenet_v1_g8_x1_0"].differences()[0]  # 137 M, as g = 3 and no third has
    assert nominal(half, [])
    assert nominal(whole, []) is None
    assert nominal(half._replace(quantity="params"), []) is None


def test_what_nothing_explains_is_an_error_that_names_it(zoo: dict[str, Entry]) -> None:
    entry = zoo["mobilenet_v1_x0_25_r192"]
    wrong = entry.figures[0]._replace(multiply_adds=Printed(35 * MILLION, MILLION))
    found = entry._replace(figures=[wrong], case=zoo["mobilenet_v1_r192"].case)
    with pytest.raises(ValueError, match=r"mobilenet_v1_r192: slim V1 README prints 35 M mult"):
        page([found])


# Other ways of counting, against numbers from elsewhere.


def outside(name: str, field: str) -> float:
    """A column of the reference implementations' counts."""
    with COUNTS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if name in (row["canonical_name"], row["name"]):
                return float(row[field])
    raise AssertionError(f"{name} is not in {COUNTS.name}")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mnasnet_a1_r96", "mobilenet_v3_small"])
def test_what_batch_norm_puts_out(zoo: dict[str, Entry], name: str) -> None:
    ours = conventions.elements(zoo[name].cost, "native_batch_norm")
    assert ours / MILLION == pytest.approx(outside(name, "bn_output_elements_m"), abs=0.0005)


@pytest.mark.parametrize("name", ["mobilenet_v2_x0_35", "mobilenet_v2_x0_75"])
def test_parameters_without_batch_norm(zoo: dict[str, Entry], name: str) -> None:
    """As many scales and shifts as running means and variances."""
    params, buffers = outside(name, "params"), outside(name, "bn_running_stat_buffers")
    assert conventions.without_norm_params(zoo[name].cost) == params - buffers


def test_the_first_convolution_by_hand(zoo: dict[str, Entry]) -> None:
    """3x3 from 3 to 0.75 x 32 channels, 112 x 112 times."""
    cost = zoo["mobilenet_v1_x0_75"].cost
    stem = conventions.total(cost, "multiply_adds") - conventions.without_stem(cost)
    assert stem == 112 * 112 * 3 * 3 * 3 * 24


def test_1280_hidden_units_are_those_of_a_network_built_so(zoo: dict[str, Entry]) -> None:
    cost = zoo["mobilenet_v3_small"].cost
    built = outside("mobilenet_v3_small_head1280", "params")
    assert conventions.with_1280_hidden(cost) == built == 2_946_568


def test_the_linear_layer_by_hand(zoo: dict[str, Entry]) -> None:
    cost = zoo["shufflenet_v1_g4_x1_0"].cost
    linear = conventions.total(cost, "multiply_adds") - conventions.without_linear(cost)
    assert linear == 1088 * 1000


def test_toco_by_hand() -> None:
    """A convolution of 5 multiply-adds and 3 outputs, an addition of 4, a sigmoid of 2 values."""
    operators = {
        "convolution": {"elements": 3},
        "add_": {"elements": 4},
        "relu_": {"elements": 100},
        "sigmoid": {"elements": 2},
    }
    cost = Cost((exact("multiply_adds", 5, operators=operators),), ())
    assert conventions.half_of_toco(cost) == (2 * 5 + 3 + 4 + 64 * 2) // 2


def test_floating_point_operations_halved_by_hand() -> None:
    operators = {"native_batch_norm": {"elements": 3}, "relu": {"elements": 4}}
    cost = Cost((exact("multiply_adds", 5, operators=operators),), ())
    assert conventions.with_norms_and_relus(cost) == (2 * 5 + 4 * 3 + 1 * 4) // 2


# To which of its source's figures a way of counting leads to the digit, and to how many not.
# fmt: off
LEADS_TO = [
    ("MnasNet README", "mnasnet_a1*", 25, 0),
    ("Lite README", "efficientnet_lite?", 3, 2),
    ("slim V1 README", "mobilenet_v1_x0_75*", 4, 0),
    ("slim V1 README", "mobilenet_v1_x0_[25]*", 0, 8),
    ("slim V1 README", "mobilenet_v1_r*", 0, 3),
    ("slim README", "mobilenet_v2*", 22, 0),
    ("ShuffleNetV1, Table 1", "shufflenet_v1_g?_x1_0", 5, 0),
    ("timm", "efficientnet_lite*", 1, 1),
    ("timm", "mobilenet_v3*", 1, 0),
]
# fmt: on


@pytest.mark.parametrize(("source", "pattern", "hits", "misses"), LEADS_TO)
def test_what_a_way_of_counting_leads_to(
    everything: list[Difference], source: str, pattern: str, hits: int, misses: int
) -> None:
    known = next(item for item in CONVENTIONS if item.source == source)
    found = [
        difference.printed.holds(known.count(difference.cost))
        for difference in everything
        if difference.column[::2] == (source, known.quantity)
        and fnmatch(difference.variant, pattern)
    ]
    assert (sum(found), len(found) - sum(found)) == (hits, misses)


def test_a_way_of_counting_is_used_for_its_own_source_only(zoo: dict[str, Entry]) -> None:
    """Not for another source or network, nor for a figure that it does not lead to."""
    lite = zoo["efficientnet_lite1"].differences()[1]
    assert explanations.convention(lite, [])
    other = lite.figure._replace(source=SOURCES[0]._replace(label="nobody"))
    assert explanations.convention(lite._replace(figure=other), []) is None
    far = lite.figure._replace(multiply_adds=Printed(640 * MILLION, MILLION))
    assert explanations.convention(lite._replace(figure=far), []) is None
    assert explanations.convention(lite._replace(variant="efficientnet_b1"), []) is None


# Notes.


def test_every_note_is_needed(everything: list[Difference], monkeypatch: Any) -> None:
    """No check explains what it is on, and there is something that it is on."""
    monkeypatch.setattr(explanations, "CHECKS", CHECKS[:-1])
    unexplained = set()
    for difference in everything:
        if difference.needs_a_reason:
            try:
                explain(difference, everything)
            except ValueError:
                unexplained.add((difference.variant, difference.quantity))
    for note in NOTES:
        on = [
            difference
            for difference in everything
            if difference.needs_a_reason
            and (note.source, note.quantity) == difference.column[::2]
            and fnmatch(difference.variant, note.variants)
        ]
        assert on, f"{note.short}: nothing to explain"
        assert all((item.variant, item.quantity) in unexplained for item in on), note.short
    assert len(unexplained) == 11


def counted(zoo: dict[str, Entry], name: str, quantity: str = "multiply_adds") -> float:
    """Ours, in millions."""
    return conventions.total(zoo[name].cost, quantity) / MILLION


def in_the_file(name: str, field: str, source: str) -> set[str]:
    """What a source of models.csv, primary or not, prints about a network."""
    with MODELS.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["canonical_name"] == name]
    return {line[field] for line in lines if source in line["source"]} - {""}


def test_the_numbers_of_the_notes_on_efficientnet(
    zoo: dict[str, Entry], everything: list[Difference]
) -> None:
    """B1's 0.695 G, five figures right and three not; pycls as we count."""
    found = {
        difference.variant: difference.printed.holds(conventions.half_of_toco(difference.cost))
        for difference in everything
        if difference.column[0] == "EfficientNet" and difference.quantity == "multiply_adds"
    }
    wrong = {f"efficientnet_b{number}" for number in (4, 5, 7)} | {"resnet152"}
    assert {name for name, right in found.items() if not right} == wrong
    assert conventions.half_of_toco(zoo["efficientnet_b1"].cost) / 1e9 == pytest.approx(
        0.695, abs=0.0005
    )
    for name, printed in (("efficientnet_b4", 4400), ("efficientnet_b5", 10300)):
        assert in_the_file(name, "multiply_adds_millions", "pycls") == {f"{printed}.0"}
        assert counted(zoo, name) == pytest.approx(printed, abs=50)


def test_the_numbers_of_the_notes_on_mobilenets(zoo: dict[str, Entry]) -> None:
    area = counted(zoo, "mobilenet_v1_x0_25") / 224**2
    assert round(area * 192**2) == 30
    assert round(area * 160**2) == 21
    small = counted(zoo, "mobilenet_v3_small")
    assert counted(zoo, "mobilenet_v3_small_minimalistic") < small == pytest.approx(56.5, abs=0.05)
    assert small + 256 * (576 + 1000) / MILLION == pytest.approx(56.9, abs=0.05)
    field = "multiply_adds_millions"
    assert in_the_file("mobilenet_v3_small", field, "early version") == {"66"}
    for source in ("early version", "final", "slim/nets/mobilenet/README"):
        assert in_the_file("mobilenet_v3_small_x0_75", field, source) == {"44"}
    assert in_the_file("mobilenet_v3_large", "params_millions", "final") == {"5.4"}


def test_the_numbers_of_the_other_notes(zoo: dict[str, Entry]) -> None:
    """ResNet-152 with each stage's stride on the first 1x1; AmoebaNet with more filters."""
    saved = 0.75 * 56**2 * (256 * 128) + 0.75 * 28**2 * (512 * 256) + 0.75 * 14**2 * (1024 * 512)
    assert counted(zoo, "resnet152") - saved / MILLION == pytest.approx(11_280, abs=5)
    assert in_the_file("resnet50", "multiply_adds_millions", "1905.11946") == {"4100"}
    for name in ("18_416", "18_544", "36_544"):
        (difference,) = zoo[f"amoebanet_d_{name}"].differences()
        assert abs(difference.relative) < 0.004
    assert in_the_file("mnasnet_a1", "multiply_adds_millions", "1807.11626") == {"312"}
