"""Errors that are for people: one line, the offending value, the allowed ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend. The message is one line; the exit code is 2."""


def unknown(what: str, name: str, allowed: Iterable[str]) -> UserError:
    """`name` is none of `allowed`: close matches first, all of them when there are few."""
    options = sorted(allowed)
    close = get_close_matches(name, options, n=5, cutoff=0.5)
    hint = f"; close: {', '.join(close)}" if close else ""
    if len(options) <= 12:
        return UserError(f"unknown {what} {name!r}{hint}; allowed: {', '.join(options)}")
    return UserError(f"unknown {what} {name!r}{hint}; task=list shows all {len(options)}")
