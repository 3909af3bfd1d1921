"""What the walk notes: layers, roles, dispatches; and that it stays light."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from variants import variant

from benchbench.counting.cost import cost
from benchbench.counting.walk import walk
from benchbench.networks import build
from benchbench.profilers.complexity import complexity
from benchbench.runtimes.formats import memory_format


class Block(nn.Module):
    """A convolution in a module, and an addition of the block's own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def test_an_operator_belongs_to_the_innermost_module() -> None:
    network = nn.Sequential(Block(), Block()).to("meta")
    walked = walk(network, torch.empty(1, 3, 4, 4, device="meta"))
    layers = [(op.layer, op.operator) for op in walked.executed]
    half = [("inner.0", "convolution"), ("inner.1", "relu"), ("", "add")]
    assert layers == [
        (f"{block}.{name}".rstrip("."), operator) for block in "01" for name, operator in half
    ]


def test_views_and_empties_are_dispatched_but_not_executed() -> None:
    """EfficientNet-B0: 238 launches, 49 `empty` of batch norm, a view of the last weight."""
    case = variant("efficientnet_b0")
    walked = walk(build(case, "meta"), torch.empty(case.input_shape, device="meta"))
    assert (len(walked.executed), walked.dispatched) == (238, 288)


def test_counts_scale_with_the_batch_but_not_the_weights() -> None:
    one, four = (
        {
            m.metric: m.value
            for m in complexity(variant("mobilenet_v2", f"batch_size={n}")).measurements
        }
        for n in (1, 4)
    )
    assert four["multiply_adds"] == 4 * one["multiply_adds"]
    assert four["activations"] == 4 * one["activations"]
    assert four["params"] == one["params"]
    assert four["launches"] == one["launches"]
    assert one["memory_access_ops"] < four["memory_access_ops"] < 4 * one["memory_access_ops"]


def test_half_precision_halves_the_ledgers() -> None:
    single, half = (
        {m.metric: m.value for m in complexity(variant("resnet50", f"precision={p}")).measurements}
        for p in ("fp32", "bf16")
    )
    for ledger in ("memory_access_paper", "memory_access_ops", "memory_access_fused"):
        assert single[ledger] == 2 * half[ledger]


def test_layers_add_up_to_the_totals() -> None:
    counted = complexity(variant("shufflenet_v1_g3_x1_0"))
    for measurement in counted.measurements:
        if measurement.metric == "multiply_adds_padded":  # a network's, on one device
            continue
        total = sum(getattr(layer, measurement.metric) for layer in counted.layers)
        assert total == measurement.value


class Dispatched(TorchDispatchMode):
    """The names of the operators that real tensors go through, and their results' strides."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        first = answer if isinstance(answer, Tensor) else answer[0]
        if not func.is_view and "empty" not in str(func) and "_unsafe_view" not in str(func):
            self.operators.append((func._schema.name.removeprefix("aten::"), first.stride()))
        return answer


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize(
    "name",
    [
        *("mobilenet_v3_small", "shufflenet_v1_g3_x1_0", "resnet50"),
        *("shufflenet_v2_x0_5", "shufflenet_v2_x0_5_torchvision"),
    ],
)
def test_the_walk_lists_what_a_real_forward_executes(
    name: str, batch_size: int, layout: str
) -> None:
    """On the CPU with data, for both layouts: reshapes copy in one and not in the other."""
    case = variant(name, f"batch_size={batch_size}", f"layout={layout}", "resolution=64")
    real = build(case, "cpu").to(memory_format=memory_format(case))
    images = torch.randn(case.input_shape).to(memory_format=memory_format(case))
    with torch.no_grad(), Dispatched() as dispatched:
        real(images)
    walked = walk(real.to("meta"), images.to("meta"))
    found = [(op.operator, op.result.stride()) for op in walked.executed]
    assert [name for name, _ in found] == [name for name, _ in dispatched.operators]
    assert found == dispatched.operators


class Borrowed(nn.Module):
    """Parameters that another module's code uses, and some that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 4), nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.mean((2, 3)), self.used.weight[:, :3])


def test_parameters_without_an_operator_have_their_row() -> None:
    network = Borrowed().to("meta")
    counted = cost(network, walk(network, torch.empty(1, 3, 4, 4, device="meta")))
    rows = {layer.name: layer.params for layer in counted.layers}
    assert rows == {"": 0, "used": 4 * 4 + 4, "unused": 10 * 10 + 10}
    assert counted.measurements[0].value == 130


def test_garbage_collection_is_on_again_afterwards() -> None:
    assert gc.isenabled()
    complexity(variant("mobilenet_v2"))
    assert gc.isenabled()


def test_counting_imports_neither_the_compiler_nor_sympy() -> None:
    """Either costs more than counting the largest network does."""
    program = """
import sys
from benchbench.profilers.complexity import complexity
from benchbench.runtimes.formats import memory_format
from benchbench.cases import Case
case = dict(arguments={}, resolution=224, batch_size=1, device="cpu", device_index=0,
            runtime="eager", precision="fp32", layout="contiguous", threads=1, input="random",
            preprocessing="torchvision", seed=0)
for target in ("efficientnet.EfficientNet", "shufflenet_v1.ShuffleNetV1", "resnet.ResNet",
               "shufflenet_v2.ShuffleNetV2", "mobilenet_v3.MobileNetV3"):
    complexity(Case(name="x", target=f"architectures.{target}", **case))
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr
