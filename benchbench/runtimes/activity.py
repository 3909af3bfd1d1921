"""Whether a network computes on numbers that a trained one would have."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def activity(network: nn.Module, images: Tensor) -> dict[str, Any]:
    """Its weakest layer, and the layers that died out or overflowed: `problems`, in words."""
    import torch

    from architectures.initialise import activations, problems

    try:
        with torch.inference_mode():
            found = activations(network, images)
    except ValueError as error:
        return {"problems": [], "unknown": str(error)}
    maximum = found.weakest_maximum if isfinite(found.weakest_maximum) else None
    weakest = {"layer": found.weakest_layer, "maximum": maximum}
    return {"problems": problems(found), "weakest": weakest}
