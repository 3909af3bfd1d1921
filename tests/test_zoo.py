"""docs/zoo.md is current and whole."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from notes import NONE_PUBLISHED
from published import figures
from variants import NAMES, every_variant, variant
from zoo import ZOO, entries, page


def test_the_page_is_current() -> None:
    """`make readme` writes it."""
    assert ZOO.read_text(encoding="utf-8") == page(entries())


def test_every_variant_is_on_the_page_once() -> None:
    text = ZOO.read_text(encoding="utf-8")
    assert [name for name in NAMES if text.count(f"| `{name}` |") != 1] == []


def test_a_row_says_what_we_count_and_what_is_printed() -> None:
    """MobileNetV1 at half the width and 192 pixels, by hand from both tables of figures."""
    text = ZOO.read_text(encoding="utf-8")
    params, multiply_adds = "1,331,592 | 1.34 M +0.63 %", "109,970,432 | 110 M +0.03 %"
    row = f"| `mobilenet_v1_x0_5_r192` | 192 | {params} | {multiply_adds} | slim V1 README |  |"
    assert row in text.splitlines()


def test_an_unverified_figure_says_so() -> None:
    lines = ZOO.read_text(encoding="utf-8").splitlines()
    of_amoebanet = [line for line in lines if line.startswith("| `amoebanet")]
    assert len(of_amoebanet) == 4
    assert all("(unverified)" in line for line in of_amoebanet)


@pytest.mark.parametrize("name", NAMES[::20])
def test_composing_all_at_once_is_what_hydra_does(name: str) -> None:
    assert every_variant()[NAMES.index(name)] == variant(name)


def test_where_nothing_is_published_the_page_says_why() -> None:
    silent = [name for name in NAMES if not figures(name)]
    without = [name for name in silent if not any(fnmatch(name, p) for p in NONE_PUBLISHED)]
    assert without == ["resnet101", "resnet200"]
    for pattern in NONE_PUBLISHED:
        assert any(fnmatch(name, pattern) for name in silent), pattern
