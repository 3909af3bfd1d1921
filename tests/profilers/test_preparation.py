"""What is told of a preparation: steps, memory, difference; and that it is alive meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.profilers import preparation as module


def test_a_silent_library_gives_signs_of_life(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[float] = []

    def beat(fraction: float) -> bool:
        told.append(fraction)
        return True

    def make(_: Case, __: Path, begin: Callable[[], None]) -> Mapping[str, float]:
        begin()
        while len(told) < 3:  # for ever, if nobody told
            time.sleep(0.001)
        return {"export": 2.0, "quantise": 3.0}

    monkeypatch.setattr(module, "SECONDS_BETWEEN_SIGNS", 0.001)
    monkeypatch.setattr(module, "make", make)
    monkeypatch.setattr(module, "check_equality", lambda *_: 0.25)
    monkeypatch.setattr(module, "check_copy", lambda *_: None)
    found = {
        item.metric: item
        for item in module.preparation(case(prepared=str(tmp_path)), BudgetSettings(), beat)
    }
    assert found["preparation_time"].value == 5.0
    assert found["preparation_time"].details["steps"] == {"export": 2.0, "quantise": 3.0}
    assert found["runtime_difference"].value == 0.25
    assert found["preparation_memory"].value is not None


def test_told_to_stop_it_ends(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A library that would go on for a minute."""

    def make(*_: object) -> Mapping[str, float]:
        for _number in range(6000):
            time.sleep(0.01)
        return {}

    monkeypatch.setattr(module, "SECONDS_BETWEEN_SIGNS", 0.001)
    monkeypatch.setattr(module, "make", make)
    with pytest.raises(KeyboardInterrupt):
        list(module.preparation(case(prepared=str(tmp_path)), BudgetSettings(), lambda _: False))
