"""How often a runtime and a precision agree with eager fp32, and what the figure is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchbench.config import ProfilerSettings
from benchbench.records import Record

PROFILERS = ProfilerSettings(agreement=True)
REFERENCE = ("eager", "fp32")  # runtime and precision of what is compared with


class Agreement(NamedTuple):
    """The crops behind a record's `agreement`."""

    crops: Mapping[str, Any]  # `count`, and `areas` and `shapes` between which they were drawn
    images: int  # that crops were taken of
    confident: int  # crops on which fp32 is sure
    sure: float | None  # the least probability of a class that is called so
    calibration: str | None  # what int8's ranges were seen on; None for other precisions
    why_none: str | None  # where there is no crop to speak of

    @property
    def exit_code(self) -> int:
        """0 done, 3 no evidence."""
        return 0 if self.why_none is None else 3


def judge(record: Record) -> Agreement:
    """The crops of one record."""
    found = record.get("agreement")
    if found is None:  # Ctrl-C while the runtime was still prepared
        return Agreement({"count": 0}, 0, 0, None, None, "interrupted before the first batch")
    known = found.details
    return Agreement(
        crops=known["crops"],
        images=known["images"],
        confident=known["confident"],
        sure=known["sure"],
        calibration=known["calibration"],
        why_none=found.reason,
    )
