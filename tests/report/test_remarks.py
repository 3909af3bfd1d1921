"""Many records' grades and remarks in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from made import record

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Quality
from benchbench.report.remarks import quality_of


def lines(case: Callable[..., Case], *qualities: Quality) -> list[str]:
    machine = {"machine": {"cpu": "made up", "logical_cores": 2}}
    plain = record(Measured(case(), machine, [exact("multiply_adds", 1)]))
    return quality_of([replace(plain, quality=quality) for quality in qualities])


def test_remarks_that_differ_in_figures_alone_are_one(case: Callable[..., Case]) -> None:
    drift = "the probe drifted by {} % within a process"
    found = lines(
        case,
        Quality("B", (drift.format("9.5"), "a load of 9 on 2 cores")),
        Quality("A", (drift.format("13.6"),)),
        Quality("A", (drift.format("7"), drift.format("7"))),
    )
    assert found == [
        "quality of 3 records: 2 x A, 1 x B",
        "        3 x the probe drifted by 7 to 13.6 % within a process",
        "        1 x a load of 9 on 2 cores",
    ]


def test_figures_in_names_are_names(case: Callable[..., Case]) -> None:
    found = lines(case, *(Quality("C", (f"resnet{n} in fp{n}",)) for n in (16, 32)))
    assert found[1:] == ["        1 x resnet16 in fp16", "        1 x resnet32 in fp32"]


def test_the_rarest_are_counted(case: Callable[..., Case]) -> None:
    found = lines(case, *(Quality(None, tuple("abcdefg"[:n])) for n in range(1, 8)))
    assert found[0] == "quality of 7 records: 7 x none"
    assert found[1] == "        7 x a"
    assert found[5:] == ["        3 x e", "        and 2 more in the records"]
