"""Random weights whose activations stay alive, and the check that they do.

A fresh network in eval mode divides by a variance of 1 that no layer has, so each layer shrinks
what the one before left: to 1e-11 in EfficientNet-B0. That is zeros in fp16, slow subnormals
further down, less work for a processor that saves power on zeros, and nothing that a numeric
check could fail on. One forward in which every batch norm learns its own input mends it; the
weights stay as the seed made them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures.outputs import tensors_in

# Small maps are mostly border, and what a norm learns there is too little inside: EfficientNet-B3,
# calibrated at 64 pixels, gives 1e6 at its own 300. Beyond 384 the error stays bearable (some
# hundreds in EfficientNet-L2 at 800), and the largest networks take seconds, not minutes.
SIDE = 384
# 128 pixels of the last map of a network with stride 32, for a mean and a variance.
PIXELS = 128 * 32**2
FEWEST_IMAGES, IMAGES = 2, 8  # a norm behind the pooling sees one value an image
# Behind a ReLU, n numbers are all zero by chance once in 2^n: squeeze-excite has as few as 2. One
# subnormal in so few is chance as well.
FEWEST_NUMBERS = 32
NOTABLE_SHARE = 0.1  # of subnormals; healthy layers have none in fp32, 4 % in fp16 (swish of -12)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def calibrate(network: nn.Module, *, resolution: int, seed: int = 0, images: int = IMAGES) -> bool:
    """Give a fresh network the batch-norm statistics of random normal images. Whether it did.

    One forward in fp32 on the CPU of 2 to `images` of (3, side, side), side being `resolution`
    or 384 pixels if that is less and the network takes it. Only batch norms are in training mode
    (`momentum=None`, the cumulative average): neither dropout nor DropConnect adds chance. A norm
    whose whole weight is 0, as some networks start a residual branch, would stay dead and gets 1.
    All else is as before afterwards, torch's random state and `num_batches_tracked` included.

    False, and nothing has changed: the network has no batch norm with statistics; one of them is
    not fresh (mean 0, variance 1), so somebody loaded it; or the forward fails or gives statistics
    that are not finite, as another's network may.
    """
    norms = _batch_norms(network)
    if not norms or not all(map(_is_fresh, norms)):
        return False
    before = {name: tensor.clone() for name, tensor in norm_state(network).items()}
    for side in sorted({min(SIDE, resolution), resolution}):
        count = max(FEWEST_IMAGES, min(images, math.ceil(PIXELS / side**2)))
        generator = torch.Generator().manual_seed(seed)
        if _learn(network, norms, torch.randn((count, 3, side, side), generator=generator)):
            return True
        for name, tensor in norm_state(network).items():
            tensor.copy_(before[name])
    return False


def norm_state(network: nn.Module) -> dict[str, Tensor]:
    """All that `calibrate` sets: the tensors of the batch norms, by the names in `state_dict`."""
    return {
        f"{name}.{key}" if name else key: tensor
        for name, module in network.named_modules()
        if isinstance(module, BATCH_NORMS)
        for key, tensor in module.state_dict().items()
    }


class Activations(NamedTuple):
    """What a forward leaves behind its layers. Layers by their path in the network.

    Those that give fewer than 32 numbers an image only count for `not_finite_layers`, unless no
    layer gives more.
    """

    weakest_layer: str
    weakest_maximum: float  # the smallest of the layers' largest magnitudes
    dead_layers: tuple[str, ...]  # every output is zero
    subnormal_layer: str
    subnormal_share: float  # the largest share of a layer's outputs, 0 to 1
    not_finite_layers: tuple[str, ...]  # inf or nan among the outputs


class _Layer(NamedTuple):
    maximum: float  # inf where an output is nan
    subnormal_share: float
    numbers: float  # an image


def activations(network: nn.Module, images: Tensor) -> Activations:
    """One forward of (N, 3, H, W), in the mode the network is in, with an eye on every layer.

    Layers are the modules without children, and the network itself, called `output`. A subnormal
    is not zero and smaller than the smallest normal number of its tensor's own element type.

    Raises:
        ValueError: nothing in the network gives a floating-point tensor.
    """
    names: list[str] = []
    figures: list[Tensor] = []

    def look(name: str, output: object) -> None:
        for tensor in tensors_in(output):
            if not (tensor.is_floating_point() and tensor.numel()):
                continue
            names.append(name)
            figures.append(_figures(tensor))

    with _watched(network, look), torch.no_grad():
        network(images)
    if not figures:
        raise ValueError(f"{type(network).__name__} gives no floating-point tensor to look at")
    layers = _by_name(names, torch.stack(figures).tolist())  # the only wait for the device
    large = [name for name, layer in layers.items() if layer.numbers >= FEWEST_NUMBERS]
    judged = large or list(layers)
    weakest = min(judged, key=lambda name: layers[name].maximum)
    worst = max(judged, key=lambda name: layers[name].subnormal_share)
    return Activations(
        weakest_layer=weakest,
        weakest_maximum=layers[weakest].maximum,
        dead_layers=tuple(name for name in judged if layers[name].maximum == 0),
        subnormal_layer=worst,
        subnormal_share=layers[worst].subnormal_share,
        not_finite_layers=tuple(name for name in layers if layers[name].maximum == math.inf),
    )


def problems(found: Activations) -> list[str]:
    """Why a measurement of this network stands for no trained one; empty where nothing is wrong."""
    reasons = []
    if found.dead_layers:
        reasons.append(f"{_named(found.dead_layers)}: every output is zero")
    if found.subnormal_share > NOTABLE_SHARE:
        share = f"{100 * found.subnormal_share:.0f} %"
        slow = f"{share} of the outputs are subnormal, which are slow on many processors"
        reasons.append(f"layer {found.subnormal_layer}: {slow}")
    if found.not_finite_layers:
        reasons.append(f"{_named(found.not_finite_layers)}: inf or nan among the outputs")
    return reasons


def _named(layers: tuple[str, ...]) -> str:
    more = len(layers) - 1
    return f"layer {layers[0]}" + (f" and {more} more" if more else "")


def _batch_norms(network: nn.Module) -> list[BatchNorm]:
    modules = (module for module in network.modules() if isinstance(module, BATCH_NORMS))
    return [norm for norm in modules if norm.running_mean is not None]


def _is_fresh(norm: BatchNorm) -> bool:
    mean, variance, batches = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None
    assert variance is not None
    return not (mean.any() or (variance != 1).any() or batches)


def _learn(network: nn.Module, norms: list[BatchNorm], images: Tensor) -> bool:
    """One forward that gives the norms their statistics. Whether it came through."""
    # The images have a generator of their own; the network may draw as well.
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _only_training(network, norms):
        for norm in norms:
            if norm.affine and not norm.weight.any():
                norm.weight.fill_(1.0)
        try:
            network(images)
        except Exception:  # noqa: BLE001 - another's network may raise anything in this mode
            return False
    return all(bool(tensor.isfinite().all()) for tensor in norm_state(network).values())


@contextmanager
def _only_training(network: nn.Module, norms: list[BatchNorm]) -> Iterator[None]:
    """Batch norms in training mode, averaging; everything else in eval mode."""
    modes = [(module, module.training) for module in network.modules()]
    momenta = [(norm, norm.momentum) for norm in norms]
    try:
        # Not through `train()`, which some networks override to keep their norms from learning.
        for module, _ in modes:
            module.training = False
        for norm, _ in momenta:
            norm.training, norm.momentum = True, None
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum in momenta:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.zero_()


@contextmanager
def _watched(network: nn.Module, look: Callable[[str, object], None]) -> Iterator[None]:
    """Every layer's output is shown to `look` as soon as it is there: the next may overwrite it."""
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            look(name, output)

        handles.append(module.register_forward_hook(hook))

    try:
        for name, module in network.named_modules():
            if not name or next(module.children(), None) is None:
                watch(name or "output", module)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _figures(tensor: Tensor) -> Tensor:
    """A _Layer's figures of one tensor, (3,), fp64, where the tensor is."""
    magnitude = tensor.detach().abs()
    subnormal = (magnitude > 0) & (magnitude < torch.finfo(tensor.dtype).smallest_normal)
    share = subnormal.sum(dtype=torch.float64) / tensor.numel()
    numbers = share.new_tensor(tensor.numel() / (tensor.shape[0] if tensor.ndim else 1))
    return torch.stack((magnitude.amax().double(), share, numbers))


def _by_name(names: Iterable[str], figures: Iterable[list[float]]) -> dict[str, _Layer]:
    """A layer that is called more than once, or gives several tensors, counts by its largest."""
    layers: dict[str, _Layer] = {}
    for name, (maximum, *others) in zip(names, figures, strict=True):
        layer = _Layer(maximum if math.isfinite(maximum) else math.inf, *others)
        layers[name] = _Layer(*map(max, layer, layers.get(name, layer)))
    return layers
