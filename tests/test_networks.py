"""Building a case's network: which weights and statistics it gets."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from variants import variant

from benchbench.cases import Case
from benchbench.networks import build


def small(**changes: object) -> Case:
    return replace(variant("mobilenet_v2_x0_35"), resolution=64, **changes)  # type: ignore[arg-type]


def test_calibration_changes_the_statistics_only() -> None:
    fresh, calibrated = (build(small(), "cpu", calibrated=flag) for flag in (False, True))
    assert all(map(torch.equal, fresh.parameters(), calibrated.parameters()))
    means = [state(network, "running_mean") for network in (fresh, calibrated)]
    assert not any(mean.any() for mean in means[0])
    assert all(mean.any() for mean in means[1])
    assert not any(count.any() for count in state(calibrated, "num_batches_tracked"))
    modules = [module for network in (fresh, calibrated) for module in network.modules()]
    assert not any(module.training for module in modules)


def state(network: nn.Module, ending: str) -> list[Tensor]:
    return [item for name, item in network.state_dict().items() if name.endswith(ending)]


def test_every_build_has_the_same_weights_and_statistics() -> None:
    first, second = (build(small(seed=3), "cpu").state_dict() for _ in range(2))
    other = build(small(seed=4), "cpu").state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["stem.norm.running_var"], other["stem.norm.running_var"])


def test_calibration_draws_no_random_numbers_from_the_next() -> None:
    build(small(), "cpu", calibrated=False)
    after_fresh = torch.rand(4)
    build(small(), "cpu")
    assert torch.equal(torch.rand(4), after_fresh)


def test_a_checkpoint_keeps_its_statistics(tmp_path: Path) -> None:
    """Also those of one that was saved before it was trained."""
    theirs = build(small(), "cpu", calibrated=False).state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    case = small(weights=str(tmp_path / "weights.pth"), weights_format="benchbench")
    found = build(case, "cpu").state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in found.items())


class Counted(nn.Module):
    """Somebody's network: counts its calls, and may come with statistics."""

    def __init__(self, *, loaded: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.calls = 0
        if loaded:
            nn.init.constant_(self.norm.running_mean, 7.0)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.norm(x).mean((2, 3))


@pytest.mark.parametrize("loaded", [True, False])
def test_what_is_measured_was_never_called(loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "somebodys", sys.modules[__name__])
    case = small(target="somebodys.Counted", arguments={"loaded": loaded})
    network = build(case, "cpu")
    assert network.calls == 0
    mean = network.norm.running_mean
    assert torch.equal(mean, torch.full((3,), 7.0)) if loaded else 0 < mean.abs().max() < 0.1
