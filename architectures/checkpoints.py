"""Real checkpoints of other libraries: read, recognised, converted; what they were trained with.

Nothing here executes what a file says: safetensors, or `torch.load(weights_only=True)`. Names
and shapes must fit exactly.
"""

from __future__ import annotations

import inspect
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

from architectures.blocks import SAME
from architectures.checkpoint_names import blocks_of, layer_names
from architectures.efficientnet import EfficientNet
from architectures.efficientnet_v2 import EfficientNetV2
from architectures.mnasnet import MnasNet
from architectures.mobilenet_v3 import MobileNetV3

COUNTER = "num_batches_tracked"  # of a batch norm; older checkpoints lack it, nothing needs it
# Where training scripts put it; averaged weights before those that they are averages of.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net")
AVERAGES = "n_averaged"  # the counter of torch.optim.swa_utils.AveragedModel
PREFIXES = ("module.", "_orig_mod.", "model.")  # of nn.DataParallel, torch.compile, Lightning


def read(path: Path, *, shapes_only: bool = False) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; with `shapes_only` on `meta`.

    Raises:
        ValueError: there is no such file, or it holds no tensors by name.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not a file" if path.exists() else f"{path}: there is no file")
    device = "meta" if shapes_only else "cpu"
    try:
        content = _safetensors(path, device) if _is_safetensors(path) else _torch(path, device)
    except Exception as error:  # what is no checkpoint makes the unpickler raise anything
        why = str(error).strip().split("\n")[0]
        if "Weights only load failed" in str(error):
            why = "holds objects other than tensors, which could run code"
        elif " " not in why:  # a KeyError's key, say
            why = "it is in no format of torch or safetensors"
        raise ValueError(f"{path} cannot be read as a checkpoint: {why}") from error
    return _state_dict(content, path)


def _is_safetensors(path: Path) -> bool:
    """A header's length in eight bytes, then JSON. What the name says does not count."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _safetensors(path: Path, device: str) -> object:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _torch(path: Path, device: str) -> object:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                raise ValueError("it is compressed, which torch.save never does")
            if any(item.filename.endswith("/constants.pkl") for item in archive.infolist()):
                raise ValueError("it is a TorchScript program; save its state_dict instead")
    # The arguments of a training script are often beside the weights; they run nothing.
    with warnings.catch_warnings(action="ignore"), safe_globals([Namespace]):
        return torch.load(path, map_location=device, weights_only=True)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """What was saved, unwrapped, without the prefixes that wrappers of modules add."""
    while isinstance(content, Mapping):
        inner = (content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping))
        wrapped = next(inner, None)
        if wrapped is None:
            break
        content = wrapped
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__} and no tensors by name")
    tensors = {
        str(name): item
        for name, item in content.items()
        if isinstance(item, Tensor) and name != AVERAGES
    }
    if not tensors:
        held = ", ".join(str(name)[:40] for name in list(content)[:5]) or "nothing"
        raise ValueError(f"{path} holds no tensors by name, but {held}")
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), None):
        tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
    return tensors


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
    tensorflow &= "padding" in inspect.signature(type(network)).parameters
    if format_ == "lite_pytorch" or (format_ == "timm" and tensorflow):
        arguments["padding"] = SAME
        return Conventions(arguments, 1e-3)
    if format_ == "timm":
        return Conventions(arguments, 1e-5)
    return Conventions(arguments, _torchvision_eps(network) if format_ == "torchvision" else None)


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
