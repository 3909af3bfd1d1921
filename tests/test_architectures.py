"""Every variant against the counts of other implementations, and how it takes its input."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from references import REFERENCES
from torch import nn
from variants import NAMES, NETWORKS, marked, variant

from architectures import shufflenet_v1 as v1
from architectures import shufflenet_v2 as v2
from architectures.blocks import SameConv2d, make_divisible
from benchbench.networks import build, total_stride
from benchbench.profilers.complexity import complexity

COUNTS = Path(__file__).parent / "reference" / "computed_counts.csv"


CLASSIFIER_BIAS = 1000  # the formula has one, the official code and we have not
# Rows that the reference keeps under another name: derived by formula, with a classifier bias.
BY_FORMULA = {
    "shufflenet_v1_g1_x0_25": "shufflenet_v1_g1_x0.25_stem6",
    "shufflenet_v1_g1_x0_5": "shufflenet_v1_g1_x0.5_stem12",
    "shufflenet_v1_g1_x1_0": "shufflenet_v1_g1_x1_stem24",
    "shufflenet_v1_g1_x1_5": "shufflenet_v1_g1_x1.5_stem24",
    "shufflenet_v1_g1_x2_0": "shufflenet_v1_g1_x2_stem48",
    "shufflenet_v1_g2_x1_0": "shufflenet_v1_g2_x1_stem24",
    "shufflenet_v1_g2_x2_0": "shufflenet_v1_g2_x2_stem48",
    "shufflenet_v1_g3_x0_25": "shufflenet_v1_g3_x0.25_stem6",
    "shufflenet_v1_g4_x1_0": "shufflenet_v1_g4_x1_stem24",
    "shufflenet_v1_g4_x2_0": "shufflenet_v1_g4_x2_stem48",
    "shufflenet_v2_50": "shufflenet_v2_50 (appendix widths as unit widths, megvii-style units)",
}
# Published in print only, where nothing is exact to the unit.
PRINTED = {
    # arXiv:1811.06965, Table 1; the paper's own stem is not specified
    "amoebanet_d_18_208": {"params": (82e6, 0.015)},
    "amoebanet_d_18_416": {"params": (318e6, 0.005)},
    "amoebanet_d_18_544": {"params": (542e6, 0.005)},
    "amoebanet_d_36_544": {"params": (1.05e9, 0.005)},
    # arXiv:1807.11164, Tables 6 and 8: half of the last printed digit
    "shufflenet_v2_164_se": {"multiply_adds": (12.7e9, 0.05 / 12.7)},
    "shufflenet_v2_x2_0_se": {"multiply_adds": (597e6, 0.5 / 597)},
}
# Compared with other libraries' networks, weights and all: tests/test_equivalence.py.
INSTANTIATED = {reference.variant for reference in REFERENCES}


def reference(name: str) -> list[tuple[int, float]]:
    """Parameters and millions of multiply-adds, as each implementation in the file has them."""
    with COUNTS.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    by_formula = BY_FORMULA.get(name)
    rows = [row for row in table if name == row["canonical_name"] or row["name"] == by_formula]
    bias = CLASSIFIER_BIAS if by_formula else 0
    return [(int(row["params"]) - bias, float(row["multiply_adds_millions"])) for row in rows]


def counts(name: str) -> dict[str, float]:
    """Our own, by metric."""
    counted = complexity(variant(name)).measurements
    return {item.metric: item.value for item in counted if item.value is not None}


def test_every_network_of_the_reference_is_there() -> None:
    with COUNTS.open(encoding="utf-8") as file:
        canonical = {row["canonical_name"] for row in csv.DictReader(file)} - {""}
    assert len(canonical) == 131
    assert canonical <= set(NAMES)


def test_every_network_has_somebody_outside_to_vouch_for_it() -> None:
    vouched = {name for name in NAMES if reference(name)}
    assert set(NAMES) - vouched <= {*PRINTED, *INSTANTIATED}


@pytest.mark.parametrize("name", [name for name in NAMES if reference(name)])
def test_counts_equal_those_of_other_implementations(name: str) -> None:
    rows = reference(name)
    counted = complexity(variant(name))
    values = {item.metric: item.value for item in counted.measurements}
    for params, millions in rows:
        assert values["params"] == params
        assert values["multiply_adds"] == pytest.approx(millions * 1e6, abs=500)  # rounded there


@pytest.mark.parametrize("name", PRINTED)
def test_counts_agree_with_what_was_printed(name: str) -> None:
    counted = counts(name)
    for metric, (printed, tolerance) in PRINTED[name].items():
        assert counted[metric] == pytest.approx(printed, rel=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_ledgers_are_ordered(name: str) -> None:
    case = variant(name)
    counted = {item.metric: item.value for item in complexity(case).measurements}
    weights, classes = 4 * counted["params"], 4 * 1000
    least = weights + 4 * 3 * case.resolution**2 + classes
    assert counted["memory_access_ops"] >= counted["memory_access_fused"] >= least


@pytest.mark.parametrize("name", marked(NETWORKS))
def test_forward_of_two_small_images(name: str) -> None:
    network = build(variant(name), "cpu", calibrated=False)
    assert not network.training
    with torch.inference_mode():
        assert network(torch.randn(2, 3, 64, 64)).shape == (2, 1000)


@pytest.mark.parametrize("name", NETWORKS)
def test_total_stride_is_what_the_maps_say(name: str) -> None:
    """The claimed stride against the smallest map that a 256-pixel input leaves."""
    case = variant(name, "resolution=256")
    maps = [layer.output_shape for layer in complexity(case).layers]
    spatial = [shape[2] for shape in maps if len(shape) == 4 and shape[2] > 1]
    assert total_stride(build(case, "meta")) == 256 // min(spatial)


def test_published_parts_of_efficientnet_b0() -> None:
    """The prototype figures of launches and traffic, from an independent implementation."""
    values = {m.metric: m.value for m in complexity(variant("efficientnet_b0")).measurements}
    assert values["launches"] == 238
    assert values["memory_access_ops"] == pytest.approx(209e6, abs=0.5e6)
    assert values["memory_access_fused"] == pytest.approx(104.5e6, abs=0.05e6)


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [  # the official resolved tables of EfficientNet-B3, MobileNetV2 and MnasNet
        (16, 1.2, 24),  # 19.2 rounds to 16, which loses over 10 %
        (40, 1.2, 48),
        (24, 1.4, 32),
        (32, 0.35, 16),
        (320, 0.35, 112),
        (24, 0.5, 16),
        (3, 1.0, 8),
    ],
)
def test_make_divisible(channels: int, width: float, expected: int) -> None:
    assert make_divisible(channels * width) == expected


def labelled(channels: int, batch: int = 1) -> torch.Tensor:
    """(batch, channels, 1, 1) whose values name image and channel."""
    return torch.arange(batch * channels).reshape(batch, channels, 1, 1).float()


def test_shufflenet_v1_interleaves_as_the_official_code() -> None:
    """Channel c of 6 in 3 groups, viewed (2, 3) and transposed: 0 3 1 4 2 5."""
    assert v1.interleave(labelled(6), 3).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shufflenet_v2_splits_even_and_odd(layout: torch.memory_format) -> None:
    images = torch.randn(3, 8, 2, 5).to(memory_format=layout)
    even, odd = v2.even_and_odd(images)
    assert torch.equal(even, images[:, 0::2])
    assert torch.equal(odd, images[:, 1::2])


def test_torchvision_shuffle_is_a_channel_shuffle() -> None:
    images = torch.randn(2, 8, 3, 3)
    assert torch.equal(v2.shuffle(images), torch.nn.functional.channel_shuffle(images, 2))


def test_a_strided_shufflenet_v1_unit_puts_the_pooled_input_first() -> None:
    unit = v1.Unit(12, 48, stride=2, groups=3, first_groups=3).eval()
    images = torch.randn(2, 12, 8, 8)
    with torch.inference_mode():
        result = unit(images)
    pooled = torch.nn.functional.avg_pool2d(images, 3, stride=2, padding=1)
    assert result.shape == (2, 48, 4, 4)
    assert torch.equal(result[:, :12], pooled)
    assert result[:, 12:].min() == 0  # the branch goes through ReLU, the pooled input does not


def test_a_shufflenet_v2_unit_keeps_the_even_channels_and_puts_them_first() -> None:
    topology = v2.Topology(torchvision=False, squeeze_excite=False, residual=False)
    unit = v2.Unit(16, topology).eval()
    images = torch.randn(2, 16, 4, 4)
    with torch.inference_mode():
        result = unit(images)
        assert torch.equal(result[:, :8], images[:, 0::2])
        assert torch.equal(result[:, 8:], unit.branch(images[:, 1::2]))


def test_a_residual_unit_adds_what_its_branch_took() -> None:
    topology = v2.Topology(torchvision=False, squeeze_excite=False, residual=True)
    unit = v2.Unit(16, topology).eval()
    images = torch.randn(2, 16, 4, 4)
    with torch.inference_mode():
        taken = images[:, 1::2]
        assert torch.equal(unit(images)[:, 8:], unit.branch(taken) + taken)


def test_a_gate_is_over_the_whole_unit() -> None:
    """ShuffleNetV2's Table 8: 597 M with squeeze-excite, half of the channels hidden."""
    topology = v2.Topology(torchvision=False, squeeze_excite=True, residual=False)
    unit = v2.Unit(16, topology).eval()
    images = torch.randn(2, 16, 4, 4)
    with torch.inference_mode():
        plain = torch.cat((images[:, 0::2], unit.branch(images[:, 1::2])), dim=1)
        gate = unit.squeeze_excite
        hidden = torch.relu(gate.reduce(plain.mean((2, 3), keepdim=True)))
        assert hidden.shape[1] == 8
        assert torch.allclose(unit(images), plain * torch.sigmoid(gate.expand(hidden)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_channels": [117, 232, 464]}, "stage_channels=117: must be even"),
        ({"width": 0.05}, "stage_channels=8: must be more than the 24 before"),
    ],
)
def test_widths_that_make_no_shufflenet_v2_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        v2.ShuffleNetV2(**changes)


def test_the_head_of_a_narrower_shufflenet_v2_stays() -> None:
    network = build(variant("shufflenet_v2_x1_0", "scale.width=0.5"), "meta")
    assert network.head.conv.out_channels == 1024


def test_tensorflows_padding_by_hand() -> None:
    """A 3x3 filter of ones, stride 2, on 4 x 5 ones: rows pad (0, 1), columns (1, 1)."""
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    assert conv(torch.ones(1, 1, 4, 5)).squeeze().tolist() == [[6, 9, 6], [4, 6, 4]]
    assert conv(torch.ones(1, 1, 5, 4)).squeeze().tolist() == [[6, 4], [9, 6], [6, 4]]


def test_only_the_official_classifier_has_no_bias() -> None:
    assert build(variant("shufflenet_v2_x1_0"), "meta").classifier.linear.bias is None
    assert (
        build(variant("shufflenet_v2_x1_0_torchvision"), "meta").classifier.linear.bias is not None
    )


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("mobilenet_v3_large", ["model.size=huge"], "allowed are large, small"),
        ("mnasnet_a1", ["+model.network=a9"], "allowed are a1, b1"),
    ],
)
def test_a_wrong_choice_names_the_right_ones(name: str, overrides: list[str], message: str) -> None:
    overrides = [item.replace("model.size", "+model.size") for item in overrides]
    with pytest.raises(Exception, match=message):
        build(variant(name, *overrides), "meta")


def test_building_twice_gives_the_same_weights() -> None:
    first, second = (build(variant("mobilenet_v2"), "cpu") for _ in range(2))
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_building_on_meta_leaves_initialisation_as_it_was() -> None:
    build(variant("mobilenet_v2"), "meta")
    assert nn.Linear(2, 2).weight.abs().sum() > 0
    assert torch.equal(nn.init.ones_(torch.zeros(2)), torch.ones(2))
