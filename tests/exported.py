"""A small network of a test's own, exported as the preparing process would have done it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.runtimes.ahead import ACTIVATIONS
from benchbench.runtimes.equality import keep_reference
from benchbench.runtimes.onnx_graph import export


class TwoConvolutions(nn.Module):
    """3x3 to 32 channels, ReLU, 1x1 to 16 channels, ReLU: both runtimes fuse each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 32, 3, padding=1)
        self.narrow = nn.Conv2d(32, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.narrow(torch.relu(self.wide(x))))


def exported(case: Case, network: nn.Module, folder: Path) -> Case:
    """The case, with its folder filled."""
    given = replace(case, runtime_options={"provider": "auto", "opset": 20})
    with torch.inference_mode():
        keep_reference([network(make_input(given)).clone()], folder)
    (folder / ACTIVATIONS).write_text("{}")
    export(given, network, folder)
    return replace(given, prepared=str(folder))
