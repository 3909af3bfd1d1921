"""A GPU whose graphs read memory by its address: what was freed meanwhile is poisoned."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from fake_gpu import FakeGpu
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from benchbench.cases import Case
from benchbench.runtimes.cuda import CAPTURE_WARM_UP_CALLS, Cuda


class Address(NamedTuple):
    """A tensor from outside the graph, which the graph does not keep alive."""

    tensor: weakref.ref[Tensor]
    shape: torch.Size
    dtype: torch.dtype


class Kernel(NamedTuple):
    """An operator as it was captured; what a graph itself allocates belongs to the graph."""

    operator: Callable[..., object]
    arguments: Sequence[Any]
    options: Mapping[str, Any]
    written: list[Tensor]


@dataclass
class PoisonedGpu:
    """Captures what a call executes on the CPU, and replays it on the same memory.

    A replay that reads freed memory gets NaN, or ends as a driver ends it, by `faults`.
    """

    faults: bool = False
    kernels: list[Kernel] = field(default_factory=list)  # of the newest graph

    def cuda(self, _: Case | None = None) -> Cuda:
        """What benchbench sees of it."""
        return FakeGpu(()).cuda()._replace(capture=self.capture)

    def capture(self, call: Callable[[], object]) -> Callable[[], None]:
        for _ in range(CAPTURE_WARM_UP_CALLS):
            call()
        recorder = _Recorder()
        with recorder:
            call()
        kernels = self.kernels = recorder.kernels

        def launch() -> None:
            self.kernels = kernels
            with torch.inference_mode():
                for kernel in kernels:
                    self._execute(kernel)

        return launch

    def answer(self) -> Tensor:
        """What the last kernel of the last launch wrote."""
        return self.kernels[-1].written[-1].clone()

    def _execute(self, kernel: Kernel) -> None:
        arguments, options = tree_map(
            self._read, (kernel.arguments, kernel.options), is_leaf=_is_address
        )
        results = _tensors(kernel.operator(*arguments, **options))
        for memory, result in zip(kernel.written, results, strict=True):
            if memory.data_ptr() != result.data_ptr():
                memory.copy_(result)

    def _read(self, value: object) -> object:
        if not isinstance(value, Address):
            return value
        tensor = value.tensor()
        if tensor is None and self.faults:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return torch.full(value.shape, torch.nan, dtype=value.dtype) if tensor is None else tensor


class _Recorder(TorchDispatchMode):  # type: ignore[misc]
    """Notes every operator, with the tensors of others by address alone."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[Kernel] = []
        self.own: set[int] = set()  # tensors of the graph, which `kernels` keep alive

    def __torch_dispatch__(
        self,
        operator: Callable[..., object],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> object:
        given = (arguments, options or {})
        outside = {id(leaf) for leaf in _tensors(given)} - self.own
        noted, named = tree_map(self._note, given)
        result = operator(*arguments, **(options or {}))
        written = [tensor for tensor in _tensors(result) if id(tensor) not in outside]
        self.own |= {id(tensor) for tensor in written}
        self.kernels.append(Kernel(operator, noted, named, written))
        return result

    def _note(self, value: object) -> object:
        if not isinstance(value, Tensor) or id(value) in self.own:
            return value
        return Address(weakref.ref(value), value.shape, value.dtype)


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _is_address(value: object) -> bool:
    return isinstance(value, Address)
