"""What other libraries call our layers: one function a library and family.

Derived by instantiating torchvision 0.28 and timm 1.0.31, and from the modules of
megvii-model/ShuffleNet-Series and efficientnet-lite-pytorch 0.1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from architectures.blocks import SqueezeExcite
from architectures.efficientnet import EfficientNet
from architectures.efficientnet_v2 import EfficientNetV2
from architectures.mnasnet import MnasNet
from architectures.mobilenet_v1 import MobileNetV1
from architectures.mobilenet_v2 import MobileNetV2
from architectures.mobilenet_v3 import MobileNetV3
from architectures.resnet import ResNet
from architectures.shufflenet_v1 import ShuffleNetV1
from architectures.shufflenet_v2 import ShuffleNetV2

OWN = "benchbench"  # a state_dict of ours

Pairs = Iterator[tuple[str, str]]  # a layer's path: ours, theirs


def blocks_of(network: nn.Module) -> Iterator[tuple[str, int, int, nn.Module]]:
    """Path, number of the stage and number in it, both from 0, of every block."""
    for stage, (name, blocks) in enumerate(_stages(network)):
        for index, block in enumerate(blocks.children()):
            yield f"stages.{name}.{index}", stage, index, block


def _stages(network: nn.Module) -> list[tuple[str, nn.Module]]:
    return list(network.get_submodule("stages").named_children())


def _conv_norm(ours: str, convolution: str, norm: str) -> Pairs:
    yield f"{ours}.conv", convolution
    yield f"{ours}.norm", norm


def _numbered(ours: str, theirs: str, first: int = 0) -> Pairs:
    """A convolution and its norm as two successive items of an nn.Sequential."""
    return _conv_norm(ours, f"{theirs}.{first}", f"{theirs}.{first + 1}")


def _torchvision_parts(ours: str, theirs: str, block: nn.Module) -> Pairs:
    """The parts of a block as the items of an nn.Sequential."""
    for number, (part, module) in enumerate(block.named_children()):
        if isinstance(module, SqueezeExcite):
            yield f"{ours}.{part}.reduce", f"{theirs}.{number}.fc1"
            yield f"{ours}.{part}.expand", f"{theirs}.{number}.fc2"
        else:
            yield from _numbered(f"{ours}.{part}", f"{theirs}.{number}")


def _torchvision_efficientnet(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "features.0")
    for ours, stage, index, block in blocks_of(network):
        yield from _torchvision_parts(ours, f"features.{stage + 1}.{index}.block", block)
    yield from _numbered("head", f"features.{len(_stages(network)) + 1}")
    yield "classifier.linear", "classifier.1"


def _torchvision_mobilenet_v3(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "features.0")
    number = 0
    for number, (ours, _, _, block) in enumerate(blocks_of(network), start=1):
        yield from _torchvision_parts(ours, f"features.{number}.block", block)
    yield from _numbered("head", f"features.{number + 1}")
    yield "classifier.hidden", "classifier.0"
    yield "classifier.linear", "classifier.3"


def _torchvision_mobilenet_v2(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "features.0")
    number = 0
    for number, (ours, _, _, block) in enumerate(blocks_of(network), start=1):
        theirs = f"features.{number}.conv"
        *nested, _ = parts = [part for part, _ in block.named_children()]
        for item, part in enumerate(nested):
            yield from _numbered(f"{ours}.{part}", f"{theirs}.{item}")
        yield from _numbered(f"{ours}.{parts[-1]}", theirs, first=len(nested))
    yield from _numbered("head", f"features.{number + 1}")
    yield "classifier.linear", "classifier.1"


def _torchvision_mnasnet(network: nn.Module) -> Pairs:
    """One flat nn.Sequential, in which every activation has a number too."""
    yield from _numbered("stem", "layers")
    for ours, stage, index, block in blocks_of(network):
        theirs, first = (f"layers.{7 + stage}.{index}.layers", 0) if stage else ("layers", 3)
        for number, (part, _) in enumerate(block.named_children()):
            yield from _numbered(f"{ours}.{part}", theirs, first + 3 * number)
    yield from _numbered("head", "layers", 14)
    yield "classifier.linear", "classifier.1"


def _torchvision_shufflenet_v2(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "conv1")
    for ours, stage, index, block in blocks_of(network):
        theirs = f"stage{stage + 2}.{index}"
        yield from _shufflenet_v2_unit(ours, block, f"{theirs}.branch2", f"{theirs}.branch1")
    yield from _numbered("head", "conv5")
    yield "classifier.linear", "fc"


def _official_shufflenet_v2(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "first_conv")
    for number, (ours, _, _, block) in enumerate(blocks_of(network)):
        theirs = f"features.{number}"
        yield from _shufflenet_v2_unit(
            ours, block, f"{theirs}.branch_main", f"{theirs}.branch_proj"
        )
    yield from _numbered("head", "conv_last")
    yield "classifier.linear", "classifier.0"


def _shufflenet_v2_unit(ours: str, unit: nn.Module, branch: str, shortcut: str) -> Pairs:
    """Convolution, norm and, but for a depthwise one, activation each have a number."""
    for part, first in (("reduce", 0), ("depthwise", 3), ("expand", 5)):
        yield from _numbered(f"{ours}.branch.{part}", branch, first)
    if hasattr(unit, "shortcut"):
        yield from _numbered(f"{ours}.shortcut.depthwise", shortcut, 0)
        yield from _numbered(f"{ours}.shortcut.pointwise", shortcut, 2)


def _official_shufflenet_v1(network: nn.Module) -> Pairs:
    yield from _numbered("stem", "first_conv")
    for number, (ours, _, _, _) in enumerate(blocks_of(network)):
        theirs = f"features.{number}"
        yield from _numbered(f"{ours}.reduce", f"{theirs}.branch_main_1", 0)
        yield from _numbered(f"{ours}.depthwise", f"{theirs}.branch_main_1", 3)
        yield from _numbered(f"{ours}.expand", f"{theirs}.branch_main_2", 0)
    yield "classifier.linear", "classifier.0"


def _resnet(network: nn.Module) -> Pairs:
    yield from _conv_norm("stem", "conv1", "bn1")
    for ours, stage, index, block in blocks_of(network):
        theirs = f"layer{stage + 1}.{index}"
        parts = [part for part, _ in block.named_children() if part != "shortcut"]
        for number, part in enumerate(parts, start=1):
            yield from _conv_norm(
                f"{ours}.{part}", f"{theirs}.conv{number}", f"{theirs}.bn{number}"
            )
        if not isinstance(block.shortcut, nn.Identity):
            yield from _numbered(f"{ours}.shortcut", f"{theirs}.downsample")
    yield "classifier.linear", "fc"


def _timm(network: nn.Module) -> Pairs:
    yield from _conv_norm("stem", "conv_stem", "bn1")
    for ours, stage, index, block in blocks_of(network):
        yield from _timm_parts(ours, f"blocks.{stage}.{index}", block)
    if isinstance(network, MobileNetV3):
        last = f"blocks.{len(_stages(network))}.0"
        yield from _conv_norm("head", f"{last}.conv", f"{last}.bn1")
        yield "classifier.hidden", "conv_head"
    elif hasattr(network, "head"):
        yield from _conv_norm("head", "conv_head", "bn2")
    yield "classifier.linear", "classifier"


def _timm_parts(ours: str, theirs: str, block: nn.Module) -> Pairs:
    """Norms are numbered; `conv_pw` widens where something does, else it projects."""
    parts = dict(block.named_children())
    widens = "depthwise" in parts and "expand" in parts
    names = {
        "conv": "conv",
        "expand": "conv_pw" if widens else "conv_exp",
        "depthwise": "conv_dw",
        "pointwise": "conv_pw",
        "project": "conv_pwl" if "expand" in parts else "conv_pw",
    }
    number = 0
    for part, module in parts.items():
        if isinstance(module, SqueezeExcite):
            yield f"{ours}.{part}.reduce", f"{theirs}.se.conv_reduce"
            yield f"{ours}.{part}.expand", f"{theirs}.se.conv_expand"
        else:
            number += 1
            yield from _conv_norm(
                f"{ours}.{part}", f"{theirs}.{names[part]}", f"{theirs}.bn{number}"
            )


def _lite_pytorch(network: nn.Module) -> Pairs:
    """efficientnet-lite-pytorch, and EfficientNet-PyTorch, which it comes from."""
    yield from _conv_norm("stem", "_conv_stem", "_bn0")
    numbers = {"expand": 0, "depthwise": 1, "project": 2}
    for number, (ours, _, _, block) in enumerate(blocks_of(network)):
        theirs = f"_blocks.{number}"
        for part, module in block.named_children():
            if isinstance(module, SqueezeExcite):
                yield f"{ours}.{part}.reduce", f"{theirs}._se_reduce"
                yield f"{ours}.{part}.expand", f"{theirs}._se_expand"
            else:
                norm = f"{theirs}._bn{numbers[part]}"
                yield from _conv_norm(f"{ours}.{part}", f"{theirs}._{part}_conv", norm)
    yield from _conv_norm("head", "_conv_head", "_bn1")
    yield "classifier.linear", "_fc"


def _own(network: nn.Module) -> Pairs:
    for path, _ in network.named_modules():
        yield path, path


Names = Callable[[nn.Module], Pairs]
FORMATS: dict[str, dict[type[nn.Module], Names]] = {
    "torchvision": {
        EfficientNet: _torchvision_efficientnet,
        EfficientNetV2: _torchvision_efficientnet,
        MobileNetV2: _torchvision_mobilenet_v2,
        MobileNetV3: _torchvision_mobilenet_v3,
        MnasNet: _torchvision_mnasnet,
        ShuffleNetV2: _torchvision_shufflenet_v2,
        ResNet: _resnet,
    },
    "timm": {
        EfficientNet: _timm,
        EfficientNetV2: _timm,
        MobileNetV1: _timm,
        MobileNetV2: _timm,
        MobileNetV3: _timm,
        MnasNet: _timm,
        ResNet: _resnet,
    },
    "official": {ShuffleNetV1: _official_shufflenet_v1, ShuffleNetV2: _official_shufflenet_v2},
    "lite_pytorch": {EfficientNet: _lite_pytorch},
}


def layer_names(network: nn.Module, format_: str) -> dict[str, str]:
    """The path of each of our layers that has tensors, to its name in a format.

    Raises:
        ValueError: no checkpoint of that format is of this family or topology.
    """
    families = FORMATS.get(format_, {})
    if format_ != OWN and type(network) not in families:
        raise ValueError(f"{format_} has no {type(network).__name__}")
    names = dict(families.get(type(network), _own)(network))
    wanted = {name.rpartition(".")[0] for name in network.state_dict()}
    if wanted - names.keys():
        raise ValueError(f"{format_} has no layer {min(wanted - names.keys())}")
    return {ours: theirs for ours, theirs in names.items() if ours in wanted}
