"""Random crops of photographs: many inputs from few files, the same ones for every runtime."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor

from architectures.preprocessing import PREPROCESSING, UnreadableImage, crop, photograph
from benchbench.cases import Case, expanded
from benchbench.datasets.folder import IMAGE_ENDINGS
from benchbench.errors import UserError

# Of a crop: share of the image's area, and width over height. Source: Szegedy et al. 2015
# (arXiv:1409.4842), section 6, whose smallest crops hold no whole object: ours begin at a third.
AREAS = (0.35, 1.0)
SHAPES = (3 / 4, 4 / 3)
KEPT = 32  # decoded images at most: of twelve million pixels, each takes 36 MB


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
    named = [file for file in files if file.name.lower().endswith(IMAGE_ENDINGS)]
    found = [file for file in named if file.is_file() and not file.name.startswith(".")]
    if not found:
        endings = " ".join(IMAGE_ENDINGS)
        raise UserError(f"{key}={path}: no image; allowed endings are {endings}")
    return found


def check_photographs(key: str, path: str, count: int) -> None:
    """Decode what so many crops are taken of, so that a bad image fails before anything is run.

    Raises:
        UserError: there is no image, or one cannot be read.
    """
    for file in photographs(key, path)[:count]:
        _decoded(key, file)


def random_crops(key: str, path: str, case: Case, count: int, seed: int) -> Iterator[Tensor]:
    """So many (3, H, W) in fp32, prepared as the case's network wants them, images in turn.

    Raises:
        UserError: there is no image, or one cannot be read.
    """
    random = Random(seed)
    how = PREPROCESSING[case.preprocessing]
    files = photographs(key, path)
    decoded = lru_cache(maxsize=KEPT)(_decoded)
    for number in range(count):
        image = decoded(key, files[number % len(files)])
        yield crop(image, _box(image.size, random), case.resolution, how)


def in_batches(crops: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """(N, 3, H, W) of full batches; what is left over is dropped."""
    while len(batch := [one for _, one in zip(range(size), crops, strict=False)]) == size:
        yield torch.stack(batch)


def _decoded(key: str, file: Path) -> Image.Image:
    try:
        return photograph(file).image
    except UnreadableImage as error:
        raise UserError(f"{key}={error}") from error


def _box(size: tuple[int, int], random: Random) -> tuple[float, float, float, float]:
    """A region of an image so wide and high: left, upper, right and lower edge.

    Where a region of its area would not fit, the largest of its shape.
    """
    width, height = size
    area = width * height * random.uniform(*AREAS)
    shape = math.exp(random.uniform(*map(math.log, SHAPES)))
    wide, high = math.sqrt(area * shape), math.sqrt(area / shape)
    fits = min(1.0, width / wide, height / high)
    wide, high = min(wide * fits, width), min(high * fits, height)  # no rounding above them
    left, upper = random.uniform(0, width - wide), random.uniform(0, height - high)
    return left, upper, left + wide, upper + high
