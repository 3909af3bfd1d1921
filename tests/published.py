"""What others print about the networks of conf/model, after tests/reference/models.csv."""

from __future__ import annotations

import csv
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sources import GPIPE, MILLION, SOURCES, Printed, Source, as_written, billions

MODELS = Path(__file__).parent / "reference" / "models.csv"


class Figure(NamedTuple):
    """What one source prints about one network."""

    source: Source
    params: Printed | None
    multiply_adds: Printed | None
    unverified: bool = False


class Row(NamedTuple):
    """A line of the file with figures in it."""

    canonical: str  # "" where the file gives no canonical name
    name: str
    resolution: str
    primary: bool
    figure: Figure


class Elsewhere(NamedTuple):
    """Where the file has a variant's figure outside the lines that are its own."""

    name: str
    label: str
    resolution: int = 224


# A network is listed once in the file, whatever other input and topology it was counted with too.
ELSEWHERE = {
    "efficientnet_b2_r288": Elsewhere("efficientnet_b2", "torchvision", 288),
    "efficientnet_lite3_r300": Elsewhere("efficientnet_lite3", "timm", 300),
    "efficientnet_lite4_r380": Elsewhere("efficientnet_lite4", "timm", 380),
    "shufflenet_v2_x0_5_torchvision": Elsewhere("shufflenet_v2_x0.5", "torchvision"),
    "shufflenet_v2_x1_0_torchvision": Elsewhere("shufflenet_v2_x1.0", "torchvision"),
    "shufflenet_v2_x1_5_torchvision": Elsewhere("shufflenet_v2_x1.5", "torchvision"),
    "shufflenet_v2_x2_0_torchvision": Elsewhere("shufflenet_v2_x2.0", "torchvision"),
    "shufflenet_v2_164_se": Elsewhere("se_shufflenet_v2_164", "ShuffleNetV2, Table 6"),
}


def printed(millions: str, last_digit: Callable[[str], int] = as_written) -> Printed | None:
    """A figure of the file, None where it has none."""
    return Printed(round(Decimal(millions) * MILLION), last_digit(millions)) if millions else None


# Not in the file, and compared with the paper by nobody here.
BY_HAND = {
    "amoebanet_d_18_208": Figure(GPIPE, printed("82"), None, unverified=True),
    "amoebanet_d_18_416": Figure(GPIPE, printed("318"), None, unverified=True),
    "amoebanet_d_18_544": Figure(GPIPE, printed("542"), None, unverified=True),
    "amoebanet_d_36_544": Figure(GPIPE, printed("1050", billions), None, unverified=True),
}


def figures(variant: str) -> list[Figure]:
    """What is printed about a variant, each figure once, in the file's order."""
    if variant in BY_HAND:
        return [BY_HAND[variant]]
    if variant in ELSEWHERE:
        place = ELSEWHERE[variant]
        found = [row for row in rows() if (row.name, row.figure.source.label) == place[:2]]
        found = [row for row in found if row.resolution == str(place.resolution)]
    else:
        found = [row for row in rows() if row.canonical == variant and row.primary]
    return list(dict.fromkeys(row.figure for row in found))


def namesakes(figure: Figure) -> set[str]:
    """The networks for which a source prints the same multiply-adds."""
    same = (figure.source, figure.multiply_adds)
    return {
        row.canonical
        for row in rows()
        if row.canonical and (row.figure.source, row.figure.multiply_adds) == same
    }


@cache
def rows() -> list[Row]:
    """The lines of the file in which one of `SOURCES` prints something."""
    with MODELS.open(encoding="utf-8", newline="") as file:
        found = [(line, _source(line)) for line in csv.DictReader(file) if _prints(line)]
    return [_row(line, source) for line, source in found if source is not None]


def _prints(line: dict[str, str]) -> bool:
    """Whether there is a figure, and by somebody else: one line of the file is its own count."""
    own = "(computed)" in line["flops_convention"]
    return not own and bool(line["params_millions"] or line["multiply_adds_millions"])


def _source(line: dict[str, str]) -> Source | None:
    """Who prints a line's figures.

    Raises:
        ValueError: nobody in `SOURCES`, though the line is a variant's own.
    """
    source = next((source for source in SOURCES if source.mark in line["source"]), None)
    if source is None and line["canonical_name"] and line["primary"] == "1":
        raise ValueError(f"{line['canonical_name']}: SOURCES does not have {line['source']!r}")
    return source


def _row(line: dict[str, str], source: Source) -> Row:
    figure = Figure(
        source=source,
        params=printed(line["params_millions"]),
        multiply_adds=printed(line["multiply_adds_millions"], source.last_digit),
        unverified="unverified" in line["source"],
    )
    return Row(
        canonical=line["canonical_name"],
        name=line["name"],
        resolution=line["input_resolution"],
        primary=line["primary"] == "1",
        figure=figure,
    )
