"""JSON into dataclasses: values keep what they are, and what is wrong is named by its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchbench.structure import loads, structured


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...]
    note: str | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    inner: tuple[Inner, ...]
    known: Mapping[str, Any] = field(default_factory=dict)


GOOD = {"name": "a", "share": 1, "inner": [{"sizes": [1, 2]}]}


def test_lists_become_tuples_and_defaults_are_filled_in() -> None:
    assert structured(Outer, GOOD) == Outer("a", 1, (Inner((1, 2)),))
    assert structured(Outer, GOOD | {"known": {"a": [1, {}]}}).known == {"a": [1, {}]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], r"the document is \[\] and not an object"),
        ({"name": "a", "share": 1}, "inner is missing"),
        (GOOD | {"more": 1}, "'more' is an unknown key"),
        (GOOD | {"name": None}, "name is None and not a text"),
        (GOOD | {"share": True}, "share is True and not a number"),
        (GOOD | {"share": "1" * 999}, r"share is '1+\.\.\.1+' and not"),
        (GOOD | {"known": []}, "known is .* not an object"),
        (GOOD | {"inner": {}}, "inner is {} and not a list"),
        (
            GOOD | {"inner": [{"sizes": [1, 2.0]}]},
            r"inner\[0\]\.sizes\[1\] is 2\.0 and not",
        ),
        (GOOD | {"inner": [{"sizes": [], "note": 1}]}, "note is 1 and not a text or null"),
    ],
)
def test_what_is_wrong_is_named(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        structured(Outer, document)


def test_json_is_what_its_standard_says() -> None:
    assert loads('{"a": [1, 1.5, "é", "\\ud83d\\ude00"]}') == {"a": [1, 1.5, "é", "😀"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e400]", "1e400 is larger"),
        ("[" * 100_000, "nested too deeply"),
        ('"\udcff"', "not UTF-8"),  # how an invalid byte is read
        ('"\\uD800"', "not UTF-8"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loads(text)
