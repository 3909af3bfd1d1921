"""Three ledgers of memory access, in bytes, over the operators of one walk.

- paper: ShuffleNetV2's formula (arXiv:1807.11164, section 2), convolutions alone;
- ops: every executed operator reads its operands and writes its result;
- fused: ideal fusion, a lower bound of what a compiler could reach.

None of them knows a cache. ops >= fused >= parameters + input + output holds for a network
that uses all its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor

from benchbench.counting.formulas import Role
from benchbench.counting.walk import Executed, Walk


def paper_bytes(op: Executed) -> int:
    """N (c1 h_in w_in + c2 h_out w_out) + k_h k_w c1 c2 / g elements of a convolution.

    The paper's hw(c1 + c2) + c1 c2 / g for any kernel and stride; the whole input even when
    strided; no bias, no padding.
    """
    if op.convolution is None:
        return 0
    conv = op.convolution
    elements = conv.input.numel() + conv.weight.numel() + op.result.numel()
    return elements * op.result.element_size()


def executed_bytes(op: Executed) -> int:
    """Each operand's own elements once and the result once; an in-place operator does both."""
    operands = {id(operand): operand for operand in op.operands}.values()
    return sum(stored_bytes(operand) for operand in operands) + stored_bytes(op.result)


def fused_bytes(walk: Walk) -> list[int]:
    """Bytes of the ideally fused kernels, each at the operator that starts it, else 0.

    An element-wise operator joins the kernel of its latest-produced operand when that has as
    many elements as the result, else starts its own. A kernel reads each external tensor once
    and writes only what another kernel or the caller reads. The rule looks at one operator
    at a time, so a kernel may come to read what another one made of its own result.
    """
    accounts = [0] * len(walk.executed)
    values = _Values(accounts)
    for index, op in enumerate(walk.executed):
        kernel = values.kernel_to_join(op) if op.role is Role.JOINS else None
        kernel = index if kernel is None else kernel
        for operand in op.operands:
            values.read(operand, kernel)
        values.produce(op.result, kernel, order=index)
    for output in walk.outputs:
        values.read(output, kernel=None)
    return accounts


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of the distinct elements."""
    return stored_elements(tensor) * tensor.element_size()


def stored_elements(tensor: Tensor) -> int:
    """Distinct elements: an expanded dimension (stride 0) is stored once."""
    if 0 not in tensor.stride():
        return tensor.numel()
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(size for size, stride in sizes if stride != 0)


class _Value(NamedTuple):
    """What a storage holds since an operator wrote it; written anew, it is another value."""

    kernel: int
    order: int
    size: int  # bytes


class _Values:
    """Who produced what, who has read it: kernels are named by their first operator's index."""

    def __init__(self, accounts: list[int]) -> None:
        self.accounts = accounts
        self.current: dict[int, _Value] = {}
        self.reads: set[tuple[object, ...]] = set()
        self.written: set[int] = set()

    def kernel_to_join(self, op: Executed) -> int | None:
        produced = [(self.current.get(storage(x)), x) for x in op.operands]
        known = [(value, x) for value, x in produced if value is not None]
        if not known:
            return None
        latest, operand = max(known, key=lambda pair: pair[0].order)
        return latest.kernel if stored_elements(operand) == op.result.numel() else None

    def read(self, tensor: Tensor, kernel: int | None) -> None:
        """Charge a read of `tensor` to `kernel` (None: the caller, free), and its writing."""
        value = self.current.get(storage(tensor))
        if value is not None and value.kernel == kernel:
            return
        if value is not None and value.order not in self.written:
            self.written.add(value.order)
            self.accounts[value.kernel] += value.size
        order = None if value is None else value.order
        key = (kernel, storage(tensor), order, *_place(tensor))
        if kernel is not None and key not in self.reads:
            self.reads.add(key)
            self.accounts[kernel] += stored_bytes(tensor)

    def produce(self, tensor: Tensor, kernel: int, *, order: int) -> None:
        size, before = stored_bytes(tensor), self.current.get(storage(tensor))
        if before is not None and before.kernel == kernel:
            size = max(size, before.size)  # written in place in part: the rest leaves as well
        self.current[storage(tensor)] = _Value(kernel, order, size)


def storage(tensor: Tensor) -> int:
    """What tells a tensor's memory from others': views share their tensor's."""
    # `data_ptr` is 0 on the meta device. The walk keeps the tensors, so this stays unique.
    return int(tensor.untyped_storage()._cdata)


def _place(tensor: Tensor) -> tuple[int, Sequence[int], Sequence[int]]:
    return int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride())
