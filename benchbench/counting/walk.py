"""One walk over the operators a network executes, without data and without a clock.

The network runs on the `meta` device, where tensors have shapes and no memory. Cost: linear
in the number of executed operators, about 40 us each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from architectures.outputs import tensors_in
from benchbench.counting.formulas import Convolution, Formula, Role, formula
from benchbench.errors import UserError


class Executed(NamedTuple):
    """One executed operator that moves data. Tensors are kept, so their storages stay distinct."""

    operator: str  # "convolution", "silu_"
    layer: str  # dotted path of the innermost module, "" for the network itself
    role: Role
    operands: tuple[Tensor, ...]
    result: Tensor
    multiply_adds: int
    convolution: Convolution | None


class Walk(NamedTuple):
    """What a forward executed, in order; `dispatched` counts views and `empty` too."""

    executed: tuple[Executed, ...]
    outputs: tuple[Tensor, ...]
    dispatched: int


class UnknownOperator(UserError):
    """An operator the table of formulas does not have."""


def walk(network: nn.Module, *inputs: Tensor) -> Walk:
    """Run `network` on `inputs`, all on the `meta` device, and list what it executes.

    Raises:
        UnknownOperator: an executed operator has no formula; the message names it.
    """
    recorder = _Recorder()
    # `inference_mode` would hide conv2d and batch_norm undecomposed.
    with layer_names(network, recorder.enter), torch.no_grad(), recorder:
        outputs = network(*inputs)
    return Walk(tuple(recorder.executed), tuple(tensors_in(outputs)), recorder.dispatched)


class _Recorder(TorchDispatchMode):
    """Notes each operator and answers it from its formula."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.executed: list[Executed] = []
        self.dispatched = 0
        self.layer = ""
        self.formulas: dict[torch._ops.OpOverload, Formula] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # The default wraps the method below so that its first call imports torch._dynamo and
        # sympy: 1.8 s. Nothing is compiled here.
        return False

    def enter(self, layer: str) -> None:
        self.layer = layer

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.dispatched += 1
        found = self.formulas.get(func) or self._look_up(func)
        kwargs = kwargs or {}
        answer = found.output(*args, **kwargs) if found.output else None
        if answer is None:
            answer = func(*args, **kwargs)
        if found.role is not Role.FREE:
            self._note(func, found, args, answer)
        return answer

    def _look_up(self, func: torch._ops.OpOverload) -> Formula:
        found = formula(func)
        if found is None:
            raise UnknownOperator(
                f"no formula for the operator {func._schema.name} in layer {self.layer!r}; "
                "benchbench/counting/formulas.py holds the known ones"
            )
        self.formulas[func] = found
        return found

    def _note(
        self, func: torch._ops.OpOverload, found: Formula, args: tuple[Any, ...], answer: Any
    ) -> None:
        name = func._schema.name.removeprefix("aten::")
        # Of several results only the first counts: the others are saved statistics and indices.
        result = answer if isinstance(answer, Tensor) else answer[0]
        self.executed.append(
            Executed(
                operator=name,
                layer=self.layer,
                role=found.role,
                operands=tuple(tensors_in(args)),
                result=result,
                multiply_adds=found.multiply_adds(args, result) if found.multiply_adds else 0,
                convolution=Convolution(*args) if name == "convolution" else None,
            )
        )


@contextmanager
def layer_names(network: nn.Module, enter: Callable[[str], None]) -> Iterator[None]:
    """Call `enter` with the path of the module whose code runs from here on.

    That is at the start of every module's forward, and at its end with the path of its caller.
    A module that is not part of `network` keeps its caller's path.
    """
    paths = {module: path for path, module in network.named_modules()}
    stack = [""]

    def before(module: nn.Module, _: Any) -> None:
        stack.append(paths.get(module, stack[-1]))
        enter(stack[-1])

    def after(module: nn.Module, _: Any, __: Any) -> None:
        stack.pop()
        enter(stack[-1])

    handles = [register_module_forward_pre_hook(before), register_module_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
