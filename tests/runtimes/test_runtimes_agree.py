"""Every runtime computes what eager fp32 computes, from an artefact or made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.runtimes import onnx_graph
from benchbench.runtimes.ahead import ACTIVATIONS, make
from benchbench.runtimes.equality import REFERENCE, check_copy, check_equality, difference
from benchbench.runtimes.running import needs_preparation, prepare

ONNX = {"opset": 20}
WAYS: dict[str, dict[str, object]] = {
    "eager": {"precision": "bf16"},
    "compiled": {"runtime_options": {"autotune": False}},
    "onnxruntime": {"runtime_options": ONNX | {"provider": "auto"}},
    "openvino": {"runtime_options": ONNX},
}


class Small(nn.Module):
    """A convolution, a norm and a depthwise one, with two outputs in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, groups=16),
        )
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mean = self.features(x).mean((2, 3))
        return {"mean": mean, "classes": self.head(mean)}


@pytest.fixture
def small(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """A case of the small network in a runtime, under a module of its own."""
    module = type(pytest)("small_module")
    module.Small = Small  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "small_module", module)

    def make_case(runtime: str, **changes: object) -> Case:
        given = {"target": "small_module.Small", "resolution": 32, "batch_size": 2}
        return case(runtime=runtime, **(given | WAYS[runtime] | changes))

    return make_case


def expected(case: Case) -> list[Tensor]:
    """What PyTorch makes of the same network and input, without any of our runtimes."""
    from benchbench.networks import build

    with torch.inference_mode():
        outputs = build(case, "cpu")(make_input(case))
    return [outputs["mean"], outputs["classes"]]


@pytest.mark.parametrize("runtime", WAYS)
def test_a_runtime_computes_what_eager_does(small: Callable[..., Case], runtime: str) -> None:
    """Made on the spot; two outputs, batch 2; on other images too, and it can be called."""
    case = small(runtime)
    prepared = prepare(case)
    closeness = 2e-2 if case.precision == "bf16" else 1e-5
    for ours, theirs in zip(prepared.outputs(make_input(case)), expected(case), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=closeness, rtol=closeness)
    running = prepared.running()
    running.call()
    running.synchronise()
    others = make_input(replace(case, seed=7))
    assert not torch.allclose(prepared.outputs(others)[1], prepared.outputs(make_input(case))[1])
    assert prepared.activations()["problems"] == []
    if runtime == "compiled":
        with pytest.raises(TypeError, match="cannot be copied"):
            prepared.copied()
    else:
        prepared.copied().call()


def test_what_was_compiled_is_called_as_it_is(small: Callable[..., Case]) -> None:
    """Compiling once is slow enough: neither the call nor the comparison compiles anew."""
    prepared = prepare(small("compiled"))
    with torch._dynamo.config.patch(error_on_recompile=True):
        prepared.running().call()
        prepared.outputs(make_input(prepared.case))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_artefact_is_loaded_and_compared(
    small: Callable[..., Case], runtime: str, tmp_path: Path
) -> None:
    """What lies in the folder is used; where its answer is another one, the figure is told."""
    case = replace(small(runtime), prepared=str(tmp_path))
    steps = make(case, tmp_path)
    assert set(steps) == {"export"}
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", REFERENCE, ACTIVATIONS}
    assert check_equality(prepare(case), case) < 1e-5
    reference = torch.load(tmp_path / REFERENCE, weights_only=True)
    largest = max(float(tensor.abs().max()) for tensor in reference)
    reference[1][0, 0] += 0.5 * largest
    torch.save(reference, tmp_path / REFERENCE)
    message = f"model=mobilenet_v2 runtime={runtime} precision=fp32 does not compute .* differ by "
    with pytest.raises(UserError, match=message):
        prepare(case)


def test_the_graph_has_the_opset_that_was_asked_for(
    small: Callable[..., Case], tmp_path: Path
) -> None:
    make(small("onnxruntime", runtime_options={"opset": 18, "provider": "auto"}), tmp_path)
    (opset,) = [o.version for o in onnx.load(tmp_path / "model.onnx").opset_import if not o.domain]
    assert opset == 18


def test_large_weights_lie_beside_the_graph(
    small: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what one file of protocol buffers holds; both runtimes load them."""
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 0)
    make(small("onnxruntime"), tmp_path)
    assert (tmp_path / "model.onnx.data").exists()
    for runtime in ("onnxruntime", "openvino"):
        case = replace(small(runtime), prepared=str(tmp_path))
        assert check_equality(prepare(case), case) < 1e-5


class Untranslatable(Small):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {
            "classes": torch.linalg.eigvals(super().forward(x)["mean"].mT @ torch.ones(2, 16)).real
        }


def test_what_cannot_be_exported_is_one_line(
    small: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys.modules["small_module"], "Small", Untranslatable)
    with pytest.raises(UserError, match=r"runtime.opset=20: cannot be exported: ") as caught:
        make(small("onnxruntime"), tmp_path)
    assert "\n" not in str(caught.value)


def test_difference_by_hand() -> None:
    """Of all outputs: differences of 0.5, 0 and 3 over values of 1, 8 and 2."""
    reference = [torch.tensor([1.0, -8.0]), torch.tensor([[2.0]])]
    assert difference(
        [torch.tensor([1.5, -8.0]), torch.tensor([[5.0]])], reference
    ) == pytest.approx((9.25 / 69) ** 0.5)
    assert difference(reference, reference) == 0
    assert difference([torch.tensor([0.25])], [torch.tensor([0.0])]) == 0.25
    with pytest.raises(ValueError, match=r"shapes \[\[1\]\] and not \[\[2\], \[1, 1\]\]"):
        difference([torch.tensor([1.0])], reference)
    with pytest.raises(ValueError, match="1 of its outputs are not finite"):
        difference([torch.tensor([1.0, float("nan")]), torch.tensor([[2.0]])], reference)


def test_eager_fp32_is_what_others_are_compared_with(case: Callable[..., Case]) -> None:
    assert not needs_preparation(case())
    assert not needs_preparation(case(precision="bf16", mode="train"))
    assert needs_preparation(case(precision="bf16"))
    assert needs_preparation(case(runtime="compiled"))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_timed_computes_it_after_a_copy(
    small: Callable[..., Case], runtime: str, precision: str, tmp_path: Path
) -> None:
    """A session reads memory by its address, so that what it wrote is looked at itself."""
    case = replace(small(runtime), prepared=str(tmp_path), precision=precision)
    make(case, tmp_path)
    prepared = prepare(case)
    check_copy(prepared, case)
    running = prepared.copied()
    assert running.written is not None
    running.call()
    assert difference(running.written(), prepared.outputs(make_input(case))) < 1e-6
