"""The tensor a case is fed: noise, or a photograph prepared as the network's paper does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbench.cases import Case, image_path
from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


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


def check_image(case: Case) -> None:
    """Decode the image of a case, so that a bad one fails before anything is measured.

    Raises:
        UserError: it cannot be read.
    """
    path = image_path(case)
    if path is None:
        return
    from architectures.preprocessing import decode

    try:
        decode(path)
    except ValueError as error:
        raise UserError(f"input={error}") from error
