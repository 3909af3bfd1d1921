"""Errors that are for people: one line, the offending value, the allowed ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_LINE = 300  # characters of what an exception says


class UserError(Exception):
    """Something the user can mend. The message is one line; the exit code is 2."""


class NoEvidence(UserError):
    """There was nothing to measure or to judge. The exit code is 3."""


def unknown(what: str, name: str, allowed: Iterable[str], see: str = "--help") -> UserError:
    """`name` is none of `allowed`: close matches, or all of them when they are few.

    `see` shows them when they are many.
    """
    options = sorted(allowed)
    close = get_close_matches(name, options, n=3, cutoff=0.6)
    hint = f"; close: {', '.join(close)}" if close else ""
    rest = f"; {see} shows all {len(options)}" if len(options) > 16 else ""
    allowed_ones = "" if rest else f"; allowed: {', '.join(options)}"
    return UserError(f"unknown {what} {name!r}{hint}{allowed_ones}{rest}")


def printable(text: str) -> str:
    """A text that neither moves the cursor of a terminal nor fails to be encoded."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def first_line(error: BaseException) -> str:
    """What an exception says, in one line of bounded length; its name where it says nothing."""
    first, *more = (_text(error).strip() or kind(error)).splitlines()
    line = f"{first} {more[0].strip()}" if more and first.endswith(":") else first
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} (shortened)"


def described(error: BaseException) -> str:
    """An exception's class and what it says: "ValueError: no such key"; the class once."""
    name, line = kind(error), first_line(error)
    return name if line == name else f"{name}: {line}"


def kind(error: BaseException) -> str:
    """The name of an exception's class, asked past a metaclass that answers otherwise."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name[:LONGEST_LINE]


def _text(error: BaseException) -> str:
    """An exception's text. One of a network's own may raise when asked, or answer anything."""
    try:
        return str.__str__(str(error))
    except BaseException:  # noqa: BLE001 - whatever it raises, it has no text
        return "its text cannot be read"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused: Python's, PyTorch's (a bare RuntimeError), CUDA's."""
    phrases = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(phrase in _text(error) for phrase in phrases)
