"""How many operators each implementation of a network executes; nothing is timed.

    PYTHONPATH=tests python tests/benchmarks/launches.py efficientnet_b0 resnet50

prints one JSON document: by network and library, a number, or the operator our walk does not know.
"""

from __future__ import annotations

import json
import sys

from benchmarks.comparison import OURS
from benchmarks.contestants import Cell, cells
from references import build

from benchbench.counting.walk import UnknownOperator, walk
from benchbench.errors import UserError
from benchbench.networks import build as build_ours


def launches(cell: Cell) -> dict[str, int | str]:
    import torch

    case = cell.case
    networks = {OURS: build_ours(case, "meta")}
    with torch.device("meta"):
        for reference in cell.references:
            networks[reference.library] = build(reference).eval()
    images = torch.empty(case.input_shape, device="meta")
    found: dict[str, int | str] = {}
    for label, network in networks.items():
        try:
            found[label] = len(walk(network, images).executed)
        except UnknownOperator as error:
            found[label] = str(error)
    return found


def main() -> None:
    document = {}
    for cell in (cell for network in sys.argv[1:] for cell in cells(network)):
        try:
            document[cell.name] = launches(cell)
        except UserError:
            continue  # interleave.py says why it skips it
    print(json.dumps({"launches": document}))


if __name__ == "__main__":
    main()
