"""JSON back into dataclasses: what the file says is checked against the types of the fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from math import isfinite
from reprlib import repr as shortened
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

NAMES: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}


def loads(text: str) -> Any:
    """JSON as its standard has it: Unicode, finite numbers, nesting that can be followed.

    Raises:
        ValueError: the text is something else.
    """
    try:
        found = json.loads(text, parse_constant=_refused, parse_float=_finite)
        text.encode()
        if "\\ud" in text.lower():  # half a character may be written as an escape
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    found = float(number)
    if not isfinite(found):
        raise ValueError(f"{number} is larger than a number can be")
    return found


def structured(kind: type[T], document: object) -> T:
    """An instance of a dataclass from an object of JSON; lists become tuples.

    A field that has a default may be missing.

    Raises:
        ValueError: a field is missing or unknown, or its value has another type.
    """
    found: T = _instance(kind, document, "")
    return found


def _instance(kind: Any, document: object, where: str) -> Any:
    if not isinstance(document, Mapping):
        raise _mismatch(where, document, "an object")
    known, inside = _types(kind), f"{where}." if where else ""
    for key in document:
        if key not in known:
            raise ValueError(f"{inside}{shortened(key)} is an unknown key")
    for name in _required(kind):
        if name not in document:
            raise ValueError(f"{inside}{name} is missing")
    return kind(**{k: _value(known[k], v, f"{inside}{k}") for k, v in document.items()})


@cache
def _types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _required(kind: Any) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return _instance(hint, value, where)
    if get_origin(hint) is tuple:
        return tuple(_items(get_args(hint)[0], value, where))
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise _mismatch(where, value, "an object")
        inner = get_args(hint)[1]
        return {key: _value(inner, item, f"{where}.{key}") for key, item in value.items()}
    kinds = _plain(hint)
    if type(value) not in kinds and not (type(value) is int and float in kinds):
        raise _mismatch(where, value, " or ".join(NAMES[kind] for kind in kinds))
    return value


def _plain(hint: Any) -> tuple[Any, ...]:
    """The types that a field may have."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _items(hint: Any, value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise _mismatch(where, value, "a list")
    if set(map(type, value)) <= set(_plain(hint)):  # samples: there are many
        return value
    return [_value(hint, item, f"{where}[{number}]") for number, item in enumerate(value)]


def _mismatch(where: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{where or 'the document'} is {shortened(value)} and not {wanted}")
