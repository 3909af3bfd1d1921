"""Ladders with slowdowns that are planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from planted import Plant, Slowdown, planted_records

from benchbench.cases import Case
from benchbench.experiments.guidelines.ladders import Rung
from benchbench.records import Record


@pytest.fixture
def plant(case: Callable[..., Case]) -> Plant:
    def make(rungs: list[Rung], slowdown: Slowdown, **changes: Any) -> list[Record]:
        return list(planted_records(case, rungs, slowdown, **changes))

    return make
