"""Accuracy of networks whose answer follows from an image's colour by arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.errors import UserError
from benchbench.measurements import Measurement
from benchbench.profilers.accuracy import accuracy, class_outputs, ranks

BUDGET = BudgetSettings()
SEEN: list[Tensor] = []


class Reddest(nn.Module):
    """Class k has its centre at a red of 50 k; the nearer a centre, the higher its output.

    Fed as the official ShuffleNetV2: raw pixels, blue first.
    """

    def __init__(self, classes: int = 6, channel: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(classes) * 50.0)
        self.channel = channel

    def forward(self, x: Tensor) -> Tensor:
        SEEN.append(x)
        return -(x[:, self.channel].mean((1, 2))[:, None] - self.weight).abs()


class Odd(nn.Module):
    """Three classes by red, not finite above 200, all equal at 77; or another kind of output."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        red = x[:, 2].mean((1, 2))
        outputs = torch.stack((red * 0 + 100, red, red * 0), dim=1)
        outputs[red > 200, 2] = float("nan")
        outputs[red > 220, 2] = float("inf")
        outputs[red == 77] = 0.0
        shapes = {
            "map": outputs[:, :, None, None],
            "tuple": (outputs, outputs),
            "flat": outputs.flatten(),
        }
        return shapes.get(self.kind, outputs)


@pytest.fixture
def network(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """A case of one of the networks above on raw pixels, blue first, eight images at a time."""
    module = type(pytest)("colours")
    module.Reddest, module.Odd = Reddest, Odd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "colours", module)
    SEEN.clear()

    def make(name: str = "Reddest", **changes: Any) -> Case:
        values = {"batch_size": 8, "resolution": 8, "preprocessing": "megvii", "input": "set"}
        return case(name="mine", target=f"colours.{name}", **(values | changes))

    return make


def paint(*images: tuple[str, int]) -> None:
    """Images of one colour: their red as given, blue and green misleading."""
    for name, red in images:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (red, 255 - red, 3)).save(name)


def measured(
    case: Case, beat: Callable[[float], bool] = lambda _: True
) -> tuple[Measurement, Measurement]:
    top1, top5 = accuracy(case, BUDGET, beat)
    assert (top1.metric, top5.metric) == ("top1", "top5")
    return top1, top5


# Red 130 is 20 from class 3, 30 from 2, 70 from 4, 80 from 1, 120 from 5 and 130 from 0.
BY_RANK = [(f"set/{label}/rank{rank}.png", 130) for rank, label in enumerate((3, 2, 4, 1, 5, 0))]


def test_right_is_the_best_or_among_the_five_best(network: Callable[..., Case]) -> None:
    """One image in each class: one is right at once, all but one among the five best."""
    paint(*BY_RANK)
    top1, top5 = measured(network())
    # In the order of the files, set/0 to set/5: the ranks are 5, 3, 1, 0, 2, 4.
    assert top1.samples == ((0, 0, 0, 1, 0, 0),)
    assert top5.samples == ((0, 1, 1, 1, 1, 1),)
    assert top1.value == pytest.approx(1 / 6)
    assert top5.value == pytest.approx(5 / 6)
    assert all(isinstance(sample, int) for sample in top1.flat)
    assert top1.details["labelled_images"] == 6
    assert top1.details["remarks"] == []


@pytest.mark.parametrize("batch_size", [1, 4, 5, 6, 50])
def test_the_size_of_a_batch_changes_nothing(network: Callable[..., Case], batch_size: int) -> None:
    paint(*BY_RANK)
    assert measured(network(batch_size=batch_size))[0].samples == ((0, 0, 0, 1, 0, 0),)
    sizes = [len(images) for images in SEEN[1:]]  # the first is the question how many classes
    whole, rest = divmod(6, batch_size)
    assert sizes == [batch_size] * whole + [rest] * (rest > 0)


def test_channels_come_in_the_order_of_the_networks_paper(network: Callable[..., Case]) -> None:
    """Fed red first, the same network sees blue, 3, where it looks for red: class 0."""
    paint(*BY_RANK)
    how = {"preprocessing": "inception"}  # (pixel - 127.5) / 127.5
    assert measured(network(**how))[0].samples == ((1, 0, 0, 0, 0, 0),)
    blue = (3 - 127.5) / 127.5
    assert SEEN[-1][:, 2].mean().item() == pytest.approx(blue, abs=1e-5)
    assert SEEN[-1][:, 0].mean().item() == pytest.approx((130 - 127.5) / 127.5, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({}, torch.float32),
        ({"precision": "bf16"}, torch.bfloat16),
        ({"precision": "fp16"}, torch.float16),
        ({"layout": "channels_last"}, torch.float32),
    ],
)
def test_images_are_fed_in_the_cases_type_and_layout(
    network: Callable[..., Case], changes: dict[str, str], dtype: torch.dtype
) -> None:
    paint(*BY_RANK)
    assert measured(network(**changes))[0].samples == ((0, 0, 0, 1, 0, 0),)
    images = SEEN[-1]
    assert images.dtype == dtype
    last = images.is_contiguous(memory_format=torch.channels_last)
    assert last is (changes == {"layout": "channels_last"})


def test_corrupt_images_are_left_out_and_listed(network: Callable[..., Case]) -> None:
    paint(*BY_RANK)
    Path("set/3/deep").mkdir()
    Path("set/3/deep/empty.jpg").touch()
    Path("set/0/text.png").write_text("not a picture")
    top1, _ = measured(network(batch_size=2))
    assert top1.samples == ((0, 0, 0, 1, 0, 0),)
    assert top1.details["corrupt"] == [
        {"file": "0/text.png", "reason": "is not an image"},
        {"file": "3/deep/empty.jpg", "reason": "is not an image"},
    ]
    assert top1.details["remarks"] == ["images that could not be read, left out: 2"]


def test_no_image_that_can_be_read_is_no_figure(network: Callable[..., Case]) -> None:
    for number in range(3):
        Path(f"set/{number}").mkdir(parents=True)
        Path(f"set/{number}/{number}.png").touch()
    top1, top5 = measured(network(batch_size=2))
    assert top1.value is None
    assert top5.value is None
    assert top1.reason == "none of the images could be read (3); the first: 0.png is not an image"
    assert len(top1.details["corrupt"]) == 3


def test_outputs_that_are_not_finite_or_all_equal_are_told(network: Callable[..., Case]) -> None:
    """`argmax` would make class 0 of each of them."""
    paint(("set/0/nan.png", 210), ("set/0/inf.png", 230), ("set/0/dim.png", 40))
    paint(("set/1/bright.png", 150), ("set/1/equal.png", 77), ("set/2/equal.png", 77))
    top1, _ = measured(network("Odd"))
    # dim: 100 against 40; inf and nan are wrong; bright: 150 against 100; of equals the lowest.
    assert top1.samples == ((1, 0, 0, 1, 0, 0),)
    assert top1.details["remarks"] == [
        "images whose output is not finite, counted as wrong: 2",
        "images with several best outputs, the lowest class taken: 2",
    ]


def test_top5_needs_five_outputs(network: Callable[..., Case]) -> None:
    paint(("set/0/a.png", 10))
    top1, top5 = measured(network(arguments={"classes": 4}))
    assert top1.value == 1
    assert top5.value is None
    assert top5.reason == "the network has 4 outputs: fewer than 5"
    assert measured(network(arguments={"classes": 5}))[1].value == 1


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("map", r"\[1, 3, 1, 1\]"), ("tuple", r"\[1, 3\], \[1, 3\]"), ("flat", r"\[3\]")],
)
def test_another_output_is_refused(network: Callable[..., Case], kind: str, shape: str) -> None:
    paint(("set/0/a.png", 10))
    message = rf"^model=mine: its output for a batch of 1 is {shape}; allowed is \[1, classes\]$"
    with pytest.raises(UserError, match=message):
        measured(network("Odd", arguments={"kind": kind}))


def test_stopped_early_it_yields_what_it_has(network: Callable[..., Case]) -> None:
    """Told to stop after the second batch of two; every batch gives a sign of life."""
    paint(*BY_RANK)
    told: list[float] = []

    def beat(fraction: float) -> bool:
        told.append(fraction)
        return len(told) < 2

    top1, _ = measured(network(batch_size=2), beat)
    assert told == pytest.approx([2 / 6, 4 / 6])
    assert top1.samples == ((0, 0, 0, 1),)
    assert top1.details["remarks"] == ["images looked at: 4 of 6"]


def test_ranks_are_those_of_scipy() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randint(0, 20, (200, 30), generator=generator).float()  # with many ties
    labels = torch.randint(0, 30, (200,), generator=generator)
    theirs = [
        int(rankdata(-row.numpy(), method="ordinal")[label]) - 1
        for row, label in zip(outputs, labels.tolist(), strict=True)
    ]
    assert ranks(outputs, labels).tolist() == theirs


class Recorder(NamedTuple):
    """A network of two classes that remembers how many images it was fed."""

    fed: list[int]

    def outputs(self, images: Tensor) -> list[Tensor]:
        self.fed.append(len(images))
        return [images[:, 0, 0, :2]]


@pytest.mark.parametrize(
    ("runtime", "fed"),
    [("eager", 3), ("compiled", 8), ("cuda_graph", 8), ("onnxruntime", 8), ("openvino", 8)],
)
def test_what_is_made_for_one_size_of_batch_gets_it(
    case: Callable[..., Case], runtime: str, fed: int
) -> None:
    images = torch.rand(3, 3, 8, 8)
    recorder = Recorder([])
    outputs = class_outputs(recorder, images, case(runtime=runtime, batch_size=8))  # type: ignore[arg-type]
    assert recorder.fed == [fed]
    assert torch.equal(outputs, images[:, 0, 0, :2])
