"""The sign of life a profiler gives between two calls, never inside a timed one."""

from __future__ import annotations

from collections.abc import Callable

# Called with the fraction done, 0 to 1. False: stop now, and yield what there is.
Beat = Callable[[float], bool]
