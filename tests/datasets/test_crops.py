"""Random crops: which region of which image, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import kstest

from architectures.preprocessing import PREPROCESSING
from benchbench.cases import Case
from benchbench.datasets import crops as module
from benchbench.datasets.crops import (
    AREAS,
    SHAPES,
    _box,
    check_photographs,
    in_batches,
    photographs,
    random_crops,
)
from benchbench.errors import UserError

Box = tuple[float, float, float, float]


@pytest.fixture
def raw(case: Callable[..., Case]) -> Case:
    """Fed raw pixels, blue first, bilinearly resampled without smoothing."""
    return case(preprocessing="megvii", resolution=8, batch_size=4)


def ramp(path: str, width: int = 256, height: int = 192) -> None:
    """Red is the column, green the row, blue 7."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.full_like(rows, 7)], axis=2)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def paint(path: str, red: int, size: tuple[int, int] = (20, 16)) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(path)


def boxes(size: tuple[int, int], count: int = 4000, seed: int = 0) -> list[Box]:
    random = Random(seed)
    return [_box(size, random) for _ in range(count)]


def reds(case: Case, count: int, seed: int = 0) -> list[int]:
    return [
        round(crop[2].mean().item()) for crop in random_crops("input", "set", case, count, seed)
    ]


def test_the_same_seed_gives_the_same_crops(raw: Case) -> None:
    ramp("set/a.png")
    first, again, other = (
        torch.stack(list(random_crops("input", "set", raw, 6, seed))) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({tuple(crop.flatten().tolist()) for crop in first}) == 6


def test_more_crops_go_on_where_fewer_end(raw: Case) -> None:
    ramp("set/a.png")
    ramp("set/b.png", 100, 120)
    few, many = (list(random_crops("input", "set", raw, count, 0)) for count in (3, 7))
    assert all(torch.equal(*both) for both in zip(few, many, strict=False))


@pytest.mark.parametrize("size", [(451, 300), (300, 451), (512, 512), (600, 400), (7, 9), (1, 1)])
def test_boxes_lie_inside_the_image_and_keep_to_their_limits(size: tuple[int, int]) -> None:
    """As on every image up to twice as wide as high."""
    width, height = size
    for left, upper, right, lower in boxes(size):
        assert 0 <= left < right <= width * (1 + 1e-12)
        assert 0 <= upper < lower <= height * (1 + 1e-12)
        share = (right - left) * (lower - upper) / (width * height)
        assert AREAS[0] - 1e-9 <= share <= AREAS[1] + 1e-9
        assert SHAPES[0] - 1e-9 <= (right - left) / (lower - upper) <= SHAPES[1] + 1e-9


def test_of_a_panorama_a_box_has_all_the_height_its_shape_needs() -> None:
    """Of 4:1, a third of the area is 4:3 and full height: no larger one has an allowed shape."""
    for left, upper, right, lower in boxes((400, 100)):
        assert SHAPES[0] - 1e-9 <= (right - left) / (lower - upper) <= SHAPES[1] + 1e-9
        assert lower - upper == pytest.approx(100)
        assert (right - left) * (lower - upper) <= 400 * 100 / 3 + 1e-6


def test_areas_shapes_and_places_are_evenly_spread() -> None:
    """On a square image every box of at most 3/4 of the area fits: 1 / (4/3).

    So shares up to there are uniform, shapes uniform in their logarithm, and places uniform in
    the room that a box leaves. Kolmogorov's test of 4,000 boxes, seeded: each would fail by
    chance once in a thousand seeds.
    """
    found = np.array(boxes((1000, 1000)))
    wide, high = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    shares, shapes = wide * high / 1e6, np.log(wide / high)
    below = shares[shares < 0.75]
    assert len(below) > 2000
    low, high_end = math.log(SHAPES[0]), math.log(SHAPES[1])
    assert kstest(below, "uniform", (AREAS[0], 0.75 - AREAS[0])).pvalue > 1e-3
    assert kstest(shapes, "uniform", (low, high_end - low)).pvalue > 1e-3
    for start, length in ((found[:, 0], wide), (found[:, 1], high)):
        free = length < 999  # else there is no choice
        assert free.sum() > 3000
        assert kstest(start[free] / (1000 - length[free]), "uniform").pvalue > 1e-3


def test_what_is_fed_is_the_region_that_was_drawn(raw: Case) -> None:
    """On a ramp the mean red is the middle column, the mean green the middle row."""
    ramp("set/a.png")
    random = Random(5)
    for crop in random_crops("input", "set", raw, 20, 5):
        left, upper, right, lower = _box((256, 192), random)
        blue, green, red = crop.mean((1, 2)).tolist()
        assert blue == 7
        # A pixel's value stands for its centre, and Pillow cuts fractions off.
        assert red == pytest.approx((left + right) / 2 - 0.5, abs=1.1)
        assert green == pytest.approx((upper + lower) / 2 - 0.5, abs=1.1)


@pytest.mark.parametrize("name", sorted(PREPROCESSING))
def test_every_preparation_takes_crops(case: Callable[..., Case], name: str) -> None:
    """Pillow refuses a box that leaves the image by a rounding error."""
    ramp("set/odd.png", 97, 131)
    taken = list(random_crops("input", "set", case(preprocessing=name, resolution=9), 300, 1))
    assert {crop.shape for crop in taken} == {(3, 9, 9)}
    assert all(crop.dtype == torch.float32 and crop.isfinite().all() for crop in taken)


def test_images_take_turns_in_the_order_of_their_names(raw: Case) -> None:
    for name, red in {"b": 20, "a": 10, "c": 30}.items():
        paint(f"set/{name}.png", red)
    assert reds(raw, 7) == [10, 20, 30, 10, 20, 30, 10]


def test_more_images_than_are_kept_change_nothing(
    raw: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        paint(f"set/{number}.png", 10 * number)
    monkeypatch.setattr(module, "KEPT", 2)
    assert reds(raw, 12) == [0, 10, 20, 30, 40, 0, 10, 20, 30, 40, 0, 10]


def test_whole_batches_only(raw: Case) -> None:
    ramp("set/a.png")
    batches = list(in_batches(random_crops("input", "set", raw, 11, 0), 4))
    assert [tuple(batch.shape) for batch in batches] == [(4, 3, 8, 8)] * 2
    whole = torch.stack(list(random_crops("input", "set", raw, 8, 0)))
    assert torch.equal(torch.cat(batches), whole)
    assert len(list(in_batches(random_crops("input", "set", raw, 8, 0), 4))) == 2
    assert not list(in_batches(random_crops("input", "set", raw, 3, 0), 4))


def test_what_is_a_photograph() -> None:
    for name in ("set/b.PNG", "set/a.jpg", "set/.hidden.png"):
        paint(name, 1)
    Path("set/notes.txt").write_text("no picture")
    Path("set/folder.png").mkdir()
    assert [path.name for path in photographs("input", "set")] == ["a.jpg", "b.PNG"]
    assert photographs("input", "set/b.PNG") == [Path("set/b.PNG")]


def test_no_photograph_is_an_error() -> None:
    with pytest.raises(UserError, match=r"^calibration=nosuch: No such file or directory; "):
        photographs("calibration", "nosuch")
    Path("set").mkdir()
    with pytest.raises(UserError, match=r"^input=set: no image; allowed endings are \.bmp "):
        photographs("input", "set")


def test_an_image_that_cannot_be_read_is_an_error(raw: Case) -> None:
    paint("set/a.png", 10)
    Path("set/b.png").write_text("no picture")
    with pytest.raises(UserError, match=r"^calibration=set/b\.png is not an image$"):
        list(random_crops("calibration", "set", raw, 2, 0))
    with pytest.raises(UserError, match=r"^input=set/b\.png is not an image$"):
        check_photographs("input", "set", 2)
    check_photographs("input", "set", 1)  # no crop is taken of the second
    assert reds(raw, 1) == [10]
