"""The tensors in whatever a network returns: lists and dicts, dataclasses, objects of any class.

Only what an object holds is looked at. None of its own code runs: no property, no iterator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from types import FunctionType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any

from torch import Tensor, nn

MOST_OBJECTS = 100_000  # that are looked at in one output

# They hold no result of a forward, or much more than that.
_OPAQUE = (
    *(str, bytes, bytearray, int, float, complex, type(None)),
    *(type, ModuleType, FunctionType, nn.Module),
)
_SEQUENCES = (tuple, list, deque, set, frozenset)


def tensors_in(output: object) -> Iterator[Tensor]:
    """Every tensor in what a network returns, in order; one that is there twice comes twice.

    A container that contains itself is entered once, and after 100,000 objects the search ends.
    Tensors that only a generator or an object of an extension module knows are not found.
    """
    inside: set[int] = set()  # the containers around the present object
    waiting: list[Iterator[object]] = [iter((output,))]
    entered: list[object] = [output]  # kept, so that their ids stay unique
    for _ in range(MOST_OBJECTS):
        item = next(waiting[-1], waiting)
        if item is waiting:  # the innermost container has no more
            waiting.pop()
            inside.discard(id(entered.pop()))
            if not waiting:
                return
        elif isinstance(item, Tensor):
            yield item
        elif not isinstance(item, _OPAQUE) and id(item) not in inside:
            inside.add(id(item))
            entered.append(item)
            waiting.append(iter(_contents(item)))


def _contents(value: object) -> list[object]:
    """What an object holds directly: its items, then the attributes that are not among them."""
    items = list(_items(value))
    if type(value) in (*_SEQUENCES, dict):
        return items
    known = set(map(id, items))
    return items + [held for held in _attributes(value) if id(held) not in known]


def _items(value: Any) -> Iterable[object]:
    """The items of a built-in container, or of a class derived from one, as the base has them."""
    if isinstance(value, dict):
        return (*dict.keys(value), *dict.values(value))
    if isinstance(value, MappingProxyType):
        return tuple(value.values())
    base = next((base for base in _SEQUENCES if isinstance(value, base)), None)
    return () if base is None else base.__iter__(value)


def _attributes(value: object) -> Iterator[object]:
    """What stands in an object's slots and in its `__dict__`."""
    for owner in type(value).__mro__:
        for name, descriptor in vars(owner).items():
            if isinstance(descriptor, MemberDescriptorType) and name != "__dict__":
                try:
                    yield descriptor.__get__(value, type(value))
                except AttributeError:  # a slot that was never filled
                    continue
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    if isinstance(own, dict):
        yield from dict.values(own)
