"""The graph that a runtime executes after its own optimisation, as far as it lets one read it.

Eager PyTorch has none. Of inductor's there is no honest reading: its C++ kernels do not tell what
they read, and its convolutions hold their weights packed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from benchbench.cases import Case

NO_GRAPH = ("eager", "cuda_graph")  # but the operators that are counted
READABLE = ("onnxruntime", "openvino")


class Unreadable(Exception):
    """What a runtime tells of its graph does not fit together."""


class Operand(NamedTuple):
    """A tensor that a node reads or writes, as it lies in memory."""

    name: str
    shape: tuple[int, ...]
    element_type: str  # as the runtime calls it
    bytes: int


class Node(NamedTuple):
    """One node that is executed in every call."""

    name: str
    operator: str
    pattern: str  # "Conv+Clip": what became of several nodes; "" where it is one as exported
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    kernel: str  # the implementation
    provider: str

    @property
    def memory_access(self) -> int:
        """Bytes of its distinct inputs, weights among them, and of its outputs: each once."""
        read = {operand.name: operand.bytes for operand in self.inputs}
        return sum(read.values()) + sum(operand.bytes for operand in self.outputs)


class Graph(NamedTuple):
    """Nodes in order of execution, and how many of each operator cost nothing."""

    nodes: tuple[Node, ...]
    left_out: Mapping[str, int]


class Timed(NamedTuple):
    """A node in one call, or in the mean of several, as the runtime's profile has it."""

    node: str
    operator: str
    kernel: str
    seconds: float


class Profiled(NamedTuple):
    """A case under its runtime's profiler."""

    call: Callable[[], object]
    finish: Callable[[], list[list[Timed]]]  # all calls but the first; one list where it has means


class Reader(Protocol):
    """A module of this package that reads a runtime's graph and profile."""

    def read(self, case: Case, folder: Path) -> Graph:
        """The graph of what was made of a case in a folder.

        Raises:
            Unreadable: what the runtime tells does not fit together.
        """

    def profiled(self, case: Case, folder: Path) -> AbstractContextManager[Profiled]:
        """The case, ready to be called.

        Raises:
            Unreadable: the runtime's profile does not say how long a node takes.
        """


def reader_of(case: Case) -> Reader:
    """The module that reads the graph of a case's runtime."""
    return cast("Reader", import_module(f"benchbench.runtimes.{case.runtime}_graph"))
