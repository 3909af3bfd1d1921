"""torch's profiler says much on stderr, and not the same in every version: none of it is heard."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch.profiler
from torch import nn

from benchbench.cases import Case
from benchbench.profilers.torch_trace import trace
from benchbench.runtimes.running import Running

# A warning of torch.profiler, as version 2.13 words it.
CYCLES = (
    "Warning: Profiler clears events at the end of each cycle. Only events from the current cycle "
    "will be reported. To keep events across cycles, set acc_events=True."
)


class Chatty(torch.profiler.profile):
    """Warns of itself, and writes as a library in C++ does, whenever it is made, used or read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        say()
        super().__init__(*arguments, **options)

    def __enter__(self) -> Any:
        say()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        say()
        super().__exit__(*error)

    def events(self) -> Any:
        say()
        return super().events()


def say() -> None:
    warnings.warn(CYCLES, UserWarning, stacklevel=2)
    warnings.warn("soon to go", FutureWarning, stacklevel=2)
    os.write(2, b"WARNING:2026-11-26 10:28:56 1:1 init.cpp:183] CUPTI initialization failed\n")


def test_the_profiler_is_silent_and_the_network_is_heard(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.profiler, "profile", Chatty)
    layer, images = nn.Linear(4, 4), torch.ones(1, 4)

    def call() -> object:
        print("a word of the network's own", file=sys.stderr)
        return layer(images)

    events = trace(Running(call, lambda: None), layer, case(), 0.0, (2, 2), lambda _: True)
    assert len(events) == 2
    assert capfd.readouterr().err == "a word of the network's own\n" * 3


def test_an_error_of_the_profiler_is_raised_and_stderr_given_back(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise RuntimeError("no CUPTI")

    monkeypatch.setattr(torch.profiler, "profile", fails)
    with pytest.raises(RuntimeError, match="no CUPTI"):
        trace(Running(int, lambda: None), None, case(), 0.0, (1, 1), lambda _: True)
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
