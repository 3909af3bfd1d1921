"""Which network of another library is which variant of ours, and how to build it offline.

One table, for tests of counts and outputs and for benchmarks. The libraries are those that
constraints.txt pins; each is imported when the first of its networks is built.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import nn


class Reference(NamedTuple):
    """Another implementation of a variant of ours."""

    variant: str  # ours
    library: str
    name: str  # in the library
    arguments: Mapping[str, Any] = {}  # of the library's constructor
    ours: Mapping[str, Any] = {}  # arguments that make our variant this network
    slow: bool = False  # over 5 G multiply-adds: minutes at its own resolution
    extra_parameters: int = 0  # that it has and the variant does not
    differs: str = ""  # why the same weights in the same order cannot give the same output

    @property
    def label(self) -> str:
        """Distinct for each row of the table: "efficientnet_b0 = timm tf_efficientnet_b0"."""
        arguments = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.variant} = {self.library} {self.name}" + (f"({arguments})" * bool(arguments))


SAME = {"padding": "same"}  # TensorFlow's: what is odd goes to the right and the bottom
SLOW_EFFICIENTNETS = ("b5", "b6", "b7", "b8", "l2")
WIDTHS = {0.25: "_x0_25", 0.35: "_x0_35", 0.5: "_x0_5", 0.75: "_x0_75", 1.0: "", 1.3: "_x1_3"}
WIDTHS[1.4] = "_x1_4"
TIMM_WIDTHS = {"035": "_x0_35", "050": "_x0_5", "075": "_x0_75", "100": "", "140": "_x1_4"}

# Its MobileNetV3 scales the last layer's width too and is no published network but at 1.0.
TORCHVISION = (
    *(
        Reference(f"efficientnet_{size}", "torchvision", f"efficientnet_{size}", slow=size > "b4")
        for size in ("b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7")
    ),
    *(
        Reference(f"efficientnet_v2_{size}", "torchvision", f"efficientnet_v2_{size}", slow=True)
        for size in ("s", "m", "l")
    ),
    *(
        Reference(
            f"mobilenet_v2{WIDTHS[width]}", "torchvision", "mobilenet_v2", {"width_mult": width}
        )
        for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    ),
    Reference("mobilenet_v3_large", "torchvision", "mobilenet_v3_large"),
    Reference("mobilenet_v3_small", "torchvision", "mobilenet_v3_small"),
    *(
        Reference(f"mnasnet_b1{WIDTHS[width]}", "torchvision", "MNASNet", {"alpha": width})
        for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    ),
    *(
        Reference(f"shufflenet_v2_{width}_torchvision", "torchvision", f"shufflenet_v2_{width}")
        for width in ("x0_5", "x1_0", "x1_5", "x2_0")
    ),
    *(
        Reference(f"resnet{depth}", "torchvision", f"resnet{depth}", slow=depth > 50)
        for depth in (18, 50, 101, 152)
    ),
)

FIRST_RESIDUAL = "adds a residual in the first stage, which TensorFlow's code does not"
# `tf_` in a name means TensorFlow's padding; the others pad alike on all sides.
TIMM = (
    *(
        Reference(f"efficientnet_{size}", "timm", f"{prefix}efficientnet_{size}", {}, ours, slow)
        for prefix, ours in (("", {}), ("tf_", SAME))
        for size in ("b0", "b1", "b2", "b3", "b4", *SLOW_EFFICIENTNETS)
        for slow in (size in SLOW_EFFICIENTNETS,)
    ),
    *(
        Reference(
            f"efficientnet_lite{number}", "timm", f"{prefix}efficientnet_lite{number}", {}, ours
        )
        for prefix, ours in (("", {}), ("tf_", SAME))
        for number in range(5)
    ),
    *(
        Reference(
            f"efficientnet_v2_{size}", "timm", f"{prefix}efficientnetv2_{size}", {}, ours, True
        )
        for prefix, ours in (("", {}), ("tf_", SAME))
        for size in ("s", "m", "l", "xl")
    ),
    *(
        Reference(f"efficientnet_v2_b{number}", "timm", f"tf_efficientnetv2_b{number}", ours=SAME)
        for number in range(4)
    ),
    Reference("mobilenet_v1", "timm", "mobilenetv1_100"),
    *(
        # Widths that timm can make and has no public name for, here and below.
        Reference(
            f"mobilenet_v1{WIDTHS[width]}",
            "timm",
            "_gen_mobilenet_v1",
            {"variant": "mobilenetv1_100", "channel_multiplier": width},
        )
        for width in (0.25, 0.5, 0.75)
    ),
    *(
        Reference(f"mobilenet_v2{ours}", "timm", f"mobilenetv2_{theirs}")
        for theirs, ours in TIMM_WIDTHS.items()
    ),
    *(
        Reference(f"mobilenet_v3_{size}", "timm", f"{prefix}mobilenetv3_{theirs}", ours=ours)
        for prefix, ours in (("", {}), ("tf_", SAME))
        for size, theirs in {
            "large": "large_100",
            "large_x0_75": "large_075",
            "small": "small_100",
            "small_x0_75": "small_075",
        }.items()
    ),
    Reference("mobilenet_v3_small_x0_5", "timm", "mobilenetv3_small_050"),
    *(
        Reference(
            f"mobilenet_v3_{size}_minimalistic",
            "timm",
            f"tf_mobilenetv3_{size}_minimal_100",
            ours=SAME,
        )
        for size in ("large", "small")
    ),
    *(
        Reference(f"mnasnet_{network}{ours}", "timm", f"{family}_{theirs}")
        for network, family in (("a1", "semnasnet"), ("b1", "mnasnet"))
        for theirs, ours in TIMM_WIDTHS.items()
        if theirs != "035"
    ),
    *(
        Reference(
            f"mnasnet_{network}{WIDTHS[width]}",
            "timm",
            f"_gen_mnasnet_{network}",
            {"variant": variant, "channel_multiplier": width},
        )
        for network, variant, width in (
            ("a1", "semnasnet_050", 0.35),
            ("b1", "mnasnet_050", 0.35),
            ("b1", "mnasnet_140", 1.3),
        )
    ),
    Reference("mnasnet_small", "timm", "mnasnet_small", differs=FIRST_RESIDUAL),
    *(
        Reference(f"resnet{depth}", "timm", f"resnet{depth}", slow=depth > 50)
        for depth in (18, 50, 101, 152, 200)
    ),
)

CLASSES = 1000
REPEATS = (4, 8, 4)  # units of a ShuffleNet's stages
ORDER = "channels are shuffled into another order: weights would have to be permuted"


def _units(*channels: int) -> list[list[int]]:
    """The widths of a ShuffleNet as pytorchcv's classes take them: one a unit, stage by stage."""
    return [[width] * repeats for width, repeats in zip(channels, REPEATS, strict=True)]


# Official widths that pytorchcv's own names do not have: stem and three stages.
SHUFFLENET_V1 = {
    "g3_x1_5": (24, 360, 720, 1440),
    "g3_x2_0": (48, 480, 960, 1920),
    "g8_x0_25": (8, 96, 192, 384),
    "g8_x0_5": (16, 192, 384, 768),
    "g8_x0_75": (24, 288, 576, 1152),
    "g8_x1_5": (24, 576, 1152, 2304),
    "g8_x2_0": (48, 768, 1536, 3072),
}
SHUFFLENET_V2 = {  # three stages and the head
    "x0_5": (48, 96, 192, 1024),
    "x1_0": (116, 232, 464, 1024),
    "x1_5": (176, 352, 704, 1024),
    "x2_0": (244, 488, 976, 2048),
}

# Most of its networks end in a 7x7 average-pool: they take 224 pixels and nothing else.
# Left out: MobileNetV2 and V3 at other widths (truncated, not rounded to 8; V3's 1280 unscaled),
# MobileNetV3-Small (1280 before the classifier where the published code has 1024),
# MobileNetV2 `w1` (expands in the first block too), MobileNet `b` (no norm after depthwise),
# ResNet without `b` (stride on the first 1x1), EfficientNet `c` (`b` again).
PYTORCHCV = (
    *(
        Reference(f"efficientnet_b{n}", "pytorchcv", f"efficientnet.efficientnet_b{n}", slow=n > 4)
        for n in range(9)
    ),
    *(
        Reference(
            f"efficientnet_b{n}",
            "pytorchcv",
            f"efficientnet.efficientnet_b{n}{'c' if n == 8 else 'b'}",
            ours=SAME,
            slow=n > 4,
        )
        for n in range(9)
    ),
    *(
        Reference(
            f"mobilenet_v1{ours}",
            "pytorchcv",
            f"mobilenet.mobilenet_{theirs}",
            differs="ReLU, as the paper says, where the published code has ReLU6",
        )
        for theirs, ours in (("w1", ""), ("w3d4", "_x0_75"), ("wd2", "_x0_5"), ("wd4", "_x0_25"))
    ),
    Reference(
        "mobilenet_v2",
        "pytorchcv",
        "mobilenetv2.mobilenetv2b_w1",
        extra_parameters=-CLASSES,
        differs="no bias in the classifier",
    ),
    Reference(
        "mobilenet_v3_large",
        "pytorchcv",
        "mobilenetv3.mobilenetv3_large_w1",
        extra_parameters=-1280,
        differs="no bias in the layer before the classifier",
    ),
    Reference("mnasnet_a1", "pytorchcv", "mnasnet.mnasnet_a1"),
    Reference("mnasnet_b1", "pytorchcv", "mnasnet.mnasnet_b1"),
    Reference("mnasnet_small", "pytorchcv", "mnasnet.mnasnet_small", differs=FIRST_RESIDUAL),
    *(
        Reference(
            f"shufflenet_v1_g{groups}_{ours}",
            "pytorchcv",
            f"shufflenet.shufflenet_g{groups}_{theirs}",
            extra_parameters=CLASSES,  # the official classifier has no bias
            differs=ORDER,
        )
        for theirs, ours, all_groups in (
            ("w1", "x1_0", (1, 2, 3, 4, 8)),
            ("w3d4", "x0_75", (1, 3)),
            ("wd2", "x0_5", (1, 3)),
            ("wd4", "x0_25", (1, 3)),
        )
        for groups in all_groups
    ),
    *(
        Reference(
            f"shufflenet_v1_{name}",
            "pytorchcv",
            "shufflenet.ShuffleNet",
            {"groups": int(name[1]), "init_block_channels": stem, "channels": _units(*stages)},
            extra_parameters=CLASSES,
            differs=ORDER,
        )
        for name, (stem, *stages) in SHUFFLENET_V1.items()
    ),
    *(
        Reference(
            f"shufflenet_v2_{width}{suffix}",
            "pytorchcv",
            network,
            {
                "channels": _units(*stages),
                "init_block_channels": 24,
                "final_block_channels": head,
            },
            extra_parameters=extra,
            differs=differs,
        )
        for suffix, network, extra, differs in (
            ("", "shufflenetv2b.ShuffleNetV2b", CLASSES, ORDER),
            ("_torchvision", "shufflenetv2.ShuffleNetV2", 0, "pads the max-pool at the end only"),
        )
        for width, (*stages, head) in SHUFFLENET_V2.items()
    ),
    *(
        Reference(f"resnet{depth}", "pytorchcv", f"resnet.resnet{depth}{stride}", slow=depth > 50)
        for depth, stride in ((18, ""), (50, "b"), (101, "b"), (152, "b"), (200, "b"))
    ),
)

# Its padding is computed for its own resolution: another one needs {"image_size": pixels}.
LITE_PYTORCH = tuple(
    Reference(
        f"efficientnet_{size}",
        "efficientnet-lite-pytorch",
        f"efficientnet-{size}",
        ours=SAME,
        slow=size in SLOW_EFFICIENTNETS,
    )
    for size in (
        *("lite0", "lite1", "lite2", "lite3", "lite4"),
        *("b0", "b1", "b2", "b3", "b4", *SLOW_EFFICIENTNETS),
    )
)

REFERENCES = (*TORCHVISION, *TIMM, *PYTORCHCV, *LITE_PYTORCH)


def build(reference: Reference) -> nn.Module:
    """The other library's network with random weights, as its constructor leaves it."""
    network: nn.Module = CONSTRUCTORS[reference.library](reference.name)(**reference.arguments)
    return network


Constructor = Callable[..., Any]


def _torchvision(name: str) -> Constructor:
    import_torchvision()
    found: Constructor = getattr(import_module("torchvision.models"), name)
    return found


def _timm(name: str) -> Constructor:
    import_torchvision()  # timm imports it too
    if name.startswith("_"):
        generator: Constructor = getattr(import_module("timm.models.efficientnet"), name)
        return generator
    create: Constructor = import_module("timm").create_model
    return lambda **arguments: create(name, **arguments)


def _pytorchcv(name: str) -> Constructor:
    # `pytorchcv.model_provider` would import over a hundred families.
    module, _, function = name.partition(".")
    found: Constructor = getattr(import_module(f"pytorchcv.models.{module}"), function)
    return found


def _lite_pytorch(name: str) -> Constructor:
    from_name: Constructor = import_module("efficientnet_lite_pytorch").EfficientNet.from_name
    return lambda **arguments: from_name(name, **arguments)


CONSTRUCTORS: Mapping[str, Callable[[str], Constructor]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "pytorchcv": _pytorchcv,
    "efficientnet-lite-pytorch": _lite_pytorch,
}


@cache
def import_torchvision() -> ModuleType:
    """Import torchvision, also beside a CPU build of torch that lacks two of its operators.

    Wheels of the registry bring a library that defines them. Only where the import fails for want
    of an operator are the missing ones declared: a second declaration aborts the interpreter.
    """
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    SCHEMAS.append(_declare_missing_operators())
    return import_module("torchvision")


def _declare_missing_operators() -> torch.library.Library:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    return library


SCHEMAS: list[torch.library.Library] = []  # an operator is gone when its library is
