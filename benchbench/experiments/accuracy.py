"""How often a network is right, and what the figure is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchbench.config import ProfilerSettings
from benchbench.records import Record

PROFILERS = ProfilerSettings(accuracy=True)


class Accuracy(NamedTuple):
    """The images behind a record's `top1` and `top5`."""

    images: int  # that the network was run on
    corrupt: Sequence[Mapping[str, str]]  # left out: `file`, relative to the folder, and `reason`
    labels: str  # where they come from
    why_none: str | None  # where there is no image to speak of

    @property
    def exit_code(self) -> int:
        """0 done, 3 no evidence."""
        return 0 if self.why_none is None else 3


def judge(record: Record) -> Accuracy:
    """The images of one record."""
    top1 = record.get("top1")
    if top1 is None:  # Ctrl-C while the runtime was still prepared
        return Accuracy(0, (), "none", "interrupted before the first batch")
    return Accuracy(
        images=len(top1.flat),
        corrupt=top1.details["corrupt"],
        labels=top1.details["labels"],
        why_none=top1.reason,
    )
