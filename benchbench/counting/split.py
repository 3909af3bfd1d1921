"""What the paper's memory access of a convolution is made of, to the byte.

With a elements read, b written and w weights the ledger charges a + b + w. By the inequality of the
means a + b is at least 2 sqrt(ab), which n, B, k, s and g alone decide (images times positions,
multiply-adds, kernel, stride, groups):

    ab = (n_in c1) (n_out c2) = n_in B g / k,    w = B / n_out,    k = k_h k_w

So at equal multiply-adds a + b - 2 sqrt(ab) = (sqrt(a) - sqrt(b))^2 is what unequal widths cost
(guideline G1: none where a = b, which is c1 = c2 at stride 1), 2 sqrt(ab) (1 - 1 / sqrt(g)) what
grouping costs (G2), and the rest, 2 sqrt(ab / g) + w, is what no choice of c1, c2 and g avoids.
Source: ShuffleNetV2, arXiv:1807.11164, sections 2.1 and 2.2, for any kernel, stride and groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from benchbench.counting.walk import Executed, Walk


class Convolved(NamedTuple):
    """One executed convolution; sizes are (h, w), as many as the map has dimensions."""

    layer: str
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    batch: int
    element_size: int  # bytes
    multiply_adds: int
    transposed: bool = False

    @property
    def read(self) -> int:
        """Elements of the whole input, though it may be strided."""
        return self.batch * self.in_channels * prod(self.input_size)

    @property
    def written(self) -> int:
        """Elements of the output."""
        return self.batch * self.out_channels * prod(self.output_size)

    @property
    def weights(self) -> int:
        """Elements of the filters, without a bias."""
        return self.in_channels * self.out_channels * prod(self.kernel_size) // self.groups

    @property
    def depthwise(self) -> bool:
        """Whether every input channel is a group of its own."""
        return self.groups == self.in_channels > 1

    @property
    def scored(self) -> bool:
        """Whether there is a map: a convolution from one pixel to one is a linear layer."""
        return prod(self.input_size) > 1 or prod(self.output_size) > 1


class Terms(NamedTuple):
    """Bytes. They add up to `memory_access_paper`."""

    bound: int
    g1: int
    g2: int

    @property
    def total(self) -> int:
        """All of the memory access."""
        return sum(self)


def split(row: Convolved) -> Terms:
    """The three terms of one convolution, in whole bytes.

    Both square roots are rounded down to a byte, in whole numbers; the terms take the differences,
    so nothing is lost between them.
    """
    squared = 4 * row.read * row.written * row.element_size**2
    balanced, ungrouped = isqrt(squared), isqrt(squared // row.groups)
    return Terms(
        bound=ungrouped + row.weights * row.element_size,
        g1=(row.read + row.written) * row.element_size - balanced,
        g2=balanced - ungrouped,
    )


def added(terms: Iterable[Terms]) -> Terms:
    """Term by term."""
    return Terms(*map(sum, zip(*terms, strict=True))) if (terms := list(terms)) else Terms(0, 0, 0)


def convolution_rows(walk: Walk) -> list[list[Any]]:
    """Every executed convolution, in order, as JSON types; `from_row` reads one back."""
    return [
        [list(value) if isinstance(value, tuple) else value for value in _convolved(op)]
        for op in walk.executed
        if op.convolution is not None
    ]


def from_row(row: Sequence[Any]) -> Convolved:
    """A convolution from a record."""
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return Convolved(*values)


def with_element_size(row: Sequence[Any], size: int) -> list[Any]:
    """The row of the same convolution on elements of so many bytes."""
    changed = list(row)
    changed[Convolved._fields.index("element_size")] = size
    return changed


def _convolved(op: Executed) -> Convolved:
    conv = op.convolution
    assert conv is not None
    dimensions = conv.weight.dim() - 2
    return Convolved(
        layer=op.layer,
        in_channels=conv.input.shape[1],
        out_channels=op.result.shape[1],
        groups=conv.groups,
        kernel_size=tuple(conv.weight.shape[2:]),
        stride=_each(conv.stride, dimensions),
        padding=_each(conv.padding, dimensions),
        dilation=_each(conv.dilation, dimensions),
        input_size=tuple(conv.input.shape[2:]),
        output_size=tuple(op.result.shape[2:]),
        batch=conv.input.shape[0],
        element_size=op.result.element_size(),
        multiply_adds=op.multiply_adds,
        transposed=conv.transposed,
    )


def _each(values: Sequence[int], dimensions: int) -> tuple[int, ...]:
    """One number may stand for all dimensions."""
    return tuple(values) if len(values) == dimensions else tuple(values) * dimensions
