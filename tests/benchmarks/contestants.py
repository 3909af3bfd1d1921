"""Which implementations of a network are measured side by side, with the same weights in all."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.comparison import CONTROL, OURS
from references import REFERENCES, Reference, build
from variants import variant

from benchbench.cases import Case
from benchbench.networks import build as build_ours

if TYPE_CHECKING:
    from torch import nn

CALIBRATION_IMAGES = 8
ALIKE = 1e-4  # of the largest output


class Cell(NamedTuple):
    """One network of ours, and the references that compute the same."""

    network: str
    arguments: Mapping[str, Any]  # that our variant takes to be theirs
    references: tuple[Reference, ...]

    @property
    def name(self) -> str:
        """What a report calls it: "efficientnet_b0 padding=same"."""
        settings = (f"{key}={value}" for key, value in self.arguments.items())
        return " ".join((self.network, *settings))

    @property
    def case(self) -> Case:
        return variant(
            self.network, *(f"++model.{key}={value}" for key, value in self.arguments.items())
        )


def cells(network: str) -> list[Cell]:
    """One reference of each library, padded as ours is by default where the library has that."""
    chosen: dict[str, Reference] = {}
    for reference in REFERENCES:
        rival = chosen.get(reference.library)
        if reference.variant == network and (
            rival is None or len(reference.ours) < len(rival.ours)
        ):
            chosen[reference.library] = reference
    arguments: list[Mapping[str, Any]] = []
    for reference in chosen.values():
        if reference.ours not in arguments:
            arguments.append(reference.ours)
    return [
        Cell(network, ours, tuple(item for item in chosen.values() if item.ours == ours))
        for ours in arguments
    ]


def networks_of(cell: Cell, seed: int) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """The networks by label, and what weights each got: all built alike, in a random order.

    A network that was trained or built first was up to 1 % slower than its twin, so whatever
    calibrates gives its weights away and is not timed.
    """
    import torch

    case = cell.case
    builders: dict[str, Callable[[], nn.Module]] = {
        OURS: partial(build_ours, case, "cpu"),
        CONTROL: partial(build_ours, case, "cpu"),
        **{item.library: partial(build, item) for item in cell.references},
    }
    labels = list(builders)
    random.Random(seed).shuffle(labels)
    torch.manual_seed(0)
    calibrated_ours = calibrated(builders[OURS](), case.resolution)
    networks, weights = {}, {}
    for label in labels:
        networks[label] = builders[label]().eval()
        copied = copy_weights(calibrated_ours, networks[label])
        if not copied:
            copy_weights(calibrated(builders[label](), case.resolution), networks[label])
        weights[label] = kind_of_weights(copied, calibrated_ours, networks[label], case.resolution)
    return networks, weights


def calibrated(network: nn.Module, resolution: int) -> nn.Module:
    """In eval mode with statistics of one batch: the initial ones let activations die out."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(CALIBRATION_IMAGES, 3, resolution, resolution))
    return network.eval()


def copy_weights(source: nn.Module, target: nn.Module) -> bool:
    """Copy all tensors by position, and the norms' constants; False where shapes do not allow it.

    A 1x1 convolution and a linear layer have the same weights in another shape.
    """
    import torch

    pairs = list(zip(source.state_dict().values(), target.state_dict().values(), strict=False))
    sizes = len(source.state_dict()), len(target.state_dict())
    if sizes[0] != sizes[1] or any(mine.numel() != other.numel() for mine, other in pairs):
        return False
    for mine, other in pairs:
        other.copy_(mine.reshape(other.shape))
    norms = (
        [m for m in n.modules() if isinstance(m, torch.nn.BatchNorm2d)] for n in (source, target)
    )
    for mine, other in zip(*norms, strict=True):
        other.eps = mine.eps
    return True


def kind_of_weights(copied: bool, ours: nn.Module, other: nn.Module, resolution: int) -> str:
    """Says how alike two networks are.

    Raises:
        SystemExit: one of them is dead or overflows, which is quick or slow for no good reason.
    """
    import torch

    images = torch.randn(1, 3, resolution, resolution)
    with torch.inference_mode():
        mine, theirs = ours(images), other(images)
    for outputs in (mine, theirs):
        if not outputs.isfinite().all() or outputs.abs().max() < 1e-3:
            raise SystemExit(f"{type(other).__module__}: activations died out or overflowed")
    if not copied:
        return "own weights"
    alike = (mine - theirs).abs().max() <= ALIKE * mine.abs().max()
    return "same function" if alike else "same weights"
