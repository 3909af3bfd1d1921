"""One convolution by itself, some times over: to see what a layer costs without its network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from architectures.blocks import check_positive


class LoneConvolutions(nn.Module):
    """`repeats` alike convolutions, each of the same map: (N, C_in, H, W) to (N, C_out).

    Each has weights of its own, and none waits for another. What comes out is one pixel of each,
    added up: next to nothing, and yet no compiler may leave a convolution out.
    """

    total_stride = 1

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int] = (1, 1),
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        check_positive(repeats=repeats)
        height, width = kernel_size
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                in_channels,
                out_channels,
                (height, width),
                (stride[0], stride[1]),
                (padding[0], padding[1]),
                (dilation[0], dilation[1]),
                groups,
                bias=False,
            )
            for _ in range(repeats)
        )

    def forward(self, x: Tensor) -> Tensor:
        pixels = [convolution(x)[:, :, 0, 0] for convolution in self.convolutions]
        return torch.stack(pixels).sum(0)
