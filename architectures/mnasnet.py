"""MnasNet, arXiv:1807.11626: found by a search that measured latency on a phone.

Layer facts beyond the paper: tensorflow/tpu `models/official/mnasnet/mnasnet_models.py`.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    RELU,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    SqueezeExcite,
    check_choice,
    check_positive,
    make_divisible,
    repeated,
    strides,
)

STEM_CHANNELS = {"a1": 32, "b1": 32, "small": 8}
HEAD_CHANNELS = 1280
SQUEEZE_RATIO = 0.25  # of the block's input channels, before expansion
NORM = partial(BatchNorm, eps=1e-3, momentum=0.01)


squeeze_excite = partial(SqueezeExcite, activation=RELU)


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
    # `mnasnet_small` of the official code
    "small": (
        Stage(kernel_size=3, stride=1, expansion=1, channels=8, repeats=1),
        Stage(kernel_size=3, stride=2, expansion=3, channels=16, repeats=1),
        Stage(kernel_size=3, stride=2, expansion=6, channels=16, repeats=2),
        Stage(kernel_size=5, stride=2, expansion=6, channels=32, repeats=4, squeeze=True),
        Stage(kernel_size=3, stride=1, expansion=6, channels=32, repeats=3, squeeze=True),
        Stage(kernel_size=5, stride=2, expansion=6, channels=88, repeats=3, squeeze=True),
        Stage(kernel_size=3, stride=1, expansion=6, channels=144, repeats=1),
    ),
}


class MnasNet(nn.Module):
    """3x3 stem -> seven stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `network` is "a1", "b1" or "small". `width` multiplies channels but the head's, `depth`
    repeats, rounded up. `padding="same"` pads as TensorFlow does. `first_skip` adds x in the
    first block where shapes allow (in "small"): TensorFlow's code does not, timm does.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        network: str = "a1",
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        padding: str = SYMMETRIC,
        first_skip: bool = False,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        check_choice("network", network, NETWORKS)
        conv = partial(ConvNormAct, norm=NORM, padding=padding)
        channels = make_divisible(STEM_CHANNELS[network] * width)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        stages: list[nn.Module] = []
        for stage in NETWORKS[network]:
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, repeated(stage.repeats, depth)):
                out_channels = make_divisible(stage.channels * width)
                expanded = channels * stage.expansion
                squeezed = max(1, int(channels * SQUEEZE_RATIO))
                block = InvertedResidual(
                    channels,
                    out_channels,
                    conv=conv,
                    expanded_channels=expanded,
                    kernel_size=stage.kernel_size,
                    stride=stride,
                    squeeze_excite=squeeze_excite(expanded, squeezed) if stage.squeeze else None,
                    skip=bool(stages or blocks) or first_skip,
                )
                blocks.append(block)
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = conv(channels, HEAD_CHANNELS)
        self.classifier = Classifier(HEAD_CHANNELS, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
