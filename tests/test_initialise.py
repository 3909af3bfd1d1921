"""Live weights, and the check that they are alive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from variants import NETWORKS, marked, variant

from architectures.initialise import Activations, activations, calibrate, norm_state, problems
from benchbench.networks import build

PIXELS = 64
FAMILIES = (
    *("efficientnet_b0", "efficientnet_lite0", "efficientnet_v2_b0", "mobilenet_v1"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small_minimalistic", "mnasnet_a1"),
    *("shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0", "shufflenet_v2_x2_0_se", "resnet50"),
)
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# IEEE 754 and bfloat16: below the smallest normal number, 2^-126, 2^-14 and 2^-126.
SUBNORMALS = {"fp32": 1e-40, "fp16": 3e-5, "bf16": 1e-39}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def noise(images: int, pixels: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((images, 3, pixels, pixels), generator=generator)


def assert_alive(name: str, precision: str, pixels: int | None = PIXELS) -> None:
    case = variant(name)
    case = replace(case, resolution=pixels or case.resolution)
    images = noise(1, case.resolution, seed=5)  # others than those of the statistics
    dtype = DTYPES[precision]
    found = activations(build(case, "cpu").to(dtype), images.to(dtype))
    assert problems(found) == []
    assert found.weakest_maximum > 1e-2
    assert precision != "fp32" or found.subnormal_share == 0


@pytest.mark.parametrize("name", marked(NETWORKS))
def test_every_network_is_alive(name: str) -> None:
    assert_alive(name, "fp32")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_alive_in_half_precision(name: str, precision: str) -> None:
    assert_alive(name, precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_alive_at_its_own_resolution(name: str, precision: str) -> None:
    assert_alive(name, precision, pixels=None)


@pytest.mark.parametrize(
    ("name", "dead_below"),
    [("efficientnet_b0", 1e-10), ("mobilenet_v2", 1e-6), ("mobilenet_v3_small", 1e-7)],
)
def test_a_fresh_network_dies_and_a_calibrated_one_neither_dies_nor_blows_up(
    name: str, dead_below: float
) -> None:
    """What a normal variable reaches in 10^4 to 10^6 draws is 4 to 5 standard deviations."""
    fresh, alive = (build(variant(name), "cpu", calibrated=flag) for flag in (False, True))
    images = noise(1, 224)
    assert min(extremes(fresh, images)) < dead_below
    assert problems(activations(fresh.half(), images.half()))
    found = extremes(alive, images)
    assert min(found) > 1e-2
    assert max(found) < 30


def extremes(network: nn.Module, images: Tensor) -> list[float]:
    """The largest magnitude behind each convolution and norm, found without our check."""
    found: list[float] = []

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        found.append(float(output.abs().max()))

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    handles = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return found


def test_each_channel_of_each_norm_is_near_standard_on_other_images() -> None:
    network = build(variant("mobilenet_v2"), "cpu")
    deviations: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _m, _i, output: deviations.append(output.std((0, 2, 3)))
            )
    with torch.no_grad():
        network(noise(4, 224))
    assert len(deviations) == 52
    medians = torch.stack([channels.median() for channels in deviations])
    assert ((medians > 0.8) & (medians < 1.25)).all()


def convolution_and_norm(*between: nn.Module) -> nn.Sequential:
    parts = OrderedDict[str, nn.Module](conv=nn.Conv2d(3, 2, 1, bias=True))
    parts |= {str(index): module for index, module in enumerate(between)}
    network = nn.Sequential(parts | {"norm": nn.BatchNorm2d(2)})
    with torch.no_grad():
        network.conv.weight.copy_(torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.3, 0.4]])[..., None, None])
        network.conv.bias.copy_(torch.tensor([5.0, -1.0]))
    return network


def test_the_statistics_are_those_of_normal_images() -> None:
    """w . x + b of a standard normal x: mean b, variance |w|^2."""
    network = convolution_and_norm()
    assert calibrate(network, resolution=128)
    # 2^17 pixels: five standard errors of a mean and of a variance
    assert network.norm.running_mean.tolist() == pytest.approx([5.0, -1.0], abs=5 * 3 / 362)
    assert network.norm.running_var.tolist() == pytest.approx([9.0, 0.25], rel=5 * 1.42 / 362)


def test_chance_is_off() -> None:
    """Dropout with p = 0.9 would multiply the second moment by 10."""
    network = convolution_and_norm(nn.Dropout(0.9))
    assert calibrate(network, resolution=128)
    assert network.norm.running_var.tolist() == pytest.approx([9.0, 0.25], rel=0.05)


def test_all_else_stays_as_it_was() -> None:
    network = convolution_and_norm(nn.Dropout(0.9), Draws())
    network.conv.eval()
    modes = [module.training for module in network.modules()]
    parameters = [parameter.clone() for parameter in network.parameters()]
    momentum, random = network.norm.momentum, torch.get_rng_state()
    assert calibrate(network, resolution=32)
    assert [module.training for module in network.modules()] == modes
    assert all(map(torch.equal, network.parameters(), parameters))
    assert network.norm.momentum == momentum
    assert network.norm.num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in network.parameters())


class Draws(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * torch.rand(1)


@pytest.mark.parametrize(
    ("resolution", "images", "side"), [(32, 8, 32), (128, 8, 128), (224, 3, 224), (800, 2, 384)]
)
def test_as_many_images_as_the_last_map_needs(resolution: int, images: int, side: int) -> None:
    """128 of its pixels at a stride of 32, from 2 to 8 images: 3 x 49 at 224."""
    network, seen = nn.Sequential(nn.BatchNorm2d(3)), []
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    assert calibrate(network, resolution=resolution)
    assert seen == [(images, 3, side, side)]


def test_the_seed_alone_decides() -> None:
    first, second, other = (convolution_and_norm() for _ in range(3))
    for network, seed in ((first, 3), (second, 3), (other, 4)):
        torch.rand(seed)
        assert calibrate(network, resolution=32, seed=seed)
    assert torch.equal(first.norm.running_var, second.norm.running_var)
    assert not torch.equal(first.norm.running_var, other.norm.running_var)


@pytest.mark.parametrize("buffer", ["running_mean", "running_var", "num_batches_tracked"])
def test_what_somebody_loaded_is_left_alone(buffer: str) -> None:
    network = convolution_and_norm(nn.BatchNorm2d(2))
    getattr(network.norm, buffer).fill_(2)
    assert_left_alone(network)


def assert_left_alone(network: nn.Module, resolution: int = 32) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    assert not calibrate(network, resolution=resolution)
    after = network.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert [module.training for module in network.modules()] == modes


class Fails(nn.Module):
    """Something only inference does, behind a norm that has learned by then."""

    def __init__(self, norm: nn.BatchNorm2d, then: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.norm, self.then = norm, then

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.then(x) if self.norm.training else x


def refuse(_: Tensor) -> Tensor:
    raise RuntimeError("not while training")


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
        Fails(nn.BatchNorm2d(3), refuse),
        nn.Sequential(Fails(nn.BatchNorm2d(3), lambda x: x / 0), nn.BatchNorm2d(3)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(5, 5)),
    ],
    ids=["no norm", "no statistics", "raises", "not finite", "another input"],
)
def test_a_network_that_cannot_be_calibrated_is_left_alone(network: nn.Module) -> None:
    assert_left_alone(network)


def test_a_norm_that_starts_at_zero_is_woken() -> None:
    network = convolution_and_norm()
    nn.init.zeros_(network.norm.weight)
    assert activations(network.eval(), noise(1, 8)).dead_layers == ("norm", "output")
    assert calibrate(network, resolution=32)
    assert activations(network.eval(), noise(1, 8)).weakest_maximum > 1


def test_a_large_network_that_takes_one_resolution_is_calibrated_at_it() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 2, 50, stride=50), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 9 * 9, 4)
    )
    assert calibrate(network, resolution=450)
    assert network[1].running_mean.any()


def test_only_norms_are_in_the_state_of_the_norms() -> None:
    network = nn.Sequential(OrderedDict(block=convolution_and_norm(), last=nn.Linear(2, 2)))
    keys = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert list(norm_state(network)) == [f"block.norm.{key}" for key in keys]
    assert list(norm_state(nn.BatchNorm2d(2))) == list(keys)


class Gives(nn.Module):
    """A layer whose output is known."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, _: object) -> Any:
        return self.output


def numbers(first: list[float], size: int = 128, precision: str = "fp32") -> Tensor:
    """(1, size / 16, 4, 4): some numbers, then ones."""
    values = torch.tensor(first + [1.0] * (size - len(first)), dtype=DTYPES[precision])
    return values.reshape(1, -1, 4, 4)


def look(**layers: Any) -> Activations:
    network = nn.Sequential(OrderedDict({n: Gives(output) for n, output in layers.items()}))
    return activations(network, torch.zeros(1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("precision", DTYPES)
def test_what_is_wrong_with_a_layer_is_found(
    precision: str, layout: torch.memory_format, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    def layer(*first: float) -> Tensor:
        tensor = numbers(list(first), precision=precision)
        return tensor.to(device=device, memory_format=layout)

    tiny = SUBNORMALS[precision]
    found = look(
        zeros=layer() * 0,
        weak=layer() / 4,
        tiny=layer(*[tiny] * 16, *[-tiny] * 16, *[0.0] * 32),
        nan=layer(float("nan")),
        inf=layer(2.0, float("-inf")),
        good=layer(-3.0),
    )
    assert found == Activations(
        weakest_layer="zeros",
        weakest_maximum=0.0,
        dead_layers=("zeros",),
        subnormal_layer="tiny",
        subnormal_share=0.25,
        not_finite_layers=("nan", "inf"),
    )
    assert problems(found) == [
        "layer zeros: every output is zero",
        "layer tiny: 25 % of the outputs are subnormal, which are slow on many processors",
        "layer nan and 1 more: inf or nan among the outputs",
    ]


def test_a_good_network_has_no_problems() -> None:
    found = look(first=numbers([-3.0]), weak=numbers([]) / 4, last=numbers([2.0]))
    assert found == Activations("weak", 0.25, (), "first", 0.0, ())
    assert problems(found) == []


def test_smallest_normal_numbers_are_not_subnormal() -> None:
    """2^-14 is fp16's, 2^-126 that of the others."""
    for precision, exponent in (("fp32", -126), ("fp16", -14), ("bf16", -126)):
        edge = numbers([2.0**exponent] * 128, precision=precision)
        assert look(edge=edge).subnormal_share == 0
        assert look(below=edge / 2).subnormal_share == 1


def test_tensors_are_found_wherever_a_module_puts_them() -> None:
    """A layer is dead if all of them are."""
    zeros, half = numbers([]) * 0, numbers([]) / 2
    found = look(pair=(zeros, half), nest={"a": [zeros], "b": (zeros, None)}, ids=torch.arange(64))
    assert found.dead_layers == ("nest",)
    assert look(pair=(zeros, half), last=half).weakest_maximum == 0.5
    with pytest.raises(ValueError, match="Sequential gives no floating-point tensor"):
        look(ids=torch.arange(64), text="none")


def test_a_layer_that_is_called_twice_counts_by_its_largest() -> None:
    """Zeros once, ones once."""
    zeros, ones = Gives(numbers([]) * 0), Gives(numbers([]))
    for first, second in ((zeros, ones), (ones, zeros)):
        twice = nn.Identity()
        network = nn.Sequential(OrderedDict(x=first, a=twice, y=second, b=twice, last=ones))
        found = activations(network, torch.zeros(1))
        assert found.dead_layers == ("x" if first is zeros else "y",)


def test_a_few_numbers_are_zero_by_chance() -> None:
    """Behind a ReLU with two channels, for one image in four."""
    few = torch.zeros(8, 2, 1, 1)
    found = look(few=few, last=numbers([]))
    assert (found.dead_layers, found.weakest_layer) == ((), "last")
    assert look(few=few / 0, last=numbers([])).not_finite_layers == ("few",)
    assert look(few=few).dead_layers == ("few", "output")  # where there is nothing else


def test_what_comes_in_place_afterwards_does_not_hide_a_layer() -> None:
    """-1 everywhere is alive; the ReLU that overwrites it is not."""
    network = nn.Sequential(
        OrderedDict(minus=Gives(-numbers([-1.0]).abs()), act=nn.ReLU(inplace=True))
    )
    assert activations(network, torch.zeros(1)).dead_layers == ("act", "output")


def test_the_network_is_as_before_whatever_happens() -> None:
    network = nn.Sequential(convolution_and_norm(), nn.Linear(5, 5)).eval()
    with pytest.raises(RuntimeError):
        activations(network, noise(1, 8))
    assert not any(module._forward_hooks for module in network.modules())
    activations(network[0], noise(1, 8))
    assert not any(module._forward_hooks for module in network.modules())
