"""Random crops of photographs: many inputs from few files, the same ones for every runtime."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from architectures.preprocessing import PREPROCESSING, UnreadableImage, crop, decode
from benchbench.cases import Case, expanded
from benchbench.datasets.folder import IMAGE_ENDINGS
from benchbench.errors import UserError

# Of a crop: share of the image's area, and width over height. Source: Szegedy et al. 2015
# (arXiv:1409.4842), section 6, whose smallest crops hold no whole object: ours begin at a third.
AREAS = (0.35, 1.0)
SHAPES = (3 / 4, 4 / 3)


def photographs(key: str, path: str) -> list[Path]:
    """The images in a folder, sorted; or the one image.

    Raises:
        UserError: there is none.
    """
    folder = expanded(key, path)
    if folder.is_file():
        return [folder]
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{key}={path}: {error.strerror}; a folder of images is needed") from error
    found = [file for file in files if file.name.lower().endswith(IMAGE_ENDINGS)]
    if not found:
        endings = " ".join(IMAGE_ENDINGS)
        raise UserError(f"{key}={path}: no image; allowed endings are {endings}")
    return found


def random_crops(key: str, path: str, case: Case, count: int, seed: int) -> Iterator[Tensor]:
    """So many (3, H, W) in fp32, prepared as the case's network wants them, images in turn.

    Raises:
        UserError: there is no image, or one cannot be read.
    """
    random = Random(seed)
    how = PREPROCESSING[case.preprocessing]
    try:
        images = [decode(file) for file in photographs(key, path)]
    except UnreadableImage as error:
        raise UserError(f"{key}={error}") from error
    for number in range(count):
        image = images[number % len(images)]
        yield crop(image, _box(image.size, random), case.resolution, how)


def in_batches(crops: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """(N, 3, H, W) of full batches; what is left over is dropped."""
    while len(batch := [one for _, one in zip(range(size), crops, strict=False)]) == size:
        yield torch.stack(batch)


def _box(size: tuple[int, int], random: Random) -> tuple[float, float, float, float]:
    """A region of an image so wide and high: left, upper, right and lower edge."""
    width, height = size
    area = width * height * random.uniform(*AREAS)
    shape = math.exp(random.uniform(*map(math.log, SHAPES)))
    wide = min(math.sqrt(area * shape), width)
    high = min(math.sqrt(area / shape), height)
    left, upper = random.uniform(0, width - wide), random.uniform(0, height - high)
    return left, upper, left + wide, upper + high
