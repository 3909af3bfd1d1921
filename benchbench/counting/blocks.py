"""What a network repeats: its building blocks, found in the tree of its modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from benchbench.counting.dependencies import POOLS
from benchbench.counting.walk import Walk

FEWEST = 2  # operations of one module that is repeated within another: then the outer is a stage


class Block(NamedTuple):
    """A repeated unit and what one forward executes in it."""

    path: str
    kind: str  # its class
    convolutions: int
    pools: int  # of windows
    means: int  # over the whole map, as squeeze-excite's


def blocks(network: nn.Module, walk: Walk) -> list[Block]:
    """The building blocks, in the order of the module tree, where they execute a convolution.

    A block is an outermost module of a class of the network's own that occurs more than once, and
    not as a part of another such class (as a convolution with its norm does). A module that holds
    a sequence of blocks is a stage; torch's own containers are looked through.
    """
    executed = _executed(walk)
    repeated = _repeated(network, executed)
    parts = {
        type(inner)
        for module in network.modules()
        if type(module) in repeated
        for inner in module.modules()
        if inner is not module and type(inner) in repeated
    }
    whole = repeated - parts
    found = [(path, module) for path, module in _outermost(network, whole) if executed[path]]
    return [_block(path, type(module).__name__, walk) for path, module in found]


def _executed(walk: Walk) -> Counter[str]:
    """How many convolutions and pools each module executes, those within it included."""
    counts: Counter[str] = Counter()
    for op in walk.executed:
        if op.convolution is not None or op.operator in POOLS:
            names = op.layer.split(".") if op.layer else []
            counts.update(".".join(names[:length]) for length in range(len(names) + 1))
    return counts


def _repeated(network: nn.Module, executed: Counter[str]) -> set[type[nn.Module]]:
    """The classes that occur more than once, stages and torch's own left out."""
    modules = [
        module
        for path, module in network.named_modules()
        if not type(module).__module__.startswith("torch.")
        and not _is_stage(path, module, executed)
    ]
    counts = Counter(map(type, modules))
    return {kind for kind, count in counts.items() if count > 1}


def _is_stage(path: str, module: nn.Module, executed: Counter[str]) -> bool:
    """Whether it is, or holds, nothing but a row of modules of one class with several operations.

    A block may hold rows too, but of single convolutions, or of modules that are not alike.
    """
    rows = [(path, module), *((f"{path}.{name}", row) for name, row in module.named_children())]
    return any(_is_row(name.lstrip("."), row, executed) for name, row in rows)


def _is_row(path: str, module: nn.Module, executed: Counter[str]) -> bool:
    if not isinstance(module, nn.Sequential) or len(module) < 2:
        return False
    kinds = {type(child) for child in module}
    names = (f"{path}.{name}".lstrip(".") for name, _ in module.named_children())
    own = all(not kind.__module__.startswith("torch.") for kind in kinds)
    return own and len(kinds) == 1 and all(executed[name] >= FEWEST for name in names)


def _outermost(network: nn.Module, kinds: set[type[nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    taken: list[str] = []
    for path, module in network.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in taken)
        if type(module) in kinds and not inside:
            taken.append(path)
            yield path, module


def _block(path: str, kind: str, walk: Walk) -> Block:
    ops = [op for op in walk.executed if op.layer == path or op.layer.startswith(f"{path}.")]
    return Block(
        path,
        kind,
        convolutions=sum(op.convolution is not None for op in ops),
        pools=sum(op.operator in POOLS for op in ops),
        means=sum(op.operator == "mean" for op in ops),
    )
