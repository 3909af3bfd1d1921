"""Top-1 and top-5 accuracy on a folder of labelled images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.datasets.folder import Dataset, labelled_images
from benchbench.datasets.loader import Corrupt, Prepared, batches
from benchbench.errors import UserError
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.runtimes.running import Prepared as PreparedCase
from benchbench.runtimes.running import prepare

PLACES = {"top1": 1, "top5": 5}  # a label counts as found among so many best outputs


@dataclass
class Tally:
    """What is known of the images so far."""

    ranks: list[int] = field(default_factory=list)  # classes before the true one, by image
    corrupt: list[Corrupt] = field(default_factory=list)
    not_finite: int = 0
    tied: int = 0

    @property
    def seen(self) -> int:
        """How many images were looked at."""
        return len(self.ranks) + len(self.corrupt)

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        """Take down how a batch ranks its true classes: (N, classes) and (N,)."""
        finite = outputs.isfinite().all(dim=1)
        best = outputs == outputs.amax(dim=1, keepdim=True)
        self.not_finite += int((~finite).sum())
        self.tied += int(((best.sum(dim=1) > 1) & finite).sum())
        last = outputs.shape[1]
        self.ranks += ranks(outputs, labels).where(finite, last).tolist()


def accuracy(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """One sample an image, in the order of the files: 1 where the label is among the best.

    `case.threads` are the network's; images are prepared by a few others.

    Raises:
        UserError: the output is not (N, classes), or the images have no labels that fit it.
    """
    network = prepare(replace(case, input="random"))
    probe = torch.zeros(1, *case.input_shape[1:])
    classes = class_outputs(network, probe, case).shape[1]
    dataset = labelled_images(case, classes)
    tally = Tally()
    with closing(batches(dataset.images, case)) as prepared:
        for batch in prepared:
            tally.corrupt += [item for item in batch if isinstance(item, Corrupt)]
            good = [item for item in batch if isinstance(item, Prepared)]
            if good:
                outputs = class_outputs(network, torch.stack([item.pixels for item in good]), case)
                tally.add(outputs, torch.tensor([item.label for item in good]))
            if not beat(tally.seen / len(dataset.images)):
                break
    yield from _measurements(tally, dataset, classes)


def class_outputs(network: PreparedCase, images: Tensor, case: Case) -> Tensor:
    """What the network makes of at most a batch of images: (N, classes), fp32, on the CPU.

    Raises:
        UserError: the output has another shape.
    """
    count = images.shape[0]
    if case.runtime != "eager" and count < case.batch_size:  # all others are made for one size
        images = torch.cat([images, images[:1].expand(case.batch_size - count, -1, -1, -1)])
    outputs = network.outputs(images)
    if len(outputs) == 1 and outputs[0].ndim == 2 and len(outputs[0]) == len(images):
        return outputs[0][:count]
    found = ", ".join(str(list(output.shape)) for output in outputs) or "no tensor"
    raise UserError(
        f"model={case.name}: its output for a batch of {images.shape[0]} is {found}; "
        f"allowed is [{images.shape[0]}, classes]"
    )


def ranks(outputs: Tensor, labels: Tensor) -> Tensor:
    """How many classes come before the true one: (N, classes) and (N,) to (N,).

    Of equal outputs the lower class comes first, as `argmax` has it.
    """
    own = outputs.gather(1, labels[:, None])
    lower = torch.arange(outputs.shape[1]) < labels[:, None]
    return ((outputs > own) | ((outputs == own) & lower)).sum(dim=1)


def _measurements(tally: Tally, dataset: Dataset, classes: int) -> Iterator[Measurement]:
    corrupt = [
        {"file": item.path.relative_to(dataset.folder).as_posix(), "reason": item.reason}
        for item in tally.corrupt
    ]
    details: dict[str, Any] = {
        "labelled_images": len(dataset.images),
        "labels": dataset.labels,
        "corrupt": corrupt,
        "remarks": [*dataset.remarks, *_remarks(tally, dataset)],
    }
    for metric, places in PLACES.items():
        if not tally.ranks:
            yield Measurement(metric, reason=_why_none(tally), details=details)
        elif classes < places:
            yield absent(metric, f"the network has {classes} outputs: fewer than {places}")
        else:
            samples = tuple(int(rank < places) for rank in tally.ranks)
            yield Measurement(metric, samples=(samples,), details=details)
        details = {}  # once is enough


def _remarks(tally: Tally, dataset: Dataset) -> Iterator[str]:
    if tally.seen < len(dataset.images):
        yield f"images looked at: {tally.seen} of {len(dataset.images)}"
    if tally.corrupt:
        yield f"images that could not be read, left out: {len(tally.corrupt)}"
    if tally.not_finite:
        yield f"images whose output is not finite, counted as wrong: {tally.not_finite}"
    if tally.tied:
        yield f"images with several best outputs, the lowest class taken: {tally.tied}"


def _why_none(tally: Tally) -> str:
    if not tally.corrupt:
        return "interrupted before the first batch was done"
    path, reason = tally.corrupt[0]
    return f"none of the images could be read ({tally.seen}); the first: {path.name} {reason}"
