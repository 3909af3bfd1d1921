"""Which executed operator waits for which: the graph in which work may run side by side."""

from __future__ import annotations

from benchbench.counting.ledgers import storage
from benchbench.counting.walk import Executed, Walk

# One of these, or a convolution, is what the ShuffleNetV2 paper calls an operation of a block.
POOLS = (*("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"),)


def predecessors(walk: Walk) -> list[list[int]]:
    """Of every executed operator the indices of those whose results it reads.

    A view shares its tensor's storage, so who reads it waits for whoever wrote that last; an
    operator in place writes it anew. That somebody still reads the old value is no dependence: a
    runtime gives the new one a place of its own.
    """
    writers: dict[int, int] = {}
    found = []
    for index, op in enumerate(walk.executed):
        read = {writers.get(storage(operand)) for operand in op.operands}
        found.append(sorted(writer for writer in read if writer is not None))
        writers[storage(op.result)] = index
    return found


def unread(walk: Walk) -> list[Executed]:
    """The operators whose result no other one reads and no output is known to hold.

    The network computes it in vain, or returns it in an object that hides its tensors.
    """
    writers: dict[int, int] = {}
    read: set[int | None] = set()
    for index, op in enumerate(walk.executed):
        read |= {writers.get(storage(operand)) for operand in op.operands}
        writers[storage(op.result)] = index
    read |= {writers.get(storage(output)) for output in walk.outputs}
    return [op for index, op in enumerate(walk.executed) if index not in read]


def operator_rows(walk: Walk, fused: list[int]) -> list[list[object]]:
    """Of every executed operator: name, whether it starts an ideally fused kernel, whom it waits
    for.

    Kernels are those of `memory_access_fused`, in the same order.
    """
    return [
        [op.operator, int(bool(op.multiply_adds or moved)), waits]
        for op, moved, waits in zip(walk.executed, fused, predecessors(walk), strict=True)
    ]
