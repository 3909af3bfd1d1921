"""Keeping what libraries say of themselves away from the user's stderr."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stderr_to(descriptor: int) -> Iterator[Callable[[], None]]:
    """Send this process's stderr elsewhere until the function that this gives is called."""
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(descriptor, 2)

    def restore() -> None:
        os.dup2(before, 2)

    try:
        yield restore
    finally:
        restore()
        os.close(before)


@contextmanager
def silence() -> Iterator[None]:
    """No warnings of Python's, and nothing that a library in C++ writes to stderr.

    For calls of a library's own alone: what a network has to say is the user's to read. An error
    is raised all the same.
    """
    with (
        warnings.catch_warnings(action="ignore"),
        Path(os.devnull).open("w") as nowhere,
        stderr_to(nowhere.fileno()),
    ):
        yield
