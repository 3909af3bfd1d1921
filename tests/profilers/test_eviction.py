"""How large the last-level cache is, as Linux writes it, and that more than it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchbench.cases import Case
from benchbench.profilers import eviction as module
from benchbench.profilers.eviction import evictor, last_level_cache


def test_the_largest_cache_counts(tmp_path: Path) -> None:
    for index, size in enumerate(("48K", "32K", "2048K", "480M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert last_level_cache(tmp_path) == 480 * 2**20


def test_where_nobody_says_it_is_a_usual_one(tmp_path: Path) -> None:
    assert last_level_cache(tmp_path) == 64 * 2**20


def test_twice_the_cache_is_written(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "last_level_cache", lambda: 1000)
    buffers: list[torch.Tensor] = []
    zeros = torch.zeros

    def seen(*args: object, **kwargs: object) -> torch.Tensor:
        buffers.append(zeros(*args, **kwargs))  # type: ignore[call-overload]
        return buffers[-1]

    monkeypatch.setattr(torch, "zeros", seen)
    evict, size = evictor(case())
    evict()
    assert size == 2000
    assert buffers[0].numel() == 2000
    assert bool((buffers[0] == 1).all())
