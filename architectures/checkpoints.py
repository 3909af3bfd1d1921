"""Real checkpoints of other libraries: recognised, converted; what they were trained with.

Names and shapes must fit exactly. `checkpoint_files` reads them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from architectures.blocks import SAME
from architectures.checkpoint_names import blocks_of, layer_names
from architectures.efficientnet import EfficientNet
from architectures.efficientnet_v2 import EfficientNetV2
from architectures.mnasnet import MnasNet
from architectures.mobilenet_v3 import MobileNetV3

COUNTER = "num_batches_tracked"  # of a batch norm; older checkpoints lack it, nothing needs it


def tensor_names(network: nn.Module, format_: str) -> dict[str, str]:
    """Every tensor of our state_dict by name, to its name in a format.

    Raises:
        ValueError: no checkpoint of that format is of this family or topology.
    """
    layers = layer_names(network, format_)
    parts = (name.rpartition(".") for name in network.state_dict())
    return {f"{path}{dot}{leaf}": f"{layers[path]}{dot}{leaf}" for path, dot, leaf in parts}


class Agreement(NamedTuple):
    """How far the tensors of a file are those that a network has in a format."""

    format: str
    missing: tuple[str, ...]  # of the file, under the file's names
    unexpected: tuple[str, ...]
    wrong_shape: tuple[str, ...]  # each with both shapes
    agreeing: int

    @property
    def exact(self) -> bool:
        """Whether the file can be loaded."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    @property
    def share(self) -> float:
        """Of all tensors, how many agree in name and shape."""
        others = len(self.missing) + len(self.unexpected) + len(self.wrong_shape)
        return self.agreeing / max(1, self.agreeing + others)


def compare(network: nn.Module, tensors: Mapping[str, Tensor], format_: str) -> Agreement:
    """Compare names and shapes. A norm's counter of batches may be missing.

    Raises:
        ValueError: no checkpoint of that format is of this family or topology.
    """
    own = network.state_dict()
    expected = {theirs: own[ours] for ours, theirs in tensor_names(network, format_).items()}
    wrong = []
    for name in expected.keys() & tensors.keys():
        theirs, ours = tuple(tensors[name].shape), tuple(expected[name].shape)
        if expected[name].is_floating_point() and not tensors[name].is_floating_point():
            wrong.append(f"{name} {tensors[name].dtype} for {expected[name].dtype}")
            continue
        if tensors[name].layout is not torch.strided:
            wrong.append(f"{name} {tensors[name].layout} for {torch.strided}")
            continue
        # A 1x1 convolution on one pixel is a linear layer.
        if theirs != ours and not (theirs[:2] == ours and set(theirs[2:]) == {1}):
            wrong.append(f"{name} {theirs} for {ours}")
    missing = expected.keys() - tensors.keys()
    return Agreement(
        format_,
        missing=tuple(sorted(name for name in missing if not name.endswith(COUNTER))),
        unexpected=tuple(sorted(tensors.keys() - expected.keys())),
        wrong_shape=tuple(sorted(wrong)),
        agreeing=len(expected.keys() & tensors.keys()) - len(wrong),
    )


def best(
    network: nn.Module, tensors: Mapping[str, Tensor], formats: Iterable[str]
) -> Agreement | None:
    """The agreement of the format that fits best; None where none has this family."""
    found = []
    for format_ in formats:
        try:
            found.append(compare(network, tensors, format_))
        except ValueError:
            continue
    return max(found, key=lambda agreement: agreement.share, default=None)


def convert(network: nn.Module, tensors: Mapping[str, Tensor], format_: str) -> dict[str, Tensor]:
    """Our state_dict from a file's tensors that `compare` found to fit, in fp32.

    Raises:
        ValueError: no checkpoint of that format is of this family or topology.
    """
    state: dict[str, Tensor] = {}
    for (name, own), theirs in zip(
        network.state_dict().items(), tensor_names(network, format_).values(), strict=True
    ):
        if theirs not in tensors:
            state[name] = torch.zeros((), dtype=own.dtype)  # a counter
        else:
            state[name] = tensors[theirs].to(own.dtype).reshape(own.shape)
    return state


class Conventions(NamedTuple):
    """What a checkpoint was trained with and its tensors do not tell."""

    arguments: dict[str, Any]  # of our network
    norm_eps: float | None  # None: the family's own


def conventions(network: nn.Module, format_: str, *, tensorflow: bool) -> Conventions:
    """How the library of a format builds this network.

    `tensorflow`: the weights came from TensorFlow, which timm calls `tf_`.
    """
    arguments: dict[str, Any] = {}
    if format_ == "timm" and isinstance(network, MnasNet):
        arguments["first_skip"] = True
    tensorflow &= may_pad_as_tensorflow(network)
    if format_ == "lite_pytorch" or (format_ == "timm" and tensorflow):
        arguments["padding"] = SAME
        return Conventions(arguments, 1e-3)
    if format_ == "timm":
        return Conventions(arguments, 1e-5)
    return Conventions(arguments, _torchvision_eps(network) if format_ == "torchvision" else None)


def may_pad_as_tensorflow(network: nn.Module) -> bool:
    """Whether a network of ours has TensorFlow's padding as well, which no tensor tells."""
    return "padding" in inspect.signature(type(network)).parameters


def _torchvision_eps(network: nn.Module) -> float:
    """1e-5, PyTorch's own, but for MobileNetV3, V2 of EfficientNet, and B5 and larger."""
    if isinstance(network, EfficientNet):
        return 1e-3 if sum(1 for _ in blocks_of(network)) > B4_BLOCKS else 1e-5
    return 1e-3 if isinstance(network, (EfficientNetV2, MobileNetV3)) else 1e-5


B4_BLOCKS = 32


def set_norm_eps(network: nn.Module, eps: float) -> None:
    """Make every batch norm of a network add `eps` to the variance."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
