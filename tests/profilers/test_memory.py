"""Peak memory of networks whose size is known, in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.worker import Work, run

MODULE = """
import time
import torch
from torch import nn

class Large(nn.Module):
    '''64 MiB of weights, and 128 MiB more for 20 ms in every call.'''
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(16 * 2**20))
    def forward(self, x):
        passing = torch.ones(32 * 2**20)
        time.sleep(0.02)
        return x * passing[0] * self.weight[0]
"""


def test_peak_is_weights_and_what_a_call_needs(
    case: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 + 128 MiB, less than 5 % of slack for the allocator and small things."""
    (tmp_path / "large.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    received: list[Measurement] = []

    def receive(_: int, result: object) -> None:
        if isinstance(result, Measurement):
            received.append(result)

    large = case(target="large.Large", resolution=1)
    run(Work((large,), ("memory",), BudgetSettings()), lambda *_: None, receive)
    found = {m.metric: m for m in received}
    expected = (64 + 128) * 2**20
    for metric in ("peak_memory", "peak_memory_kernel"):
        assert 0.99 * expected < found[metric].value < 1.05 * expected
    assert found["peak_memory"].details["sampling_seconds"] == 0.001
    assert found["peak_memory"].details["called_seconds"] >= 0.5
