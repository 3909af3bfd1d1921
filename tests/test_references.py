"""The table of other libraries' networks, against the counts that were taken of them elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from references import REFERENCES, Reference, build
from torch import nn

from benchbench.counting.cost import cost
from benchbench.counting.walk import walk

COUNTS = Path(__file__).parent / "reference" / "computed_counts.csv"


class Counted(NamedTuple):
    params: int
    millions: float  # of multiply-adds
    resolution: int


def counted() -> dict[str, Counted]:
    """A row of the file for each variant; all rows of one variant agree."""
    with COUNTS.open(encoding="utf-8") as file:
        return {
            row["canonical_name"]: Counted(
                int(row["params"]), float(row["multiply_adds_millions"]), int(row["resolution"])
            )
            for row in csv.DictReader(file)
        }


ROWS = counted()
WITH_A_ROW = [reference for reference in REFERENCES if reference.variant in ROWS]


def on_meta(reference: Reference) -> nn.Module:
    with torch.device("meta"):
        return build(reference).eval()


@pytest.mark.parametrize("reference", WITH_A_ROW, ids=lambda reference: reference.label)
def test_parameters_are_the_published_ones(reference: Reference) -> None:
    params = sum(parameter.numel() for parameter in on_meta(reference).parameters())
    assert params - reference.extra_parameters == ROWS[reference.variant].params


@pytest.mark.parametrize(
    "reference",
    [reference for reference in WITH_A_ROW if not reference.slow],
    ids=lambda reference: reference.label,
)
def test_multiply_adds_are_the_published_ones(reference: Reference) -> None:
    """Parameters do not tell strides and groups apart from each other, these do."""
    row = ROWS[reference.variant]
    network = on_meta(reference)
    images = torch.empty(1, 3, row.resolution, row.resolution, device="meta")
    assert cost(network, walk(network, images)).multiply_adds == pytest.approx(
        row.millions * 1e6, abs=500
    )


def test_no_reference_is_listed_twice() -> None:
    labels = [reference.label for reference in REFERENCES]
    assert len(set(labels)) == len(labels)


def test_nothing_is_downloaded_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each library; `socket.socket` is what every client of the network ends in."""
    monkeypatch.setattr("socket.socket", None)
    firsts = {reference.library: reference for reference in reversed(REFERENCES)}
    assert len(firsts) == 4
    for reference in firsts.values():
        assert isinstance(build(reference), nn.Module)
