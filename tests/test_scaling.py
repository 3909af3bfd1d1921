"""Scaling against the EfficientNet paper's Table 3, and as the command line asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from conftest import Finished
from variants import NAMES, composed, variant

from architectures.blocks import repeated
from architectures.scaling import ALPHA, BETA, GAMMA, Scale, compound
from benchbench.cases import from_settings
from benchbench.errors import UserError
from benchbench.networks import build
from benchbench.profilers.complexity import complexity


def counts(name: str, *overrides: str) -> dict[str, float]:
    measured = complexity(variant(name, *overrides)).measurements
    return {item.metric: item.value for item in measured if item.value is not None}


@pytest.mark.parametrize(
    ("name", "override", "billions"),
    [  # arXiv:1905.11946, Table 3. Its ResNet-50 rows for depth and width read as if exchanged:
        # it prints 16.2 and 14.7 where counting gives 14.6 and 16.1. They are left out.
        ("mobilenet_v1", "scale.width=2", 2.2),
        ("mobilenet_v2", "scale.depth=4", 1.2),
        ("mobilenet_v2", "scale.width=2", 1.1),
        ("mobilenet_v2", "scale.resolution=2", 1.2),
        ("resnet50", "scale.resolution=2", 16.4),
    ],
)
def test_scaled_networks_cost_what_the_paper_prints(
    name: str, override: str, billions: float
) -> None:
    assert counts(name, override)["multiply_adds"] / 1e9 == pytest.approx(billions, abs=0.05)


def test_a_scaled_network_is_the_variant_of_that_width() -> None:
    """5,386,792 parameters and 509.375 M multiply-adds: torchvision's width_mult=1.3."""
    scaled = counts("mobilenet_v2", "scale.width=1.3")
    assert scaled["params"] == 5386792
    assert scaled["multiply_adds"] == pytest.approx(509.375e6, abs=500)


def test_depth_and_width_multiply_what_the_variant_has() -> None:
    case = variant("efficientnet_b2", "scale.width=2", "scale.depth=0.5")
    assert case.arguments["width"] == pytest.approx(2.2)
    assert case.arguments["depth"] == pytest.approx(0.6)


def test_the_papers_coefficients_double_the_cost_nearly() -> None:
    """Equation 3 with section 4's constants: their product is 1.9203."""
    assert pytest.approx(1.9203, abs=5e-5) == ALPHA * BETA**2 * GAMMA**2
    assert compound(1) == Scale(width=1.1, depth=1.2, resolution=1.15)
    assert compound(0) == Scale(1.0, 1.0, 1.0)
    assert math.prod(compound(2)) == pytest.approx((1.1 * 1.2 * 1.15) ** 2)


def test_phi_scales_all_three() -> None:
    case = variant("efficientnet_b0", "scale.phi=1.5")
    assert case.arguments["width"] == pytest.approx(1.1**1.5)
    assert case.arguments["depth"] == pytest.approx(1.2**1.5)
    assert case.resolution == round(224 * 1.15**1.5)


def test_a_resolution_that_was_asked_for_is_not_scaled() -> None:
    assert variant("efficientnet_b0", "scale.phi=1", "resolution=200").resolution == 200


@pytest.mark.parametrize(
    ("repeats", "depth", "expected"), [(10, 1.1, 11), (3, 1.1, 4), (4, 0.3, 2)]
)
def test_repeats_are_rounded_up_and_not_by_a_rounding_error(
    repeats: int, depth: float, expected: int
) -> None:
    assert repeated(repeats, depth) == expected


FAMILIES = (
    *("efficientnet_b0", "efficientnet_lite0", "efficientnet_v2_b0", "mobilenet_v1"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small_minimalistic", "mnasnet_a1"),
    *("shufflenet_v1_g3_x1_0", "shufflenet_v1_g8_x0_5", "shufflenet_v2_x1_0", "resnet18"),
    *("shufflenet_v2_x1_0_torchvision", "shufflenet_v2_164_se", "resnet50", "amoebanet_d_18_208"),
)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("key", ["width", "depth"])
def test_every_family_scales_both_ways(name: str, key: str) -> None:
    less = 0.6 if key == "width" else 0.45  # of two blocks, 0.6 is two
    own, smaller, larger = (counts(name, f"scale.{key}={factor}") for factor in (1, less, 1.6))
    assert smaller["multiply_adds"] < own["multiply_adds"] < larger["multiply_adds"]
    if key == "depth":
        assert smaller["launches"] < own["launches"] < larger["launches"]
    else:
        assert smaller["launches"] == own["launches"] == larger["launches"]


def test_every_family_is_among_those_that_scale() -> None:
    assert {variant(name).target for name in NAMES} == {variant(name).target for name in FAMILIES}


def test_a_deeper_mobilenet_v3_repeats_the_last_block_of_a_stage() -> None:
    """Table 2's second stage: 16 to 24 with expansion 72, 24 to 24 with 88, then 88 again."""
    stage = build(variant("mobilenet_v3_small", "scale.depth=1.5"), "meta").stages[1]
    assert [block.depthwise.conv.out_channels for block in stage] == [72, 88, 88]
    assert [block.depthwise.conv.stride for block in stage] == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["model=mobilenet_v2", "scale.width=0"],
            "scale.width=0.0: must be above 0 and at most 100",
        ),
        (
            ["model=mobilenet_v2", "scale.depth=inf"],
            "scale.depth=inf: must be above 0 and at most 100",
        ),
        (["model=mobilenet_v2", "scale.phi=17"], "scale.phi=17.0: must be from -16 to 16"),
        (["model=mobilenet_v2", "scale.phi=nan"], "scale.phi=nan: must be from -16 to 16"),
        (
            ["model._target_=torch.nn.Flatten", "model.resolution=32", "scale.width=2"],
            "scale.width=2: torch.nn.Flatten has no argument 'width'",
        ),
        (
            ["model._target_=torch.nn.Flatten", "model.resolution=32", "scale.phi=1"],
            "scale.phi=1: torch.nn.Flatten has no argument 'width'",
        ),
        (
            ["model=mobilenet_v2", "resolution=64", "scale.resolution=2"],
            "resolution=64 and scale.resolution=2: give one of them",
        ),
        (
            ["model=shufflenet_v1_g3_x1_0", "scale.width=0.01"],
            "model=shufflenet_v1_g3_x1_0[scale.width=0.01] cannot be built: ValueError: "
            "stage_channels=12: must be more than the 12 before",
        ),
    ],
)
def test_a_scale_that_makes_no_network_is_one_line(
    cli: Callable[..., Finished], arguments: list[str], message: str
) -> None:
    done = cli(*arguments, "profiler=complexity")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [f"benchbench: {message}"]


class Half(torch.nn.Flatten):
    """With a width of its own that is not 1."""

    def __init__(self, *, width: float = 0.5) -> None:
        super().__init__()
        self.width = width


def test_a_networks_own_default_is_what_is_scaled() -> None:
    own = {"_target_": f"{__name__}.Half", "resolution": 32}
    wanted = replace(composed("resnet18", "scale.width=3"), model=own)
    assert build(from_settings(wanted, "half"), "meta").width == pytest.approx(1.5)


def test_a_stage_keeps_a_block_however_shallow_the_network() -> None:
    stages = build(variant("mobilenet_v3_small", "scale.depth=1e-10"), "meta").stages
    assert [len(stage) for stage in stages] == [1] * 5  # Table 2 has five widths


def test_channels_that_groups_cannot_share_are_refused() -> None:
    overrides = ["model.stage_channels=[50,100,200]", "model.groups=2"]
    with pytest.raises(UserError, match="stage_channels=50: must be a multiple of 4 x groups=2"):
        build(variant("shufflenet_v1_g2_x1_0", *overrides), "meta")
