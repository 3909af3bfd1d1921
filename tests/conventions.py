"""Other ways of counting than ours, each with the source that is known for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchbench.counting.cost import Cost


class Convention(NamedTuple):
    source: str
    quantity: str  # "params" or "multiply_adds"
    variants: str  # a pattern
    count: Callable[[Cost], int]
    short: str
    text: str


def total(cost: Cost, quantity: str) -> int:
    """Parameters or multiply-adds as we count them."""
    return int(next(m.value for m in cost.measurements if m.metric == quantity) or 0)


def elements(cost: Cost, operator: str) -> int:
    """What all executions of an operator put out, in place or not."""
    details = next(m.details for m in cost.measurements if m.metric == "multiply_adds")
    return sum(
        row["elements"]
        for name, row in details["operators"].items()
        if name.removesuffix("_") == operator
    )


def with_norms(operations: float, cost: Cost) -> int:
    """So many operations for each element that batch norm puts out, on top of multiply-adds."""
    return total(cost, "multiply_adds") + int(operations * elements(cost, "native_batch_norm"))


def with_norms_and_relus(cost: Cost) -> int:
    """Four floating-point operations an element for batch norm, one for ReLU, all of it halved."""
    return with_norms(2, cost) + elements(cost, "relu") // 2


def without_stem(cost: Cost) -> int:
    """Multiply-adds of all but the first convolution."""
    stem = next(layer.multiply_adds for layer in cost.layers if layer.multiply_adds)
    return total(cost, "multiply_adds") - stem


def without_norm_params(cost: Cost) -> int:
    """Parameters but for scale and shift of the batch norms."""
    norms = sum(layer.params for layer in cost.layers if layer.kind == "batch_norm")
    return total(cost, "params") - norms


def with_1280_hidden(cost: Cost) -> int:
    """Parameters with 1280 units in the hidden layer before the classifier, instead of 1024."""
    hidden, classifier = (layer for layer in cost.layers if layer.kind == "linear")
    classes = classifier.output_shape[1]
    per_unit = (hidden.params + classifier.params - classes) // hidden.output_shape[1]
    return total(cost, "params") + (1280 - hidden.output_shape[1]) * per_unit


def without_linear(cost: Cost) -> int:
    """Multiply-adds of convolutions alone."""
    linear = sum(layer.multiply_adds for layer in cost.layers if layer.kind == "linear")
    return total(cost, "multiply_adds") - linear


def half_of_toco(cost: Cost) -> int:
    """Half of the operations that TensorFlow Lite's converter, toco, estimates.

    Two for a multiply-add; one for each output of a convolution or linear layer, which adds the
    bias that batch norm is folded into; one for each of an addition or product; 64 for each of a
    sigmoid. tensorflow/lite/toco/tooling_util.cc, EstimateArithmeticOpsCount.
    """
    single = ("convolution", "addmm", "add", "mul")
    operations = sum(elements(cost, operator) for operator in single)
    return total(cost, "multiply_adds") + (operations + 64 * elements(cost, "sigmoid")) // 2


CONVENTIONS = (
    Convention(
        *("MnasNet README", "multiply_adds", "mnasnet_a1*"),
        half_of_toco,
        "half of toco's operations",
        "TensorFlow Lite's converter estimates two operations for a multiply-add, one more for "
        "each output of a convolution and of what adds or multiplies, and 64 for each of a "
        "sigmoid. Half of that is the README's figure to the digit, in all 25 rows. The paper's "
        "own 312 M for A1 is our count",
    ),
    Convention(
        *("Lite README", "multiply_adds", "efficientnet_lite*"),
        partial(with_norms, 3),
        "3 x batch norm added",
        "three operations for each element that batch norm puts out come on top; three of the "
        "five figures are then right to the digit",
    ),
    Convention(
        *("timm", "multiply_adds", "*"),
        partial(with_norms, 2),
        "2 x batch norm added",
        "fvcore, with which timm counts, has two operations for each element that batch norm puts "
        "out",
    ),
    Convention(
        *("imgclsmob", "multiply_adds", "*"),
        with_norms_and_relus,
        "batch norm and ReLU added",
        "half of its floating-point operations are printed; batch norm has four an element, ReLU "
        "one. The little that is left it has for pooling and the channel shuffle",
    ),
    Convention(
        *("slim V1 README", "multiply_adds", "mobilenet_v1_x0_75*"),
        without_stem,
        "first convolution left out",
        "so are all four figures of this width, and none of the others",
    ),
    Convention(
        *("slim README", "params", "mobilenet_v2*"),
        without_norm_params,
        "batch norm left out",
        "the scales and shifts of batch norm are not among the parameters",
    ),
    Convention(
        *("slim README", "params", "mobilenet_v3_small"),
        with_1280_hidden,
        "1280 hidden units",
        "so Table 2 of the paper's first version has the layer before the classifier; the released "
        "network has 1024",
    ),
    Convention(
        *("ShuffleNetV1, Table 1", "multiply_adds", "*"),
        without_linear,
        "linear layer left out",
        "the table counts convolutions only, in all five of its figures",
    ),
)
