"""Pickles looked through before they are loaded: how much there is to do, and how deep it nests.

Nothing is executed here. Loading with `weights_only` executes nothing either, but it takes as long
as the file asks for.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import BinaryIO

# EfficientNet-B7 with its optimiser and averages has 100,000. One takes 4 us to check and to load.
MOST_OPERATIONS = 2_000_000
DEEPEST = 500  # hashing a tuple in a tuple needs the stack of the processor
MARK = -1
WITHOUT_DATA = "_rebuild_meta_tensor_no_storage"
Step = tuple[str, object, int]  # of a pickle: its name, its argument, how deep its result nests


def check_pickle(file: BinaryIO, count: int = 1) -> None:
    """Look through `count` pickles that follow each other, or as many as there are.

    Raises:
        ValueError: it is no pickle, has too many operations or nests too deep, or its tensors
            have no data.
    """
    operations = 0
    for _ in range(count):
        if not _is_at_end(file):
            operations = _check_one(file, operations)


def _check_one(file: BinaryIO, operations: int) -> int:
    """Look through one pickle; how many operations there are now."""
    steps = _depths(file)
    while (step := _next(steps)) is not None:
        name, argument, depth = step
        operations += 1
        if operations > MOST_OPERATIONS:
            raise ValueError(f"it has more than {MOST_OPERATIONS:,} objects and steps")
        if depth > DEEPEST:
            raise ValueError(f"its objects are nested more than {DEEPEST} deep")
        if name == "GLOBAL" and str(argument).endswith(WITHOUT_DATA):
            raise ValueError("its tensors are on the meta device and have no data")
    return operations


def _is_at_end(file: BinaryIO) -> bool:
    here = file.tell()
    ended = not file.read(1)
    file.seek(here)
    return ended


def _next(steps: Iterator[Step]) -> Step | None:
    """The next operation; None at the end.

    Raises:
        ValueError: there is no pickle, or it ends in the middle.
    """
    try:
        return next(steps, None)
    except (ValueError, ArithmeticError) as error:  # text that is no number, lengths beyond all
        raise ValueError("it is in no format of torch or safetensors") from error


def _depths(file: BinaryIO) -> Iterator[Step]:
    """Each operation of a pickle."""
    stack: list[int] = []
    memo: dict[object, int] = {}
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        depth = 0
        if name == "MARK":
            depth = MARK
        elif name in _GETS:
            depth = memo.get(argument, 0)
        elif name in _PUTS:
            memo[len(memo) if argument is None else argument] = stack[-1] if stack else 0
        elif opcode.stack_before:
            taken = _taken(stack, opcode)
            depth = max(taken, default=0) + 1
            if name in _FILLS and taken:  # what it fills is taken last, and is its result
                depth = max(taken[-1], max(taken[:-1], default=0) + 1)
        if name not in _PUTS and opcode.stack_after:
            stack.extend([depth] * len(opcode.stack_after))
        yield name, argument, depth


_GETS = ("GET", "BINGET", "LONG_BINGET")
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")

_FILLS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")


def _taken(stack: list[int], opcode: pickletools.OpcodeInfo) -> list[int]:
    """The depths of what an operation takes from the stack, which it leaves shorter."""
    plain = [item for item in opcode.stack_before if item not in _TO_MARK]
    taken: list[int] = []
    if len(plain) < len(opcode.stack_before):  # all down to the last mark
        while stack and (depth := stack.pop()) != MARK:
            taken.append(depth)
    for _ in plain:
        taken.append(stack.pop() if stack else 0)
    return taken


_TO_MARK = (pickletools.markobject, pickletools.stackslice)
