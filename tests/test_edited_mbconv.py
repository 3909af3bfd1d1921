"""Edited networks: unedited the families' own, edited with counts derived by hand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from architectures.edited_mbconv import EditedMBConv, EfficientChannelAttention
from architectures.efficientnet import EfficientNet
from architectures.initialise import calibrate
from architectures.mbconv_edits import EDITS, applicable, edited
from architectures.mbconv_table import FAMILIES, family_network, scaled, table_of
from benchbench.counting.cost import Cost, cost
from benchbench.counting.walk import Walk, walk

BASES: list[tuple[str, dict[str, Any]]] = [
    ("efficientnet", {}),
    ("efficientnet", {"width": 1.1, "depth": 1.2, "padding": "same"}),
    ("efficientnet", {"lite": True}),
    ("mobilenet_v2", {}),
    ("mobilenet_v2", {"width": 0.35}),
    ("mobilenet_v3", {"size": "large"}),
    ("mobilenet_v3", {"size": "small", "padding": "same"}),
    ("mobilenet_v3", {"minimalistic": True}),
    ("mnasnet", {"network": "a1"}),
    ("mnasnet", {"network": "b1"}),
    ("mnasnet", {"network": "small", "first_skip": True}),
]
NEEDS_SE = {"no_se", "se_late", "se_wide", "eca"}
NEEDS_5X5 = {"dw3", "dw5_as_3x3_series", "dw5_as_3x3_parallel"}
# What each family has already, or has not got at all, so that the edit would change nothing.
REFUSED = {
    "efficientnet": set(),
    "efficientnet lite": NEEDS_SE | {"relu6", "lite"},
    "mobilenet_v2": NEEDS_SE | NEEDS_5X5 | {"relu6", "lite"},
    "mobilenet_v3": {"se_wide"},  # its own rule
    "mobilenet_v3 minimalistic": NEEDS_SE | NEEDS_5X5,
    "mnasnet a1": set(),
    "mnasnet b1": NEEDS_SE,
    "mnasnet small": {"se_late"},  # it has it in late stages only
}


def counted(network: nn.Module, resolution: int = 224) -> Cost:
    return cost(network, walk(network, torch.empty(1, 3, resolution, resolution, device="meta")))


def on_meta(base: str, options: Mapping[str, Any] | None = None, **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return EditedMBConv(base=base, options=options, **arguments).eval()


def executed(walked: Walk) -> list[tuple[str, torch.Size, torch.Size]]:
    """Every operator, with the shapes of what it makes and of its last operand."""
    return [(op.operator, op.result.shape, op.operands[-1].shape) for op in walked.executed]


def totals(found: Cost) -> dict[str, Any]:
    return {item.metric: item.value for item in found.measurements}


@pytest.mark.parametrize(("base", "options"), BASES)
def test_unedited_it_is_the_familys_own_network(base: str, options: dict[str, Any]) -> None:
    """The same tensors of the same shapes, every count of every layer, and the same output."""
    torch.manual_seed(0)
    own = FAMILIES[base](**options).eval()
    torch.manual_seed(0)
    ours = EditedMBConv(base=base, options=options).eval()
    drawn = ours.state_dict()
    assert all(torch.equal(drawn[name], own.state_dict()[name]) for name in own.state_dict())
    assert calibrate(own, resolution=64)
    ours.load_state_dict(own.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = own(images)
        assert expected.std() > 0.1
        assert torch.equal(ours(images), expected)
    both = [counted(network.to("meta")) for network in (own, ours)]
    assert totals(both[0]) == totals(both[1])
    assert both[0].layers == both[1].layers


def test_rates_of_drop_connect_are_the_familys_own() -> None:
    own, ours = EfficientNet(drop_connect=0.3), EditedMBConv(options={"drop_connect": 0.3})
    rates = [
        [module.drop_rate for module in network.modules() if hasattr(module, "drop_rate")]
        for network in (own, ours)
    ]
    assert rates[0] == rates[1]
    assert max(rates[0]) > 0.28


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize(("base", "options"), [b for b in BASES if "width" not in b[1]])
def test_every_edit_builds_and_runs_or_is_refused(
    base: str, options: dict[str, Any], name: str
) -> None:
    key = " ".join([base, *(str(v) for k, v in options.items() if k == "network")])
    key += "".join(f" {k}" for k in ("lite", "minimalistic") if k in options)
    if name in REFUSED[key]:
        with pytest.raises(ValueError, match=f"{name} changes nothing here: allowed are ") as told:
            on_meta(base, options, edits=[name])
        assert "\n" not in str(told.value)
        assert "expansion_1" in str(told.value)
        return
    own = table_of(family_network(base, options))
    wider = on_meta(base, options, edits=[name], width=1.25)
    walked = walk(wider, torch.empty(2, 3, 64, 64, device="meta"))
    assert [tuple(output.shape) for output in walked.outputs] == [(2, 1000)]
    assert wider.get_submodule("head.conv").weight.shape[0] == own.head_channels  # type: ignore[union-attr,index]
    unedited = walk(on_meta(base, options, width=1.25), torch.empty(2, 3, 64, 64, device="meta"))
    assert executed(walked) != executed(unedited)


def maps(network: nn.Module) -> list[int]:
    """The side of every stage's last map at 224 pixels."""
    layers = counted(network).layers
    sides: dict[str, int] = {}
    for layer in layers:
        is_map = len(layer.output_shape) == 4 and layer.output_shape[2] > 1
        if layer.name.startswith("stages.") and is_map:
            sides[layer.name.split(".")[1]] = layer.output_shape[2]
    return list(sides.values())


@pytest.mark.parametrize("name", EDITS)
def test_strides_and_blocks_are_held(name: str) -> None:
    """Table 1 of arXiv:1905.11946: a stage's map is the next row's resolution."""
    network = on_meta("efficientnet", edits=[name])
    assert maps(network) == [112, 56, 28, 14, 14, 7, 7]
    stages = network.get_submodule("stages").children()
    assert [len(list(stage.children())) for stage in stages] == [1, 2, 2, 3, 3, 4, 1]
    assert network.get_submodule("head.conv").weight.shape[0] == 1280


def test_lite_is_efficientnet_lite() -> None:
    """EfficientNet-Lite0 of the official repository, which has its own row in the zoo."""
    torch.manual_seed(0)
    lite = EfficientNet(lite=True).eval()
    assert calibrate(lite, resolution=64)
    ours = EditedMBConv(edits=["lite"]).eval()
    ours.load_state_dict(lite.state_dict())
    both = EditedMBConv(edits=["no_se", "relu6"]).eval()
    both.load_state_dict(lite.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), lite(images))
        assert torch.equal(both(images), lite(images))


def test_minimalistic_mobilenet_v3_but_for_its_activation() -> None:
    """No squeeze-excite and 3x3 only is what `minimalistic` means: 3.9 M parameters, 209 M."""
    ours = totals(counted(on_meta("mobilenet_v3", edits=["no_se", "dw3"])))
    theirs = totals(counted(family_network("mobilenet_v3", {"minimalistic": True}).eval()))
    for metric in ("params", "multiply_adds", "activations", "launches"):
        assert ours[metric] == theirs[metric]


# EfficientNet-B0's second block of stage 3, on 28x28: 40 -> 240 -> 40 channels, 5x5, squeeze to 10.
PIXELS = 28 * 28
EXPAND, PROJECT = 40 * 240, 240 * 40
NORMS = 2 * (240 + 240 + 40)
SQUEEZE = 240 * 10 * 2  # multiply-adds; with its biases that many parameters:
SQUEEZE_PARAMS = SQUEEZE + 10 + 240
BLOCK = "stages.3.1."


@pytest.mark.parametrize(
    ("name", "params", "multiply_adds"),
    [
        (
            None,
            EXPAND + 25 * 240 + PROJECT + NORMS + SQUEEZE_PARAMS,
            PIXELS * (EXPAND + 25 * 240 + PROJECT) + SQUEEZE,
        ),
        (
            "dw5_as_3x3_series",
            EXPAND + 2 * 9 * 240 + PROJECT + NORMS + 2 * 240 + SQUEEZE_PARAMS,
            PIXELS * (EXPAND + 2 * 9 * 240 + PROJECT) + SQUEEZE,
        ),
        (
            "dw5_as_3x3_parallel",
            EXPAND + 2 * 9 * 240 + PROJECT + NORMS + 2 * 240 + SQUEEZE_PARAMS,
            PIXELS * (EXPAND + 2 * 9 * 240 + PROJECT) + SQUEEZE,
        ),
        (
            "grouped_4",
            EXPAND // 4 + 25 * 240 + PROJECT // 4 + NORMS + SQUEEZE_PARAMS,
            PIXELS * (EXPAND // 4 + 25 * 240 + PROJECT // 4) + SQUEEZE,
        ),
        (  # log2(240) is 7.9: the kernel over the channels has 5 weights
            "eca",
            EXPAND + 25 * 240 + PROJECT + NORMS + 5,
            PIXELS * (EXPAND + 25 * 240 + PROJECT) + 5 * 240,
        ),
        (  # a hidden layer of 240 / 4 to the next multiple of 8
            "se_wide",
            EXPAND + 25 * 240 + PROJECT + NORMS + 2 * 240 * 64 + 64 + 240,
            PIXELS * (EXPAND + 25 * 240 + PROJECT) + 2 * 240 * 64,
        ),
        (  # 120 expanded channels, squeezed to a quarter of the input's as before
            "expansion_3",
            40 * 120 + 25 * 120 + 120 * 40 + 2 * (120 + 120 + 40) + 2 * 120 * 10 + 10 + 120,
            PIXELS * (40 * 120 + 25 * 120 + 120 * 40) + 2 * 120 * 10,
        ),
        (  # no layer that expands: 40 channels throughout
            "expansion_1",
            25 * 40 + 40 * 40 + 2 * (40 + 40) + 2 * 40 * 10 + 10 + 40,
            PIXELS * (25 * 40 + 40 * 40) + 2 * 40 * 10,
        ),
        (
            "fused_early",
            9 * 40 * 240 + PROJECT + 2 * (240 + 40) + SQUEEZE_PARAMS,
            PIXELS * (9 * 40 * 240 + PROJECT) + SQUEEZE,
        ),
        (  # half of the channels pass; 20 -> 20 -> 20, 3x3 (figure 3c of arXiv:1807.11164)
            "shuffle_unit",
            20 * 20 + 9 * 20 + 20 * 20 + 3 * 2 * 20,
            PIXELS * (20 * 20 + 9 * 20 + 20 * 20),
        ),
        (  # 40 channels become 48
            "aligned_16",
            48 * 288 * 2 + 25 * 288 + 2 * (288 + 288 + 48) + 2 * 288 * 12 + 12 + 288,
            PIXELS * (48 * 288 * 2 + 25 * 288) + 2 * 288 * 12,
        ),
    ],
)
def test_a_block_by_hand(name: str | None, params: int, multiply_adds: int) -> None:
    network = on_meta("efficientnet", edits=[name] if name else [])
    layers = [layer for layer in counted(network).layers if layer.name.startswith(BLOCK)]
    assert sum(layer.params for layer in layers) == params
    assert sum(layer.multiply_adds for layer in layers) == multiply_adds


def test_a_strided_5x5_in_series_strides_first() -> None:
    """B0's stage 3 begins on 56x56 with 24 -> 144 -> 40 channels and halves the map."""
    layers = {layer.name: layer for layer in counted(on_meta("efficientnet")).layers}
    assert layers["stages.3.0.depthwise.conv"].multiply_adds == 28 * 28 * 25 * 144
    series = counted(on_meta("efficientnet", edits=["dw5_as_3x3_series"])).layers
    kinds = {layer.name: (layer.kind, layer.multiply_adds) for layer in series}
    each = 28 * 28 * 9 * 144
    assert kinds["stages.3.0.depthwise.first.conv"] == ("depthwise 3x3 / 2", each)
    assert kinds["stages.3.0.depthwise.second.conv"] == ("depthwise 3x3", each)


def test_parallel_3x3_are_added_and_in_series_only_the_last_is_activated() -> None:
    """With weights that copy the middle pixel and norms that do nothing, the swish of 2x and x."""
    x = torch.randn(2, 240, 6, 6)
    for name, factor in (("dw5_as_3x3_parallel", 2.0), ("dw5_as_3x3_series", 1.0)):
        network = EditedMBConv(edits=[name]).eval()
        depthwise = network.get_submodule("stages.3.1.depthwise")
        for module in depthwise.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data.zero_()
                module.weight.data[:, :, 1, 1] = 1
            elif isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
        with torch.no_grad():
            found = depthwise(x.clone())
        torch.testing.assert_close(found, nn.functional.silu(factor * x))


@pytest.mark.parametrize(("channels", "kernel"), [(64, 3), (128, 5), (256, 5), (512, 5), (1152, 5)])
def test_channel_attention_has_the_papers_kernel(channels: int, kernel: int) -> None:
    """Equation 12 of arXiv:1910.03151: |log2(C) / 2 + 1 / 2| to the nearest odd number.

    3.5, 4, 4.5, 5 and 5.6; where two are as near the official code takes the larger one.
    """
    assert tuple(EfficientChannelAttention(channels).conv.weight.shape) == (1, 1, kernel, 1)


def test_channel_attention_convolves_over_neighbouring_channels() -> None:
    attention = EfficientChannelAttention(64)
    x = torch.randn(2, 64, 5, 5, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([0.5, -1.0, 2.0])
    attention.conv.weight.data.copy_(weight.view(1, 1, 3, 1))
    means = x.mean((2, 3))
    padded = nn.functional.pad(means, (1, 1))
    logits = sum(weight[i] * padded[:, i : i + 64] for i in range(3))
    assert isinstance(logits, Tensor)
    expected = x * torch.sigmoid(logits)[:, :, None, None]
    with torch.no_grad():
        torch.testing.assert_close(attention(x.clone()), expected)


def test_edits_leave_something_to_learn() -> None:
    """The way back through every kind of part, in training mode."""
    for base, name in (
        *(("efficientnet", n) for n in ("dw5_as_3x3_parallel", "eca", "fused_early")),
        *(("mobilenet_v3", n) for n in ("fused_early", "grouped_2", "shuffle_unit")),
    ):
        network = EditedMBConv(base=base, edits=[name], width=0.5).train()
        network(torch.randn(2, 3, 32, 32)).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_patches_do_not_overlap_and_nothing_is_padded() -> None:
    """2x2 of 3 channels to 32, on 112x112."""
    for padding in ("symmetric", "same"):
        network = on_meta("efficientnet", {"padding": padding}, edits=["patchify"])
        stem = counted(network).layers[0]
        assert stem.params == 2 * 2 * 3 * 32
        assert stem.output_shape == (1, 32, 112, 112)


@pytest.mark.parametrize("width", [0.4, 0.77, 1.3, 2.2])
def test_widths_are_multiples_and_ratios_stay(width: float) -> None:
    """Channels of 8, or with an edit of its divisor; expansion 6 of what was rounded."""
    own = table_of(family_network("efficientnet", {}))
    for edits, divisor in (([], 8), (["grouped_4"], 8), (["aligned_16"], 16)):
        table = scaled(edited(own, edits), width)
        for block, before in zip(table.blocks, own.blocks, strict=True):
            assert block.channels % divisor == block.expanded % divisor == 0
            assert block.expanded * before.in_channels == before.expanded * block.in_channels
            wanted = log(width * before.channels)
            multiples = range(divisor, 1000, divisor)
            nearest = min(multiples, key=lambda multiple: abs(log(multiple) - wanted))
            assert block.channels == nearest
        assert table.head_channels == 1280
        assert all(a.channels == b.in_channels for a, b in pairwise(table.blocks))


def test_depth_is_the_familys_own() -> None:
    """Factors on what the options say: 1.1 x 2 is B1's 1.1 doubled."""
    deep = counted(EditedMBConv(options={"depth": 1.1}, depth=2.0).to("meta").eval())
    own = counted(EfficientNet(depth=2.2).to("meta").eval())
    assert totals(deep) == totals(own)


def test_mistakes_name_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="base='resnet': allowed are efficientnet, mobilenet_v2"):
        EditedMBConv(base="resnet")
    with pytest.raises(ValueError, match="edits: no_such is no edit: allowed are no_se, se_late"):
        EditedMBConv(edits=["no_such"])
    with pytest.raises(ValueError, match="edits: eca changes nothing here: allowed are relu6"):
        EditedMBConv(edits=["no_se", "eca"])
    for name in ("width", "depth"):
        with pytest.raises(ValueError, match=f"{name}=0: must be greater than 0"):
            EditedMBConv(**{name: 0})


def test_a_unit_of_shufflenet_has_nothing_of_mbconv_left_to_edit() -> None:
    table = edited(table_of(family_network("efficientnet", {})), ["shuffle_unit"])
    assert set(applicable(table)) == {"relu6", "hard_swish", "lite", "aligned_16", "patchify"}
