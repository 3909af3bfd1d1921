"""The rows of the EfficientNet paper's tables are those of the committed reference file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from architectures.scaling import ALPHA, BETA, GAMMA, Scale
from benchbench.experiments.published_scaling import PHIS, ROWS, Printed

FILE = Path(__file__).parents[1] / "reference" / "effnet_scaling.csv"
NETWORKS = {
    "MobileNetV1": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "ResNet-50": "resnet50",
    "B0": "efficientnet_b0",
}


def lines(table: str) -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [line for line in csv.DictReader(file) if line["table"] == table]


def printed() -> dict[tuple[str, str], dict[str, str]]:
    """Each row's figures and factors, by network and way; Table 7 names the network once."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in [*lines("Table 3"), *lines("Table 7")]:
        words = line["item"].split()
        network = NETWORKS.get(words[0], "efficientnet_b0")
        way = next(
            w for w in words if w in ("baseline", "depth", "width", "resolution", "compound")
        )
        row = found.setdefault((network, way), {"item": line["item"]})
        row[line["metric"]] = line["value"]
    return found


def test_every_row_is_there_once() -> None:
    assert [(row.network, row.way) for row in ROWS] == list(printed())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.network}-{row.way}")
def test_a_row_has_the_figures_and_factors_that_are_printed(row: Printed) -> None:
    line = printed()[row.network, row.way]
    assert (row.billions, row.top1) == (float(line["FLOPS"]), float(line["top1"]))
    factors = {key: float(value) for key, value in re.findall(r"([dwr])=([\d.]+)", line["item"])}
    if row.way == "compound" and not factors:
        assert row.scale is None
    else:
        expected = Scale(factors.get("w", 1.0), factors.get("d", 1.0), factors.get("r", 1.0))
        assert row.scale == expected


def test_the_phis_of_the_published_networks() -> None:
    rows = lines("per-model coefficients")
    phis = {
        r["item"]: float(r["value"]) for r in rows if r["metric"] == "phi (community convention)"
    }
    assert {name: phi for name, phi in phis.items() if name in PHIS} == PHIS
    assert len(PHIS) == 8


def test_the_constants_of_compound_scaling() -> None:
    values = {line["metric"]: line["value"] for line in lines("compound constants")}
    found = [float(values[key]) for key in ("alpha (depth)", "beta (width)", "gamma (resolution)")]
    assert found == [ALPHA, BETA, GAMMA]
