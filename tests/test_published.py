"""What sources print is read as they print it, for the input that we count, and once."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import published
import pytest
from published import BY_HAND, ELSEWHERE, MODELS, figures, rows
from sources import MILLION, SOURCES, Printed, as_written, billions, hundredths_of_a_billion
from variants import NAMES, every_variant


@pytest.mark.parametrize(
    ("rule", "millions", "digit", "shown"),
    [  # what the sources print, and how the file writes it in millions
        (as_written, "5.3", MILLION // 10, "5.3 M"),
        (as_written, "4.24", MILLION // 100, "4.24 M"),
        (as_written, "13.0", MILLION // 10, "13.0 M"),
        (as_written, "150", MILLION, "150 M"),
        (billions, "390", 10 * MILLION, "0.39 G"),
        (billions, "700", 10 * MILLION, "0.70 G"),
        (billions, "1000", 100 * MILLION, "1.0 G"),
        (billions, "56300", 100 * MILLION, "56.3 G"),
        (billions, "37000", 1000 * MILLION, "37 G"),
        (billions, "104.0", MILLION, "104 M"),
        (billions, "4089.0", MILLION, "4,089 M"),
        (hundredths_of_a_billion, "30.0", 10 * MILLION, "0.03 G"),
        (hundredths_of_a_billion, "4040.0", 10 * MILLION, "4.04 G"),
    ],
)
def test_digits_are_those_of_the_source(rule: Any, millions: str, digit: int, shown: str) -> None:
    printed = Printed(round(float(millions) * MILLION), rule(millions))
    assert printed.digit == digit
    assert str(printed) == shown


def test_a_printed_figure_holds_what_rounds_to_it() -> None:
    printed = Printed(41 * MILLION, MILLION)
    assert printed.holds(40_500_000)
    assert printed.holds(41_499_999)
    assert not printed.holds(40_499_999)
    assert not printed.holds(41_500_001)


def test_a_figure_that_is_printed_twice_is_shown_once() -> None:
    """Quantised networks repeat it, the README's older one stands beside the paper's."""
    assert len(figures("mobilenet_v1_x0_75_r160")) == 1
    shown = [(str(figure.params), figure.source.label) for figure in figures("mobilenet_v3_small")]
    assert shown == [("2.9 M", "slim README"), ("2.5 M", "MobileNetV3")]


def test_a_count_of_our_own_is_not_a_published_figure() -> None:
    """The file's line of MnasNet-B1 is an exact count; torchvision's figures are there too."""
    assert [figure.source.label for figure in figures("mnasnet_b1")] == ["torchvision"]


def test_only_gpipe_s_figures_are_unverified() -> None:
    unverified = {name for name in NAMES if any(item.unverified for item in figures(name))}
    assert unverified == set(BY_HAND) == {name for name in NAMES if name.startswith("amoebanet")}


def test_every_primary_line_of_a_network_is_used() -> None:
    """Straight from the file: what is primary, of a network that is here, and has a figure."""
    with MODELS.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["primary"] == "1"]
    printed = {
        line["canonical_name"]
        for line in lines
        if line["params_millions"] or line["multiply_adds_millions"]
    }
    known = printed & set(NAMES)
    assert len(known) == 125
    assert {name for name in NAMES if figures(name)} == known | {*ELSEWHERE, *BY_HAND}


def test_figures_are_for_the_input_that_we_count() -> None:
    size = {(row.canonical, row.figure): row.resolution for row in rows() if row.primary}
    for case in every_variant():
        found = figures(case.name)
        assert {size.get((case.name, item), "") for item in found} <= {"", str(case.resolution)}
        if case.name in ELSEWHERE:
            assert ELSEWHERE[case.name].resolution == case.resolution
            assert len(found) == 1


def test_marks_tell_sources_apart() -> None:
    assert len({source.label for source in SOURCES}) == len(SOURCES)
    with MODELS.open(encoding="utf-8", newline="") as file:
        texts = {line["source"] for line in csv.DictReader(file)}
    for source in SOURCES:
        assert any(source.mark in text for text in texts), f"nothing is from {source.label}"


def test_an_unknown_source_of_a_primary_line_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = MODELS.read_text(encoding="utf-8").replace("arXiv:1905.11946 v5) Table 2", "hearsay")
    (tmp_path / "models.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(published, "MODELS", tmp_path / "models.csv")
    with pytest.raises(ValueError, match=r"efficientnet_b0: SOURCES does not have .*hearsay"):
        published.rows.__wrapped__()
