"""The same weights through another library's network and, loaded by us, through ours.

Outputs are compared in eval mode, the norm of the loss's gradient in training mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from references import REFERENCES, Reference, build
from torch import Tensor, nn
from variants import GIANTS, variant

from benchbench import networks
from benchbench.cases import Case

PIXELS, BATCH = 64, 2
# As their smaller siblings, but for the number of blocks.
LARGE = (
    *("resnet101", "resnet152", "resnet200", "efficientnet_b4", "efficientnet_b5"),
    *("efficientnet_lite4", "efficientnet_v2_m"),
)
LOADED = {"torchvision": "torchvision", "timm": "timm", "efficientnet-lite-pytorch": "lite_pytorch"}


def images_of(pixels: int) -> Tensor:
    """(8, 3, H, W), the same each time."""
    return torch.randn(8, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))


def calibrated(network: nn.Module, pixels: int = PIXELS) -> nn.Module:
    """Statistics from one batch: with the initial ones, deep layers would be all but zero."""
    for norm in norms(network):
        norm.momentum = None
    with torch.no_grad():
        network.train()(images_of(pixels))
    return network.eval()


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def without_chance(network: nn.Module) -> nn.Module:
    """Dropout and DropConnect switched off, whatever a library calls them."""
    for module in network.modules():
        for name in ("p", "drop_rate", "drop_prob", "drop_path_rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
        if hasattr(module, "_global_params"):
            module._global_params = module._global_params._replace(drop_connect_rate=0.0)
    return network


def reference_network(reference: Reference, pixels: int = PIXELS) -> nn.Module:
    torch.manual_seed(0)
    if reference.library == "efficientnet-lite-pytorch":
        reference = reference._replace(arguments={"image_size": pixels})  # it pads for one size
    network = build(reference)
    if reference.library == "efficientnet-lite-pytorch" and "lite" not in reference.name:
        network.set_swish(memory_efficient=False)  # the other asks torch for what it dropped
    if reference.library == "pytorchcv":  # its 7x7 pool is the mean of all only at 224 pixels
        network.features.final_pool = nn.AdaptiveAvgPool2d(1)
    return without_chance(network)


def case_of(reference: Reference) -> Case:
    case = variant(reference.variant)
    return replace(case, arguments={**case.arguments, **reference.ours})


def by_position(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    """Weights of a library that we have no format for, whose modules come in our order."""
    shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    tensors = zip(shapes, theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in tensors})
    for mine, other in zip(norms(ours), norms(theirs), strict=True):
        mine.eps = other.eps
    return ours


def through_a_file(case: Case, network: nn.Module, format_: str, folder: Path) -> nn.Module:
    path = folder / "weights.pth"
    torch.save(network.state_dict(), path)
    return networks.build(replace(case, weights=str(path), weights_format=format_), "cpu")


def assert_equivalent(ours: nn.Module, theirs: nn.Module, pixels: int = PIXELS) -> None:
    # Two of those that the statistics are from: others would blow up rounding, layer by layer.
    images = images_of(pixels)[:BATCH]
    with torch.inference_mode():
        found, expected = ours.eval()(images), theirs.eval()(images)
    assert expected.abs().max() > 1e-3  # alive, or everything would be equal
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert gradient(ours, images) == pytest.approx(gradient(theirs, images), rel=1e-3)


def gradient(network: nn.Module, images: Tensor) -> float:
    """The norm of the loss's gradient in all parameters."""
    network = without_chance(network).train()
    loss = nn.functional.cross_entropy(network(images), torch.arange(BATCH))
    gradients = torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])
    return float(torch.cat([item.flatten() for item in gradients]).norm())


def parameters(selected: Callable[[Reference], bool]) -> list[Any]:
    """The references of a kind as parameters of a test, those of large networks marked."""
    marks = dict.fromkeys(LARGE, pytest.mark.extended) | dict.fromkeys(GIANTS, pytest.mark.slow)
    return [
        pytest.param(item, id=item.label, marks=marks.get(item.variant, ()))
        for item in filter(selected, REFERENCES)
    ]


@pytest.mark.parametrize("reference", parameters(lambda r: r.library in LOADED))
def test_a_loaded_checkpoint_computes_the_same(reference: Reference, tmp_path: Path) -> None:
    theirs = calibrated(reference_network(reference))
    format_ = LOADED[reference.library]
    ours = through_a_file(case_of(reference), theirs, format_, tmp_path)
    assert_equivalent(ours, theirs)


@pytest.mark.parametrize(
    "reference", parameters(lambda r: r.library == "pytorchcv" and not r.differs)
)
def test_the_same_weights_in_order_compute_the_same(reference: Reference) -> None:
    theirs = calibrated(reference_network(reference))
    ours = networks.build(case_of(reference), "cpu", calibrated=False)
    assert_equivalent(by_position(ours, theirs), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("reference", parameters(lambda r: r.library in LOADED and not r.slow))
def test_at_its_own_resolution(reference: Reference, tmp_path: Path) -> None:
    """Where TensorFlow's padding is odd at other layers than at 64 pixels."""
    case = case_of(reference)
    theirs = calibrated(reference_network(reference, case.resolution), case.resolution)
    ours = through_a_file(case, theirs, LOADED[reference.library], tmp_path)
    assert_equivalent(ours, theirs, case.resolution)


SHUFFLENETS_V1 = parameters(lambda r: r.variant.startswith("shufflenet_v1"))
SHUFFLENETS_V2 = parameters(
    lambda r: (
        r.library == "pytorchcv"
        and r.variant.startswith("shufflenet_v2")
        and not r.variant.endswith("torchvision")
    )
)


@pytest.mark.parametrize("reference", SHUFFLENETS_V1)
def test_shufflenet_v1_computes_the_same(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytorchcv with what the official code does otherwise: inverse shuffle, pooled input first.

    It shuffles before the depthwise convolution, the official code after: the filters move.
    """
    from pytorchcv.models import shufflenet
    from pytorchcv.models.common.tutti import ChannelShuffle2

    pooled_first = SimpleNamespace(cat=lambda tensors, dim: torch.cat(tensors[::-1], dim))
    monkeypatch.setattr(shufflenet, "torch", pooled_first)
    network = reference_network(reference)
    units = [module for module in network.modules() if isinstance(module, shufflenet.ShuffleUnit)]
    for unit in units:
        unit.c_shuffle = ChannelShuffle2(unit.dw_bn2.num_features, unit.c_shuffle.groups)
    nn.init.zeros_(network.output.bias)  # which the official classifier does not have
    network.output.bias.requires_grad_(requires_grad=False)
    theirs = calibrated(network)
    ours = through_a_file(case_of(reference), official_v1(theirs, units), "official", tmp_path)
    assert_equivalent(ours, theirs)


def official_v1(network: nn.Module, units: list[Any]) -> Any:
    """A network of pytorchcv as a state_dict with the official names, as DataParallel saves it."""
    state: dict[str, Tensor] = {}
    put(state, "first_conv.0", network.features.init_block.conv)
    put(state, "first_conv.1", network.features.init_block.bn)
    for number, unit in enumerate(units):
        moved = unit.c_shuffle(torch.arange(unit.dw_bn2.num_features).reshape(1, -1, 1, 1))
        order = moved.flatten().argsort()  # where each channel was before the shuffle
        name = f"features.{number}.branch_main"
        put(state, f"{name}_1.0", unit.compress_conv1)
        put(state, f"{name}_1.1", unit.compress_bn1)
        put(state, f"{name}_1.3", unit.dw_conv2, order)
        put(state, f"{name}_1.4", unit.dw_bn2, order)
        put(state, f"{name}_2.0", unit.expand_conv3)
        put(state, f"{name}_2.1", unit.expand_bn3)
    state["module.classifier.0.weight"] = network.output.weight.detach()
    return SimpleNamespace(state_dict=lambda: {"epoch": 3, "state_dict": state})


def put(
    state: dict[str, Tensor], name: str, module: nn.Module, order: Tensor | None = None
) -> None:
    """Add a module's tensors, their first dimension reordered."""
    for leaf, tensor in module.state_dict().items():
        reordered = tensor if order is None or tensor.dim() == 0 else tensor[order]
        state[f"module.{name}.{leaf}"] = reordered


@pytest.mark.parametrize("reference", SHUFFLENETS_V2)
def test_shufflenet_v2_computes_the_same(reference: Reference, tmp_path: Path) -> None:
    """pytorchcv shuffles at the end of a unit, the official code splits at the next one's start.

    So where nothing is split, at the next stage and at the head, the inputs are permuted.
    """
    reference = reference._replace(arguments={**reference.arguments, "shuffle_group_first": False})
    network = reference_network(reference)
    nn.init.zeros_(network.output.bias)
    network.output.bias.requires_grad_(requires_grad=False)
    theirs = calibrated(network)
    ours = through_a_file(case_of(reference), official_v2(theirs), "official", tmp_path)
    assert_equivalent(ours, theirs)


def official_v2(network: nn.Module) -> Any:
    """A network of pytorchcv as a state_dict with the official names."""
    from pytorchcv.models.shufflenetv2b import ShuffleUnit

    state: dict[str, Tensor] = {}
    put(state, "first_conv.0", network.features.init_block.conv.conv)
    put(state, "first_conv.1", network.features.init_block.conv.bn)
    units = [module for module in network.modules() if isinstance(module, ShuffleUnit)]
    for number, unit in enumerate(units):
        name = f"features.{number}"
        parts = {"main.0": unit.conv1, "main.3": unit.dconv, "main.5": unit.conv2}
        if unit.downsample:
            parts |= {"proj.0": unit.shortcut_dconv, "proj.2": unit.shortcut_conv}
        for part, block in parts.items():
            path, first = part.split(".")
            put(state, f"{name}.branch_{path}.{first}", block.conv)
            put(state, f"{name}.branch_{path}.{int(first) + 1}", block.bn)
        if unit.downsample and number > 0:
            order = even_then_odd(unit.conv1.conv.in_channels).argsort()
            weight = f"module.{name}.branch_main.0.weight"
            state[weight] = state[weight][:, order]
            put(state, f"{name}.branch_proj.0", unit.shortcut_dconv.conv, order)
            put(state, f"{name}.branch_proj.1", unit.shortcut_dconv.bn, order)
            weight = f"module.{name}.branch_proj.2.weight"
            state[weight] = state[weight][:, order]
    head = network.features.final_block
    put(state, "conv_last.0", head.conv)
    put(state, "conv_last.1", head.bn)
    order = even_then_odd(head.conv.in_channels).argsort()
    state["module.conv_last.0.weight"] = head.conv.weight.detach()[:, order]
    state["module.classifier.0.weight"] = network.output.weight.detach()
    return SimpleNamespace(state_dict=lambda: {"state_dict": state})


def even_then_odd(channels: int) -> Tensor:
    numbers = torch.arange(channels)
    return torch.cat((numbers[0::2], numbers[1::2]))
