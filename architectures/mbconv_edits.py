"""Edits of a network of MBConv blocks: each changes one property of its table.

Held by all of them: the input's size, the strides, the number of blocks, and the channels of
head and classifier. Whoever compares edits at equal multiply-adds scales the width of stem and
stages with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import lcm
from typing import NamedTuple

from architectures.mbconv_table import CHANNEL_ATTENTION, FUSED, SHUFFLE, Block, Table

LATE = 16  # input pixels per pixel of the map: a late stage's, as MBConv's in EfficientNetV2
DIFFERENT_BLOCK = "a layer less in every block: a different block"
NARROWER = "not accuracy-matched: a narrower network"
SERIAL = "eager PyTorch on a CPU runs the groups one after another"


class Edit(NamedTuple):
    apply: Callable[[Table], Table]
    text: str
    note: str = ""  # what a reader must know before comparing


def _each(table: Table, change: Callable[[Block], Block]) -> Table:
    """The change in every MBConv block; ShuffleNetV2's units have nothing to change."""
    return table.with_blocks(b if b.kind == SHUFFLE else change(b) for b in table.blocks)


def _in_stages(table: Table, change: Callable[[Block], Block], *, late: bool) -> Table:
    """The change in the late stages, or in the early ones."""
    chosen = ((stage.total_stride >= LATE) == late for stage in table.stages for _ in stage.blocks)
    changed = _each(table, change).blocks
    both = zip(table.blocks, changed, chosen, strict=True)
    return table.with_blocks(new if here else old for old, new, here in both)


def _no_attention(block: Block) -> Block:
    return block._replace(attention="")


def _no_se(table: Table) -> Table:
    return _each(table, _no_attention)


def _se_late(table: Table) -> Table:
    return _in_stages(table, _no_attention, late=False)


def _se_wide(table: Table) -> Table:
    has = any(block.attention for block in table.blocks)
    return table._replace(squeeze_of_expanded=has or table.squeeze_of_expanded)


def _eca(table: Table) -> Table:
    return _each(table, lambda b: b._replace(attention=CHANNEL_ATTENTION if b.attention else ""))


def _activation(table: Table, *, name: str) -> Table:
    """Everywhere, inside squeeze-excite as well."""
    changed = _each(table, lambda block: block._replace(activation=name))
    has = any(block.attention for block in table.blocks)
    inner = name if has else table.squeeze_activation
    return changed._replace(activation=name, squeeze_activation=inner)


def _expansion(table: Table, *, most: int) -> Table:
    """No block expands more than that; those that expand less stay as they are."""
    return _each(table, lambda b: b._replace(expanded=min(b.expanded, most * b.in_channels)))


def _grouped(table: Table, *, groups: int) -> Table:
    changed = _each(table, lambda block: block._replace(groups=groups))
    return changed._replace(divisor=lcm(table.divisor, groups))


def _dw5(table: Table, *, depthwise: str) -> Table:
    return _each(
        table, lambda b: b._replace(depthwise=depthwise, kernel_size=3) if b.kernel_size == 5 else b
    )


def _dw3(table: Table) -> Table:
    return _each(table, lambda block: block._replace(kernel_size=3))


def _no_residual(table: Table) -> Table:
    return _each(table, lambda block: block._replace(residual=False))


def _fused(table: Table, *, late: bool) -> Table:
    return _in_stages(table, lambda b: b._replace(kind=FUSED, kernel_size=3), late=late)


def _aligned(table: Table, *, divisor: int) -> Table:
    return table._replace(divisor=lcm(table.divisor, divisor))


def _patchify(table: Table) -> Table:
    return table._replace(stem_kernel_size=2)


def _lite(table: Table) -> Table:
    return _activation(_no_se(table), name="relu6")


def _shuffle_unit(table: Table) -> Table:
    return _each(table, lambda b: b._replace(kind=SHUFFLE, attention="", residual=False))


EDITS: dict[str, Edit] = {
    "no_se": Edit(_no_se, "no squeeze-excite"),
    "se_late": Edit(_se_late, "squeeze-excite in late stages only (maps of 1/16 and less)"),
    "se_wide": Edit(
        _se_wide, "squeeze-excite's hidden layer 1/4 of the expanded channels, as in MobileNetV3"
    ),
    "eca": Edit(_eca, "efficient channel attention for squeeze-excite (arXiv:1910.03151)"),
    "relu6": Edit(partial(_activation, name="relu6"), "ReLU6 everywhere"),
    "hard_swish": Edit(partial(_activation, name="hard_swish"), "hard-swish everywhere"),
    "expansion_4": Edit(partial(_expansion, most=4), "expansion at most 4"),
    "expansion_3": Edit(partial(_expansion, most=3), "expansion at most 3"),
    "expansion_2": Edit(partial(_expansion, most=2), "expansion at most 2"),
    "expansion_1": Edit(partial(_expansion, most=1), "no expansion", DIFFERENT_BLOCK),
    "grouped_2": Edit(partial(_grouped, groups=2), "pointwise convolutions in 2 groups", SERIAL),
    "grouped_4": Edit(partial(_grouped, groups=4), "pointwise convolutions in 4 groups", SERIAL),
    "dw5_as_3x3_series": Edit(
        partial(_dw5, depthwise="series"), "5x5 depthwise as two 3x3, one after the other"
    ),
    "dw5_as_3x3_parallel": Edit(
        partial(_dw5, depthwise="parallel"),
        "5x5 depthwise as two 3x3 beside each other, added",
        "sees 3x3 pixels where 5x5 were",
    ),
    "dw3": Edit(_dw3, "3x3 depthwise everywhere", "sees 3x3 pixels where 5x5 were"),
    "no_residual": Edit(_no_residual, "no shortcut"),
    "fused_early": Edit(
        partial(_fused, late=False),
        "Fused-MBConv, 3x3, in early stages (arXiv:2104.00298)",
        NARROWER,
    ),
    "fused_late": Edit(
        partial(_fused, late=True), "Fused-MBConv, 3x3, in late stages (arXiv:2104.00298)", NARROWER
    ),
    "aligned_16": Edit(partial(_aligned, divisor=16), "channels in multiples of 16"),
    "patchify": Edit(_patchify, "stem of 2x2 patches that do not overlap"),
    "lite": Edit(_lite, "EfficientNet-Lite's: no squeeze-excite, ReLU6"),
    "shuffle_unit": Edit(_shuffle_unit, "ShuffleNetV2's units (arXiv:1807.11164)", "other blocks"),
}


def edited(table: Table, edits: Iterable[str]) -> Table:
    """The table with these edits, one after the other.

    Raises:
        ValueError: there is no such edit, or it changes nothing in this table; the message names
            those that do.
    """
    for name in edits:
        changed = EDITS[name].apply(table) if name in EDITS else table
        if changed == table:
            why = "changes nothing here" if name in EDITS else "is no edit"
            raise ValueError(f"edits: {name} {why}: allowed are {', '.join(applicable(table))}")
        table = changed
    return table


def applicable(table: Table) -> list[str]:
    """The edits that change this table."""
    return [name for name, edit in EDITS.items() if edit.apply(table) != table]
