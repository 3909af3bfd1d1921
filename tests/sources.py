"""Who prints figures of networks, and how: what the last digit of a figure stands for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

MILLION = 10**6


class Printed(NamedTuple):
    """A figure as printed: 0.39 G is 390,000,000, and its last digit stands for 10,000,000."""

    value: int
    digit: int

    def holds(self, exact: int) -> bool:
        """Whether `exact`, rounded to the digits printed, is this figure."""
        return 2 * abs(exact - self.value) <= self.digit

    def __str__(self) -> str:
        return with_digits(self.value, self.digit)


def with_digits(value: float, digit: int, more: int = 0) -> str:
    """A count up to the digit that stands for `digit`, and `more`: "0.39 G", "5.3 M"."""
    exponent, letter = (9, "G") if digit >= 10 * MILLION else (6, "M")
    decimals = max(0, exponent + 1 - len(str(digit)) + more)
    return f"{value / 10**exponent:,.{decimals}f} {letter}"


def as_written(millions: str) -> int:
    """What the last digit stands for: a tenth of a million in "5.3"."""
    exponent = Decimal(millions).as_tuple().exponent
    return int(MILLION * Decimal(10) ** int(exponent))


def billions(millions: str) -> int:
    """The same where billions were printed, with two digits or more: "390" was 0.39, "37000" 37.

    Further zeros come from turning billions into millions.
    """
    number = Decimal(millions).normalize()
    exponent = min(int(number.as_tuple().exponent), number.adjusted() - 1)
    return int(MILLION * Decimal(10) ** exponent)


def hundredths_of_a_billion(_: str) -> int:
    """The same where billions were printed with two decimals: "30.0" was 0.03."""
    return 10 * MILLION


class Source(NamedTuple):
    mark: str  # what the source column of models.csv has in it
    label: str
    citation: str
    last_digit: Callable[[str], int] = as_written  # of multiply-adds; parameters are as written


GPIPE = Source("", "GPipe", "Huang et al., arXiv:1811.06965, Table 1; not verified")
# The first whose mark is found counts.
SOURCES = (
    Source(
        "results/results-imagenet.csv",
        "timm",
        "huggingface/pytorch-image-models at aa4b585, `results/results-imagenet.csv` "
        "(parameters) and `results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv`",
        hundredths_of_a_billion,
    ),
    Source(
        "arXiv:1905.11946 v5) Table 2",
        "EfficientNet",
        "Tan and Le, arXiv:1905.11946v5, Table 2",
        billions,
    ),
    Source(
        "efficientnet/lite/README.md",
        "Lite README",
        "tensorflow/tpu at 7dc921f, `models/official/efficientnet/lite/README.md`",
    ),
    Source(
        "efficientnetv2/README.md",
        "EfficientNetV2 README",
        "google/automl at 6a54c87, `efficientnetv2/README.md`",
        billions,
    ),
    Source(
        "nets/mobilenet_v1.md",
        "slim V1 README",
        "tensorflow/models at 02c04f4, `research/slim/nets/mobilenet_v1.md`",
    ),
    Source(
        "nets/mobilenet/README.md",
        "slim README",
        "tensorflow/models at 0ba83cf, `research/slim/nets/mobilenet/README.md`",
    ),
    Source(
        "arXiv:1905.02244 final / ICCV 2019) Table 3",
        "MobileNetV3",
        "Howard et al., arXiv:1905.02244, last version, Table 3",
    ),
    Source(
        "ShuffleNet-Series README.md",
        "megvii README",
        "megvii-model/ShuffleNet-Series at aa91feb, `README.md`, quoting the MobileNetV3 paper",
    ),
    Source(
        "mnasnet/README.md",
        "MnasNet README",
        "tensorflow/tpu at 7dc921f, `models/official/mnasnet/README.md`",
    ),
    Source(
        "torchvision/models weights meta",
        "torchvision",
        "pytorch/vision, `torchvision/models`, what its weights say of themselves",
        billions,
    ),
    Source(
        "arXiv:1707.01083) Table 1",
        "ShuffleNetV1, Table 1",
        "Zhang et al., arXiv:1707.01083, Table 1",
    ),
    Source(
        "arXiv:1707.01083) Table 2",
        "ShuffleNetV1, Table 2",
        "Zhang et al., arXiv:1707.01083, Table 2",
    ),
    Source(
        "arXiv:1707.01083) Table 5",
        "ShuffleNetV1, Table 5",
        "Zhang et al., arXiv:1707.01083, Table 5",
    ),
    Source(
        "ShuffleNetV1/README.md",
        "megvii V1 README",
        "megvii-model/ShuffleNet-Series at aa91feb, `ShuffleNetV1/README.md`",
    ),
    Source(
        "arXiv:1807.11164) Table 5 + Table 8",
        "ShuffleNetV2, Table 5",
        "Ma et al., arXiv:1807.11164, Table 5 (multiply-adds) and Table 8",
    ),
    Source(
        "ShuffleNetV2 paper Table 8",
        "ShuffleNetV2, Table 8",
        "Ma et al., arXiv:1807.11164, Table 8",
    ),
    Source(
        "ShuffleNetV2 paper Table 6",
        "ShuffleNetV2, Table 6",
        "Ma et al., arXiv:1807.11164, Table 6",
        billions,
    ),
    Source(
        "osmr/imgclsmob pytorch",
        "imgclsmob",
        "osmr/imgclsmob at 8489d1b, `pytorch/README.md`",
    ),
)
