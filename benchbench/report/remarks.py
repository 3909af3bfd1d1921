"""The grades of many records, and why they are not better."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from benchbench.errors import printable
from benchbench.records import Record

REMARKS_SHOWN = 5
# A figure, and no part of a name such as resnet50 or fp32.
FIGURE = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?!\w)")


def quality_of(records: Sequence[Record]) -> list[str]:
    """Lines: how many records have which grade, and the commonest remarks."""
    grades = Counter(record.quality.grade or "none" for record in records)
    shares = ", ".join(f"{count} x {grade}" for grade, count in sorted(grades.items()))
    remarks = list(_remarks(records))
    more = len(remarks) - REMARKS_SHOWN
    return [
        f"quality of {len(records)} records: {shares}",
        *(printable(f"        {remark}") for remark in remarks[:REMARKS_SHOWN]),
        *([f"        and {more} more in the records"] if more > 0 else []),
    ]


def _remarks(records: Sequence[Record]) -> Iterator[str]:
    """The commonest first. Those that differ in figures alone are one, with their ranges."""
    alike: dict[tuple[str, ...], list[list[str]]] = {}
    for record in records:
        for reason in dict.fromkeys(record.quality.reasons):
            alike.setdefault(tuple(FIGURE.split(reason)), []).append(FIGURE.findall(reason))
    for words, figures in sorted(alike.items(), key=lambda item: -len(item[1])):
        ranges = [_range(values) for values in zip(*figures, strict=True)]
        text = "".join(chain.from_iterable(zip_longest(words, ranges, fillvalue="")))
        yield f"{len(figures)} x {text}"


def _range(values: Sequence[str]) -> str:
    least, most = min(values, key=float), max(values, key=float)
    return least if float(least) == float(most) else f"{least} to {most}"
