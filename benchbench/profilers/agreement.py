"""Whether a case and eager fp32 of the same network see the same on crops of photographs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchbench.cases import Case, fed_one_tensor
from benchbench.config import BudgetSettings
from benchbench.datasets.crops import AREAS, SHAPES, photographs, random_crops
from benchbench.errors import UserError
from benchbench.inputs import CALIBRATION_IMAGES
from benchbench.measurements import Measurement, absent
from benchbench.profilers.accuracy import class_outputs
from benchbench.profilers.beat import Beat
from benchbench.runtimes.formats import set_flags
from benchbench.runtimes.running import Prepared, prepare

SURE = 0.5  # of a class: no other one has as much
SEEDS_FROM = 2**63  # above every seed one can ask for, and so no crop is one of calibration's


@dataclass
class Tally:
    """What is known of the crops so far."""

    agrees: list[int] = field(default_factory=list)  # whether both have the same best class
    agrees_where_sure: list[int] = field(default_factory=list)
    largest_errors: list[float] = field(default_factory=list)  # over the classes of a crop
    mean_errors: list[float] = field(default_factory=list)
    not_finite: int = 0

    def add(self, outputs: Tensor, expected: Tensor) -> None:
        """Take down a batch: (N, classes), what the case makes of it and what fp32 makes of it.

        They are logits: their softmax is taken for probabilities. Of equal ones the lower class
        is the best.
        """
        finite = outputs.isfinite().all(dim=1)
        same = (outputs.argmax(dim=1) == expected.argmax(dim=1)) & finite
        probabilities = expected.double().softmax(dim=1)
        sure = probabilities.amax(dim=1) >= SURE
        errors = (outputs.double().softmax(dim=1) - probabilities)[finite].abs()
        self.agrees += same.int().tolist()
        self.agrees_where_sure += same[sure].int().tolist()
        self.largest_errors += errors.amax(dim=1).tolist()
        self.mean_errors += errors.mean(dim=1).tolist()
        self.not_finite += int((~finite).sum())


def agreement(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """One sample a crop, in their order: what the case makes of it against eager fp32.

    Raises:
        UserError: an output is not (N, classes), eager fp32's is not finite, or an image cannot
            be read.
    """
    count = case.crops or 0
    network = prepare(fed_one_tensor(case))
    reference = prepare(_reference(case))
    crops = random_crops("input", case.input, case, count, SEEDS_FROM + case.seed)
    tally = Tally()
    while batch := list(islice(crops, case.batch_size)):
        images = torch.stack(batch)
        expected = _expected(reference, images, case)
        tally.add(class_outputs(network, images, case), expected)
        if not beat(len(tally.agrees) / count):
            break
    yield from _measurements(tally, case)


def _reference(case: Case) -> Case:
    """The same network and weights, as its author wrote it."""
    eager = replace(case, runtime="eager", precision="fp32", layout="contiguous", input="random")
    return replace(eager, runtime_options={}, prepared=None)


def _expected(reference: Prepared, images: Tensor, case: Case) -> Tensor:
    """What eager fp32 makes of a batch: in fp32, also beside a case that multiplies in TF32."""
    set_flags(reference.case)
    try:
        outputs = class_outputs(reference, images, reference.case)
    finally:
        set_flags(case)
    if outputs.isfinite().all():
        return outputs
    raise UserError(
        f"model={case.name}: eager fp32's own outputs are not finite: nothing to compare with"
    )


def _measurements(tally: Tally, case: Case) -> Iterator[Measurement]:
    files = photographs("input", case.input)
    seen = len(tally.agrees)
    details: dict[str, Any] = {
        "crops": {"count": seen, "areas": list(AREAS), "shapes": list(SHAPES)},
        "images": min(seen, len(files)),
        "confident": len(tally.agrees_where_sure),
        "sure": SURE,
        "calibration": (case.calibration or "noise") if case.precision == "int8" else None,
        "remarks": list(_remarks(tally, case, files)),
    }
    yield Measurement("agreement", samples=(tuple(tally.agrees),), details=details)
    unsure = f"eager fp32 gives its class a probability of {SURE:g} on none of {seen} crops"
    infinite = "no crop's output is finite"
    for metric, samples, why_none in (
        ("agreement_confident", tally.agrees_where_sure, unsure),
        ("error_maximum", tally.largest_errors, infinite),
        ("error_mean", tally.mean_errors, infinite),
    ):
        if samples:
            yield Measurement(metric, samples=(tuple(samples),))
        else:
            yield absent(metric, why_none)


def _remarks(tally: Tally, case: Case, files: list[Path]) -> Iterator[str]:
    """What to know before believing a figure."""
    nothing = "agreement says nothing about a trained network"
    if case.weights is None and case.target.startswith("architectures."):
        yield f"random weights: {nothing}"
    elif case.weights is None:
        yield f"weights are what {case.target} starts with: if random, {nothing}"
    seen = len(tally.agrees)
    if seen < (case.crops or 0):
        yield f"crops looked at: {seen} of {case.crops}"
    if seen < len(files):
        yield f"crops are of the first {seen} of {len(files)} images"
    if tally.not_finite:
        yield f"crops whose output is not finite, for which no error is had: {tally.not_finite}"
    if case.precision == "int8":
        yield from _remarks_on_calibration(case, files[:seen])
    which = "this image" if len(files) == 1 else f"these {min(seen, len(files))} images"
    yield f"the intervals are about the choice of crops of {which} alone"


def _remarks_on_calibration(case: Case, judged: list[Path]) -> Iterator[str]:
    if case.calibration is None:
        yield "int8's ranges were seen on noise: say calibration=FOLDER, of images like these"
        return
    count = math.ceil(CALIBRATION_IMAGES / case.batch_size) * case.batch_size
    calibrated = photographs("calibration", case.calibration)[:count]
    both = {file.resolve() for file in judged} & {file.resolve() for file in calibrated}
    if both:
        yield (
            "int8's ranges were seen on other crops of the same images "
            f"({len(both)} of {len(judged)}): on unseen images agreement may be lower"
        )
