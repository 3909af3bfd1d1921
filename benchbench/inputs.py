"""The tensor a case is fed: noise, or a photograph prepared as the network's paper does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchbench.cases import Case, image_path
from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

CALIBRATION_IMAGES = 128
CALIBRATION_SEED = 2**20  # other crops than any that are judged
JUDGED_IMAGES = 8
JUDGED_SEED = 2**21


def make_input(case: Case) -> Tensor:
    """(N, 3, H, W), fp32, on the CPU: standard normal, or one image repeated.

    Never zeros: they are fast on hardware that skips or gates them.

    Raises:
        UserError: the image cannot be read.
    """
    import torch

    path = image_path(case)
    if path is None:
        generator = torch.Generator().manual_seed(case.seed)
        return torch.randn(case.input_shape, generator=generator)
    from architectures.preprocessing import PREPROCESSING, preprocess

    try:
        image = preprocess(path, case.resolution, PREPROCESSING[case.preprocessing])
    except ValueError as error:
        raise UserError(f"input={error}") from error
    return image.expand(case.input_shape).contiguous()


def judged_input(case: Case) -> list[Tensor]:
    """Batches of (N, 3, H, W), fp32, on the CPU: what a runtime's answer is compared on.

    The case's own input; of int8, whose error differs from image to image, several, and like those
    that its ranges were seen on.

    Raises:
        UserError: an image cannot be read.
    """
    if case.precision != "int8":
        return [make_input(case)]
    return list(_batches(case, JUDGED_IMAGES, JUDGED_SEED))


def check_image(case: Case) -> tuple[str, ...]:
    """Decode the image of a case, so that a bad one fails before anything is measured.

    What to know of how it was decoded.

    Raises:
        UserError: it cannot be read.
    """
    path = image_path(case)
    if path is None:
        return ()
    from architectures.preprocessing import photograph

    try:
        return photograph(path).remarks
    except ValueError as error:
        raise UserError(f"input={error}") from error


def calibration_batches(case: Case) -> Iterator[Tensor]:
    """(N, 3, H, W), fp32, on the CPU: what the ranges of int8 are seen on.

    Random crops of the images that were named for it; without any, noise, on which ranges are
    those of a network that nobody trained.

    Raises:
        UserError: an image cannot be read.
    """
    yield from _batches(case, CALIBRATION_IMAGES, CALIBRATION_SEED)


def _batches(case: Case, images: int, seed: int) -> Iterator[Tensor]:
    """Crops of the images for calibration, or noise: as many as asked for, or some more."""
    import torch

    batches = math.ceil(images / case.batch_size)
    if case.calibration is None:
        generator = torch.Generator().manual_seed(seed + case.seed)
        for _ in range(batches):
            yield torch.randn(case.input_shape, generator=generator)
        return
    from benchbench.datasets.crops import in_batches, random_crops

    count = batches * case.batch_size
    crops = random_crops("calibration", case.calibration, case, count, seed)
    yield from in_batches(crops, case.batch_size)
