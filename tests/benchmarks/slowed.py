"""Networks whose length is known: a variant with extra work inside, and a loop of given seconds."""

from __future__ import annotations

from time import perf_counter_ns

import torch
from torch import Tensor, nn

from benchbench.cases import NOT_ARGUMENTS, import_network
from benchbench.config import model_settings

SIDE = 64  # of the extra matrices: some microseconds a product


class Slowed(nn.Module):
    """A variant after `extra` small matrix products, which nothing but time depends on."""

    def __init__(self, *, variant: str, extra: int) -> None:
        super().__init__()
        model = model_settings(variant)
        arguments = {key: value for key, value in model.items() if key not in NOT_ARGUMENTS}
        self.network = import_network(model["_target_"])(**arguments)
        self.total_stride = 32
        self.extra = extra
        self.register_buffer("matrix", torch.full((SIDE, SIDE), 1 / SIDE))

    def forward(self, images: Tensor) -> Tensor:
        for _ in range(self.extra):
            torch.mm(self.matrix, self.matrix)
        scores: Tensor = self.network(images)
        return scores


class BusyLoop(nn.Module):
    """Looks at the clock for so many seconds: whoever times it knows the answer."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__()
        self.nanoseconds = round(1e9 * seconds)

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type != "meta":
            until = perf_counter_ns() + self.nanoseconds
            while perf_counter_ns() < until:
                pass
        return images
