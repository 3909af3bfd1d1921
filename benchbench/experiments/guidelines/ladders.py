"""The networks that each guideline is tried on: ladders of rungs, at several scales.

- verdict: equal multiply-adds and, in fp32, whole vectors: nothing but the guideline differs;
- reproduction: the paper's own channels, of its GPU and of its ARM processor;
- extended: what the paper did not try.

The first rung of each ladder stands in it twice: what the copy shows is noise.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from math import isqrt, sqrt
from pathlib import Path
from typing import Any, NamedTuple

from benchbench.errors import UserError
from benchbench.experiments.guidelines.widths import chain

STACKS = "architectures.guideline_stacks"
LADDERS = ("verdict", "reproduction", "extended")
COLUMNS = ("gpu", "arm")
SIZE = 56  # pixels: Tables 1 to 3; Table 4 does not say
BLOCKS = 10
BASE, COPY = "base", "base again"  # axes of the first rung and of its copy
SERIES_FACTOR = {1: 1.0, 2: 1 / sqrt(2), 4: 0.5}


class Rung(NamedTuple):
    """One network of a ladder. Axes that start from the same base share it."""

    guideline: str
    ladder: str
    scale: str
    axis: str
    step: int
    label: str
    target: str
    arguments: Mapping[str, Any]
    input_channels: int
    setting: str = ""  # the row of the paper's table
    last: bool = False  # of its axis: what the verdict is about


class Unbuildable(NamedTuple):
    """A row of the paper that makes no network."""

    guideline: str
    scale: str
    label: str
    why: str


class Published(NamedTuple):
    guideline: str
    setting: str
    channels: str
    column: str
    scale: str
    value: str


@cache
def published() -> tuple[Published, ...]:
    """ShuffleNetV2, Tables 1 to 4: batches/s on a GTX 1080Ti, images/s on a Snapdragon 810."""
    with (Path(__file__).parent / "published.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Published(**row) for row in csv.DictReader(file))


def verdict_rungs(guideline: str, options: Mapping[str, Any]) -> list[Rung]:
    """The rungs of a guideline's verdict ladder, without copies."""
    return list(_VERDICT[guideline](options))


def extended_rungs(guideline: str, options: Mapping[str, Any]) -> list[Rung]:
    """Guideline 4 with other element-wise operations, and depthwise convolution beside dense."""
    return list(_EXTENDED[guideline](options)) if guideline in _EXTENDED else []


def with_copy(rungs: Sequence[Rung]) -> list[Rung]:
    """The same with the first rung once more."""
    base = next(rung for rung in rungs if rung.axis == BASE)
    return [*rungs, base._replace(axis=COPY, label=f"{base.label} again")]


def _g1(options: Mapping[str, Any]) -> Iterator[Rung]:
    widths = options["widths"]
    for scale in options["scales"]:
        for step, pair in enumerate(widths):
            c1, c2 = (scale * width for width in pair)
            yield _pair("verdict", f"x{scale}", step, c1, c2, last=step == len(widths) - 1)


def _pair(ladder: str, scale: str, step: int, c1: int, c2: int, **rest: Any) -> Rung:
    axis = "widths" if step else BASE
    return Rung(
        *("g1", ladder, scale, axis, step, f"({c1}, {c2})"),
        f"{STACKS}.UnequalWidths",
        {"c1": c1, "c2": c2},
        c1,
        **rest,
    )


def _g2(options: Mapping[str, Any]) -> Iterator[Rung]:
    groups = options["groups"]
    for base in options["channels"]:
        for step, count in enumerate(groups):
            if isqrt(count) ** 2 != count:
                raise UserError(f"guideline.g2.groups={count}: must be a square, such as 4 or 16")
            channels = base * isqrt(count)
            yield _grouped(
                "verdict",
                _scale(options, base),
                step,
                channels,
                count,
                last=step == len(groups) - 1,
            )


def _grouped(ladder: str, scale: str, step: int, channels: int, groups: int, **rest: Any) -> Rung:
    axis = "groups" if step else BASE
    return Rung(
        *("g2", ladder, scale, axis, step, f"g={groups}, c={channels}"),
        f"{STACKS}.GroupedConvolutions",
        {"channels": channels, "groups": groups},
        channels,
        **rest,
    )


def _g3(options: Mapping[str, Any]) -> Iterator[Rung]:
    for base in options["channels"]:
        scale = _scale(options, base)
        yield _fragments("verdict", scale, 0, 1, "series", [base] * (BLOCKS + 1))
        for arrangement in options["arrangements"]:
            for step, count in enumerate(options["fragments"][1:], start=1):
                widths = _widths(base, count, arrangement)
                last = count == options["fragments"][-1]
                yield _fragments("verdict", scale, step, count, arrangement, widths, last=last)


def _widths(base: int, fragments: int, arrangement: str) -> Sequence[int]:
    """Equal multiply-adds: in series more convolutions, in parallel more of them a block."""
    if arrangement == "parallel_concat":
        return [base] * (BLOCKS + 1)
    return chain(base, BLOCKS * (fragments if arrangement == "series" else 1), fragments)


def _fragments(
    ladder: str,
    scale: str,
    step: int,
    count: int,
    arrangement: str,
    widths: Sequence[int],
    **rest: Any,
) -> Rung:
    name = arrangement.replace("_", ", ")
    sizes = sorted(set(widths))
    shown = "/".join(map(str, sizes))
    return Rung(
        *("g3", ladder, scale, name if step else BASE, step),
        f"{count} in {name}, c={shown}" if step else f"1, c={shown}",
        f"{STACKS}.FragmentedBlocks",
        {"widths": list(widths), "fragments": count, "arrangement": arrangement},
        widths[0],
        **rest,
    )


G4_AXES = (("ReLU", "relu", False), ("shortcut", "none", True), ("ReLU and shortcut", "relu", True))


def _g4(options: Mapping[str, Any]) -> Iterator[Rung]:
    for channels in options["channels"]:
        scale = _scale(options, channels)
        yield _bottleneck("verdict", scale, BASE, channels, "none", shortcut=False)
        for axis, elementwise, shortcut in G4_AXES:
            yield _bottleneck(
                "verdict", scale, axis, channels, elementwise, shortcut=shortcut, last=True
            )


def _bottleneck(
    ladder: str,
    scale: str,
    axis: str,
    channels: int,
    elementwise: str,
    *,
    shortcut: bool,
    **rest: Any,
) -> Rung:
    what = "neither" if axis == BASE else axis
    return Rung(
        *("g4", ladder, scale, axis, 0 if axis == BASE else 1, f"{what}, c={channels}"),
        f"{STACKS}.Bottlenecks",
        {"channels": channels, "elementwise": elementwise, "shortcut": shortcut},
        channels,
        **rest,
    )


def _g4_extended(options: Mapping[str, Any]) -> Iterator[Rung]:
    for channels in options["channels"]:
        scale = _scale(options, channels)
        yield _bottleneck("extended", scale, BASE, channels, "none", shortcut=False)
        for elementwise in options["extended"]:
            name = elementwise.replace("_", " ")
            yield _bottleneck(
                "extended", scale, name, channels, elementwise, shortcut=False, last=True
            )


DENSE = ((48, 144), (96, 288), (192, 576))  # channels dense, and separable at about the same work


def _g2_extended(_: Mapping[str, Any]) -> Iterator[Rung]:
    """Dense 3x3 convolutions against depthwise separable ones: work differs by up to 7 %."""
    for number, (dense, separable) in enumerate(DENSE):
        scale = f"x{2**number}"
        yield Rung(
            *("g2", "extended", scale, BASE, 0, f"dense 3x3, c={dense}"),
            f"{STACKS}.DenseConvolutions",
            {"channels": dense},
            dense,
        )
        yield Rung(
            *("g2", "extended", scale, "depthwise separable", 1, f"separable, c={separable}"),
            f"{STACKS}.DepthwiseSeparable",
            {"channels": separable},
            separable,
            last=True,
        )


_VERDICT: dict[str, Callable[[Mapping[str, Any]], Iterator[Rung]]] = {
    "g1": _g1,
    "g2": _g2,
    "g3": _g3,
    "g4": _g4,
}
_EXTENDED: dict[str, Callable[[Mapping[str, Any]], Iterator[Rung]]] = {
    "g2": _g2_extended,
    "g4": _g4_extended,
}


def _scale(options: Mapping[str, Any], channels: int) -> str:
    """How many times the smallest channels these are."""
    return f"x{channels // min(options['channels'])}"


def reproduction_rungs(guideline: str, column: str) -> tuple[list[Rung], list[Unbuildable]]:
    """The paper's rows of one guideline and device, and those that cannot be built."""
    rungs, missing = [], []
    for row in published():
        if (row.guideline, row.column) != (guideline, column):
            continue
        scale = f"{row.scale} {column}"
        try:
            rungs.append(_REPRODUCED[guideline](row, scale)._replace(setting=row.setting))
        except ValueError as error:
            missing.append(Unbuildable(guideline, scale, row.setting, str(error)))
    return rungs, missing


# Overhead-bound: as the paper's figures themselves show.
OVERHEAD = (
    "Table 3, GPU: 4 in series take 1.33 ms at c=128 and 1.34 ms at c=256, with four times the "
    "work: bound by what a launch costs"
)


def paper_notes(guideline: str) -> list[str]:
    """Which of the paper's rows make no network, or measure another thing."""
    missing = [one for column in COLUMNS for one in reproduction_rungs(guideline, column)[1]]
    notes = [f"{one.scale} {one.label} cannot be built: {one.why}" for one in missing]
    return notes + ([OVERHEAD] if guideline == "g3" else [])


def _g1_paper(row: Published, scale: str) -> Rung:
    c1, c2 = map(int, row.channels.split("x"))
    step = ("1:1", "1:2", "1:6", "1:12").index(row.setting.rpartition("=")[2])
    return _pair("reproduction", scale, step, c1, c2, last=step == 3)


def _g2_paper(row: Published, scale: str) -> Rung:
    channels, groups = int(row.channels), int(row.setting.removeprefix("g="))
    if channels % groups:
        raise ValueError(f"{channels} channels cannot be divided into {groups} groups")
    step = (1, 2, 4, 8).index(groups)
    return _grouped("reproduction", scale, step, channels, groups, last=step == 3)


def _g3_paper(row: Published, scale: str) -> Rung:
    """Widths are printed for one fragment alone, how parallel ones are joined is not: by adding."""
    count, _, arrangement = row.setting.partition("-fragment")
    fragments, series = int(count), arrangement.removeprefix("-") in ("", "series")
    width = round(int(row.channels) * SERIES_FACTOR[fragments])
    convolutions = BLOCKS * (fragments if series else 1)
    step = (1, 2, 4).index(fragments)
    name = "series" if series else "parallel_add"
    widths = [width] * (convolutions + 1)
    return _fragments("reproduction", scale, step, fragments, name, widths, last=step == 2)


def _g4_paper(row: Published, scale: str) -> Rung:
    relu, shortcut = ("=yes" in part for part in row.setting.split(";"))
    elementwise = "relu" if relu else "none"
    axis = next(
        (name for name, kind, skip in G4_AXES if (kind, skip) == (elementwise, shortcut)), BASE
    )
    return _bottleneck(
        "reproduction",
        scale,
        axis,
        int(row.channels),
        elementwise,
        shortcut=shortcut,
        last=axis != BASE,
    )


_REPRODUCED: dict[str, Callable[[Published, str], Rung]] = {
    "g1": _g1_paper,
    "g2": _g2_paper,
    "g3": _g3_paper,
    "g4": _g4_paper,
}
