"""MnasNet, arXiv:1807.11626: found by a search that measured latency on a phone.

Layer facts beyond the paper: tensorflow/tpu `models/official/mnasnet/mnasnet_models.py`.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import Classifier, ConvNormAct, InvertedResidual, check_positive, strides

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
SQUEEZE_RATIO = 0.25  # of the block's input channels, before expansion
NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class Stage(NamedTuple):
    kernel_size: int
    stride: int
    expansion: int
    channels: int
    repeats: int
    squeeze: bool = False


NETWORKS = {
    # figure 7
    "a1": (
        Stage(kernel_size=3, stride=1, expansion=1, channels=16, repeats=1),
        Stage(kernel_size=3, stride=2, expansion=6, channels=24, repeats=2),
        Stage(kernel_size=5, stride=2, expansion=3, channels=40, repeats=3, squeeze=True),
        Stage(kernel_size=3, stride=2, expansion=6, channels=80, repeats=4),
        Stage(kernel_size=3, stride=1, expansion=6, channels=112, repeats=2, squeeze=True),
        Stage(kernel_size=5, stride=2, expansion=6, channels=160, repeats=3, squeeze=True),
        Stage(kernel_size=3, stride=1, expansion=6, channels=320, repeats=1),
    ),
    # `mnasnet_b1` of the official code: no squeeze-excite
    "b1": (
        Stage(kernel_size=3, stride=1, expansion=1, channels=16, repeats=1),
        Stage(kernel_size=3, stride=2, expansion=3, channels=24, repeats=3),
        Stage(kernel_size=5, stride=2, expansion=3, channels=40, repeats=3),
        Stage(kernel_size=5, stride=2, expansion=6, channels=80, repeats=3),
        Stage(kernel_size=3, stride=1, expansion=6, channels=96, repeats=2),
        Stage(kernel_size=5, stride=2, expansion=6, channels=192, repeats=4),
        Stage(kernel_size=3, stride=1, expansion=6, channels=320, repeats=1),
    ),
}


def inverted_residual(
    in_channels: int, out_channels: int, stage: Stage, *, stride: int
) -> InvertedResidual:
    """MBConv with ReLU, with squeeze-excite where the stage says so."""
    return InvertedResidual(
        in_channels,
        out_channels,
        expanded_channels=in_channels * stage.expansion,
        kernel_size=stage.kernel_size,
        stride=stride,
        squeeze_channels=max(1, int(in_channels * SQUEEZE_RATIO)) if stage.squeeze else None,
        norm=NORM,
    )


class MnasNet(nn.Module):
    """3x3 stem -> seven stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `network` is "a1" or "b1".
    """

    total_stride = 32

    def __init__(
        self, *, network: str = "a1", dropout: float = 0.2, num_classes: int = 1000
    ) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        if network not in NETWORKS:
            raise ValueError(f"network={network!r}: allowed are {', '.join(NETWORKS)}")
        channels = STEM_CHANNELS
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2, norm=NORM)
        stages: list[nn.Module] = []
        for stage in NETWORKS[network]:
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, stage.repeats):
                blocks.append(inverted_residual(channels, stage.channels, stage, stride=stride))
                channels = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = ConvNormAct(channels, HEAD_CHANNELS, norm=NORM)
        self.classifier = Classifier(HEAD_CHANNELS, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
