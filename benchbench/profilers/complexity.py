"""Counts without a clock: parameters, multiply-adds, launches, memory access."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchbench.cases import Case
from benchbench.counting.cost import Cost, cost, with_elements_of
from benchbench.counting.padding import vector_block
from benchbench.counting.walk import walk
from benchbench.environment import cpu_flags
from benchbench.errors import UserError, described, first_line, is_out_of_memory
from benchbench.networks import build, total_stride
from benchbench.runtimes.formats import dtype, memory_format, place


def complexity(case: Case) -> Cost:
    """Walk the case on the `meta` device, where tensors have shapes and no memory.

    Raises:
        UserError: the network does not accept the case's input, or executes an operator
            that has no formula.
    """
    with _without_garbage_collection():
        network = build(case, "meta")
        check_resolution(case, total_stride(network))
        network = place(network, case)
        try:
            images = torch.empty(
                case.input_shape,
                dtype=dtype(case),
                device="meta",
                memory_format=memory_format(case),
            )
            block = vector_block(case.device, case.precision, cpu_flags())
            found = cost(network, walk(network, images), block)
            if case.precision != "int8":
                return found
            return with_elements_of(1, dtype(case).itemsize, found)
        except Exception as error:
            if isinstance(error, UserError) or is_out_of_memory(error):
                raise
            plain = isinstance(error, (RuntimeError, ValueError))
            raise UserError(
                f"model={case.name} does not accept an input of {list(case.input_shape)}: "
                f"{first_line(error) if plain else described(error)}"
            ) from error


def check_resolution(case: Case, stride: int) -> None:
    """Refuse an input smaller than one pixel of the last map.

    Raises:
        UserError: many networks would run all the same, on padding alone.
    """
    if case.resolution < stride:
        raise UserError(
            f"resolution={case.resolution}: {case.name} divides its input by {stride}, "
            f"so allowed are {stride} and more"
        )


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collecting in the middle of thousands of small allocations doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
