"""int8: scales and biases against what can be derived by hand from the weights and the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from torch import Tensor, nn

from benchbench import inputs
from benchbench.cases import Case
from benchbench.inputs import calibration_batches
from benchbench.runtimes.ahead import make
from benchbench.runtimes.quantise import correct_biases
from benchbench.runtimes.running import prepare


class Two(nn.Module):
    """Two convolutions whose channels have weights of very different size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.first.weight *= torch.logspace(-2, 0, 8)[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(torch.relu(self.first(x)))
        return result


@pytest.fixture
def two(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    module = type(pytest)("two_module")
    module.Two = Two  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "two_module", module)
    options = {"opset": 20, "provider": "auto"}
    return lambda **changes: case(
        **(
            {"target": "two_module.Two", "resolution": 16, "runtime_options": options}
            | {"runtime": "onnxruntime", "precision": "int8"}
            | changes
        )
    )


def weights_of(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_weights_have_a_scale_a_channel(two: Callable[..., Case], tmp_path: Path) -> None:
    """Symmetric, to -127 .. 127: a channel's scale is its largest weight over 127."""
    steps = make(two(), tmp_path)
    assert set(steps) == {"export", "quantise"}
    torch.manual_seed(0)
    network = Two()
    tensors = weights_of(onnx.load(tmp_path / "model.onnx"))
    quantised = [value for value in tensors.values() if value.dtype == np.int8 and value.ndim == 4]
    assert sorted(value.shape for value in quantised) == [(4, 8, 1, 1), (8, 3, 3, 3)]
    largest = network.first.weight.detach().abs().amax((1, 2, 3)).numpy()
    scales = [value for value in tensors.values() if value.shape == (8,)]
    assert any(
        value.dtype == np.float32 and np.allclose(value, largest / 127, rtol=1e-5)
        for value in scales
    )


def test_int8_is_close_to_fp32_in_both_runtimes(two: Callable[..., Case], tmp_path: Path) -> None:
    for runtime in ("onnxruntime", "openvino"):
        folder = tmp_path / runtime
        folder.mkdir()
        case = two(runtime=runtime)
        make(case, folder)
        from dataclasses import replace

        (ours,) = prepare(replace(case, prepared=str(folder))).outputs(inputs.make_input(case))
        (theirs,) = prepare(two(runtime="eager", precision="fp32")).outputs(inputs.make_input(case))
        error = float((ours - theirs).norm() / theirs.norm())
        assert 1e-4 < error < 0.05  # quantised, and no more than that


def test_biases_bring_the_mean_of_a_layer_back(two: Callable[..., Case], tmp_path: Path) -> None:
    """A bias that was spoilt by a known amount is found, to within one step of its scale."""
    case = two()
    make(case, tmp_path)
    quantised = onnx.load(tmp_path / "model.onnx")
    fp32_folder = tmp_path / "fp32"
    fp32_folder.mkdir()
    make(two(precision="fp32"), fp32_folder)
    graph = onnx.load(fp32_folder / "model.onnx")
    batches = [images.numpy() for images in calibration_batches(case)][:32]
    before = correct_biases(graph, quantised, batches)
    good = {name: value.copy() for name, value in weights_of(before).items()}
    biases = [tensor for tensor in before.graph.initializer if good[tensor.name].dtype == np.int32]
    vectors = [tensor for tensor in biases if tensor.name.endswith("bias_quantized")]
    assert len(vectors) == 2
    for tensor in vectors:
        spoilt = good[tensor.name] + np.int32(1000)
        tensor.CopyFrom(numpy_helper.from_array(spoilt, tensor.name))
    found = weights_of(correct_biases(graph, before, batches))
    for tensor in vectors:
        assert np.abs(found[tensor.name] - good[tensor.name]).max() <= 2


def test_calibration_is_on_crops_of_the_images_or_on_noise(
    case: Callable[..., Case], tmp_path: Path
) -> None:
    noise = torch.cat(list(calibration_batches(case(batch_size=4, resolution=32))))
    assert noise.shape == (inputs.CALIBRATION_IMAGES, 3, 32, 32)
    assert abs(float(noise.mean())) < 0.01
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0)]):
        Image.new("RGB", (60, 40), colour).save(tmp_path / f"{number}.png")
    crops = list(calibration_batches(case(batch_size=5, calibration=str(tmp_path))))
    assert {tuple(batch.shape) for batch in crops} == {(5, 3, 64, 64)}  # whole batches
    means = torch.cat(crops).mean((2, 3))
    assert len(means.round(decimals=3).unique(dim=0)) == 2  # both images, plain as they are


def test_int8_is_judged_on_several_images_like_those_of_its_ranges(
    case: Callable[..., Case], tmp_path: Path
) -> None:
    """Noise of another draw, or other crops of the same images; what is not int8, on its input."""
    (own,) = inputs.judged_input(case(batch_size=3))
    assert torch.equal(own, inputs.make_input(case(batch_size=3)))
    noise = torch.cat(inputs.judged_input(case(precision="int8", batch_size=3)))
    assert len(noise) == 9  # at least 8, in whole batches
    seen = torch.cat(list(calibration_batches(case(precision="int8", batch_size=3))))
    assert not (noise[:, None] == seen[None]).all(dim=(2, 3, 4)).any()
    Image.new("RGB", (80, 80), (255, 0, 0)).save(tmp_path / "red.png")
    crops = inputs.judged_input(case(precision="int8", calibration=str(tmp_path)))
    assert len(crops) == 8
    assert all(torch.allclose(crop, crops[0], atol=1e-5) for crop in crops)
