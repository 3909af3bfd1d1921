"""Batches in order, a bounded number of them ahead, and files that are no images."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchbench.cases import Case
from benchbench.datasets import loader
from benchbench.datasets.folder import LabelledImage
from benchbench.datasets.loader import Corrupt, Prepared, batches

MakeCase = Callable[..., Case]


def squares(count: int) -> list[LabelledImage]:
    """Grey images whose pixels and labels are their numbers."""
    images = [LabelledImage(Path(f"{number}.png"), number) for number in range(count)]
    for image in images:
        Image.new("RGB", (8, 8), (image.label,) * 3).save(image.path)
    return images


@pytest.mark.parametrize(("size", "expected"), [(3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)])
def test_all_images_in_order_and_the_last_batch_as_it_is(
    case: MakeCase, size: int, expected: list[int]
) -> None:
    raw = case(batch_size=size, resolution=8, preprocessing="megvii")
    found = list(batches(squares(7), raw))
    assert [len(batch) for batch in found] == expected
    items = [item for batch in found for item in batch]
    assert [item.label for item in items] == list(range(7))
    assert [item.pixels.unique().tolist() for item in items] == [[n] for n in range(7)]
    assert items[0].pixels.shape == (3, 8, 8)
    assert items[0].pixels.dtype == torch.float32


def test_preparation_stays_a_few_batches_ahead(
    case: MakeCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 images, those of the batch at hand and of two more are begun."""
    begun: list[int] = []

    def prepare(image: LabelledImage, _: Case) -> Prepared:
        begun.append(image.label)
        return Prepared(torch.zeros(3, 1, 1), image.label)

    monkeypatch.setattr(loader, "prepare", prepare)
    images = [LabelledImage(Path("none"), number) for number in range(1000)]
    stream = batches(images, case(batch_size=10))
    for number in range(5):
        next(stream)
        assert set(begun) <= set(range(10 * (number + 1 + loader.AHEAD)))
    before = threading.active_count()
    stream.close()
    assert threading.active_count() < before  # it ended its own
    assert len(begun) <= 70


def test_what_cannot_be_read_says_why_in_its_place(case: MakeCase) -> None:
    images = squares(5)
    images[0].path.write_bytes(b"")
    images[1].path.write_text("a text")
    images[2].path.write_bytes(images[2].path.read_bytes()[:45])
    images[3].path.unlink()
    ((*bad, good),) = batches(images, case(batch_size=5))
    assert isinstance(good, Prepared)
    assert all(isinstance(item, Corrupt) for item in bad)
    assert [item.path.name for item in bad] == ["0.png", "1.png", "2.png", "3.png"]
    assert [item.reason for item in bad[:2]] == ["is not an image"] * 2
    assert "cannot be read as an image" in bad[2].reason
    assert "No such file" in bad[3].reason


def test_what_pillow_warns_of_is_heard_in_no_thread(
    case: MakeCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a warning is an error; threads that each silence their own may undo one another."""

    def prepare(image: LabelledImage, _: Case) -> Prepared:
        warnings.warn("of a palette", stacklevel=1)
        return Prepared(torch.zeros(3, 1, 1), image.label)

    monkeypatch.setattr(loader, "prepare", prepare)
    filters = list(warnings.filters)
    images = [LabelledImage(Path("none"), number) for number in range(9)]
    assert sum(map(len, batches(images, case(batch_size=2)))) == 9
    assert list(warnings.filters) == filters
