"""Tensors in whatever a network returns, and what the counts say of those that are hidden."""

from __future__ import annotations

import functools
from collections import ChainMap, OrderedDict, UserDict, UserList, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from conftest import Finished
from torch import Tensor, nn

from architectures.outputs import tensors_in
from benchbench.counting.ledgers import fused_bytes
from benchbench.counting.walk import walk
from benchbench.runtimes.formats import tensors_of

Cli = Callable[..., Finished]


@dataclass
class Plain:
    first: object
    second: object


@dataclass(slots=True)
class Slotted(Plain):
    third: object = None


class Slots:
    """As attrs writes them, with one that was never filled."""

    __slots__ = ("first", "second", "third")

    def __init__(self, first: object, second: object) -> None:
        self.first, self.second = first, second


Pair = namedtuple("Pair", ["first", "second"])


class ModelOutput(OrderedDict[str, object]):
    """As Hugging Face's: every item is an attribute as well."""

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)


class Boxes:
    """An object whose own code must not run: it would fail."""

    shared: ClassVar[Tensor] = torch.zeros(1)

    def __init__(self, *tensors: object) -> None:
        self._fields = {"tensors": list(tensors)}

    def __iter__(self) -> Iterator[Tensor]:
        raise AssertionError("called")

    def __getattr__(self, name: str) -> Tensor:
        raise AssertionError(name)

    @property
    def first(self) -> Tensor:
        raise AssertionError("called")


class Lying(dict[str, object]):
    def values(self) -> Any:
        raise AssertionError("called")


def _model_output(first: object, second: object) -> ModelOutput:
    found = ModelOutput()
    found["first"], found["second"] = first, second
    return found


FORMS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "tuple": lambda a, b: (a, b),
    "list in a dict": lambda a, b: {"out": [a, None, b], "name": "x"},
    "dataclass": Plain,
    "dataclass with slots": Slotted,
    "slots": Slots,
    "named tuple": Pair,
    "Hugging Face's": _model_output,
    "namespace": lambda a, b: SimpleNamespace(a=a, b=b),
    "object": Boxes,
    "dict that lies": lambda a, b: Lying(a=a, b=b),
    "UserDict": lambda a, b: UserDict(a=a, b=b),
    "UserList": lambda a, b: UserList([a, b]),
    "ChainMap": lambda a, b: ChainMap({"a": a}, {"b": b}),
    "deque": lambda a, b: deque([a, b]),
    "proxy": lambda a, b: MappingProxyType({"a": a, "b": b}),
    "keys": lambda a, b: {a: b},
    "partial": lambda a, b: functools.partial(print, a, b),
    "torch's own": lambda a, b: torch.return_types.max((a, b)),
    "nested": lambda a, b: Plain([Slots(Pair(a, 1), {"x": {"y": b}})], None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_tensor_is_found_once_and_in_order(form: str) -> None:
    first, second = torch.ones(2), torch.zeros(3)
    found = list(tensors_in(FORMS[form](first, second)))
    assert [id(tensor) for tensor in found] == [id(first), id(second)]


def test_sets_have_all_of_them() -> None:
    tensors = {torch.ones(1), torch.ones(2)}
    assert set(tensors_in(tensors)) == tensors
    assert set(tensors_in(frozenset(tensors))) == tensors


def test_what_is_returned_twice_is_there_twice() -> None:
    one = torch.ones(1)
    assert len(list(tensors_in((one, {"again": one})))) == 2


def test_modules_functions_and_text_are_no_outputs() -> None:
    holder = SimpleNamespace(network=nn.Linear(2, 2), f=print, torch=torch, kind=nn.Linear, s="x")
    assert list(tensors_in(holder)) == []
    assert list(tensors_in(x for x in [torch.ones(1)])) == []


def test_what_contains_itself_ends() -> None:
    one = torch.ones(1)
    loop: list[object] = [one]
    loop.append({"loop": loop})
    plain = Plain(one, None)
    plain.second = plain
    assert list(tensors_in(loop)) == list(tensors_in(plain)) == [one]
    doubled: list[object] = []
    for _ in range(100):  # 2^100 paths
        doubled = [doubled, doubled]
    assert list(tensors_in(doubled)) == []
    deep: object = one
    for _ in range(20_000):
        deep = (deep,)
    assert list(tensors_in(deep)) == [one]


def test_outputs_that_are_compared_are_fp32_in_any_object() -> None:
    (found,) = tensors_of(Plain(torch.ones(2, dtype=torch.float16), None))
    assert found.dtype == torch.float32


class Wraps(nn.Module):
    """One convolution, whose result comes in an object of a kind."""

    def __init__(self, form: str = "") -> None:
        super().__init__()
        self.conv, self.form = nn.Conv2d(3, 8, 3, padding=1), form

    def forward(self, x: Tensor) -> object:
        x = self.conv(x)
        if self.form == "generator":
            return (item for item in [x])
        return FORMS[self.form](x, x) if self.form else x


# fp32: 3 and 8 channels of 64 x 64, 8 x 3 x 3 x 3 weights and 8 biases
READ, WRITTEN = 4 * (3 * 64 * 64 + 8 * 27 + 8), 4 * 8 * 64 * 64


@pytest.mark.parametrize("form", ["", "dataclass", "object", "Hugging Face's", "slots", "keys"])
def test_the_last_result_is_written_whatever_holds_it(form: str) -> None:
    with torch.device("meta"):
        walked = walk(Wraps(form), torch.empty(1, 3, 64, 64))
    assert sum(fused_bytes(walked)) == READ + WRITTEN == 181_120


def test_what_an_output_hides_is_mentioned(cli: Cli) -> None:
    """A generator's tensors are nowhere to be seen before it runs."""
    common = ("model.resolution=64", "profiler=complexity", "output=json")
    done = cli(f"model._target_={__name__}.Wraps", "+model.form=generator", *common)
    assert done.document["metrics"]["memory_access_fused"]["value"] == READ
    assert done.document["quality"]["reasons"] == [
        "memory_access_fused leaves out the writing of results that no operator reads and no "
        "output is known to hold: 1 (convolution in conv)"
    ]
    plain = cli(f"model._target_={__name__}.Wraps", *common).document
    assert plain["quality"]["reasons"] == ["nothing but counts, which are exact"]
