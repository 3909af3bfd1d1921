"""What is fed and how it is called: input, mode, type and layout, seen by a probe network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor, nn

from architectures.preprocessing import PREPROCESSING, preprocess
from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.runtimes.eager import prepare
from benchbench.runtimes.formats import set_flags

SEEN: list[tuple[nn.Module, Tensor, Tensor]] = []


class Probe(nn.Module):
    """A convolution that remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        SEEN.append((self, x, result))
        return result


@pytest.fixture
def probe(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """A case of the probe, which is found under a module of its own."""
    module = type(pytest)("probe_module")
    module.Probe = Probe  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "probe_module", module)
    SEEN.clear()
    return lambda **changes: case(target="probe_module.Probe", **changes)


def test_noise_is_standard_normal_and_repeats(case: Callable[..., Case]) -> None:
    noise = make_input(case(batch_size=4))
    assert noise.shape == (4, 3, 64, 64)
    assert noise.mean().abs() < 0.02  # four standard errors of 49,152 samples
    assert (noise.std() - 1).abs() < 0.02
    assert torch.equal(noise, make_input(case(batch_size=4)))
    assert not torch.equal(noise, make_input(case(batch_size=4, seed=1)))


@pytest.mark.parametrize("name", sorted(PREPROCESSING))
def test_a_photograph_is_fed_as_its_variant_wants_it(
    case: Callable[..., Case], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).save(path)
    fed = make_input(case(input=str(path), batch_size=2, preprocessing=name))
    expected = preprocess(path, 64, PREPROCESSING[name])
    assert torch.equal(fed, torch.stack((expected, expected)))


def test_a_call_is_inference_on_the_cases_input(probe: Callable[..., Case]) -> None:
    running = prepare(probe(batch_size=2)).running()
    running.call()
    running.call()
    running.synchronise()
    network, images, result = SEEN[0]
    assert not network.training
    assert result.is_inference()
    assert torch.equal(images, make_input(probe(batch_size=2)))
    assert SEEN[1][1] is images  # allocated once


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_weights_and_input_are_cast(
    probe: Callable[..., Case], precision: str, dtype: torch.dtype
) -> None:
    prepare(probe(precision=precision)).running().call()
    network, images, result = SEEN[0]
    assert {images.dtype, result.dtype, next(network.parameters()).dtype} == {dtype}


def test_channels_last_reaches_weights_input_and_result(probe: Callable[..., Case]) -> None:
    prepare(probe(layout="channels_last")).running().call()
    network, images, result = SEEN[0]
    for tensor in (images, result, next(network.parameters())):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
        assert not tensor.is_contiguous()


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True)])
def test_tf32_is_what_was_asked_for(
    case: Callable[..., Case], precision: str, allowed: bool
) -> None:
    try:
        set_flags(case(precision=precision))
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
    finally:
        set_flags(case())
