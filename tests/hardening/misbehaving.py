"""Networks that misbehave, each in one way: run as a user's own, from the working folder."""

from __future__ import annotations

import atexit
import builtins
import ctypes
import gc
import locale
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from mischief import (
    LONG,
    InterruptsWhenAsked,
    Nameless,
    NoException,
    SaysANumber,
    Unsayable,
    Unshowable,
    alarm,
    catch_signals,
    child_of_multiprocessing,
    close_everything,
    copy_once,
    daemon,
    end_by,
    endless,
    fork,
    go_away,
    ignore_signals,
    raising,
    replace_streams,
    sleep_often,
    stubborn,
    thread,
    write_everywhere,
)
from torch import Tensor, nn


class Net(nn.Module):
    """It behaves. The others do something when they are built, or when they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.begin()

    def begin(self) -> None:
        """What happens when the network is built."""

    def called(self, x: Tensor) -> None:
        """What happens in every call, also on `meta`."""

    def forward(self, x: Tensor) -> Any:
        self.called(x)
        return self.conv(x)


def when_built(action: Callable[[], object]) -> type[nn.Module]:
    return type("Built", (Net,), {"begin": lambda self: (action(), None)[1]})


def when_measured(action: Callable[[], object]) -> type[nn.Module]:
    """Something that a call does, but not when it is counted."""
    return type("Measured", (Net,), {"called": lambda self, x: None if x.is_meta else action()})


# What is raised


InterruptsItself = when_built(raising(KeyboardInterrupt))
EndsAGenerator = when_measured(raising(GeneratorExit))
ExitsWith0 = when_built(raising(lambda: SystemExit(0)))
ExitsWithText = when_measured(raising(lambda: SystemExit("enough")))
RaisesNoException = when_built(raising(lambda: NoException("a class of its own")))
RaisesNoExceptionLater = when_measured(raising(lambda: NoException("a class of its own")))
RaisesUnsayable = when_built(raising(Unsayable))
RaisesUnsayableLater = when_measured(raising(Unsayable))
RaisesInterrupting = when_measured(raising(InterruptsWhenAsked))
RaisesANumber = when_built(raising(SaysANumber))
RaisesUnshowable = when_measured(raising(Unshowable))
RaisesALongText = when_built(raising(lambda: ValueError("x" * 10_000_000)))
RaisesManyLines = when_measured(raising(lambda: ValueError("first\n" * 100_000)))
Recurses = when_built(endless)
RecursesLater = when_measured(endless)


# How a process ends


QuitsWith0 = when_built(lambda: os._exit(0))
QuitsWith1 = when_built(lambda: os._exit(1))
QuitsWith3Later = when_measured(lambda: os._exit(3))
Aborts = when_built(os.abort)
SegfaultsLater = when_measured(lambda: ctypes.string_at(0))
KillsItself = when_built(end_by(signal.SIGKILL))
TerminatesItself = when_measured(end_by(signal.SIGTERM))
HangsUp = when_built(end_by(signal.SIGHUP))
Alarms = when_measured(alarm)
KillsItsParent = when_measured(lambda: (os.kill(os.getppid(), signal.SIGKILL), time.sleep(LONG)))


# What goes on beside it


LeavesAThread = when_built(lambda: thread(time.sleep, LONG))
LeavesAThreadLater = when_measured(lambda: thread(time.sleep, LONG))
LeavesADaemonThread = when_built(lambda: thread(sleep_often, daemon=True))
ExitsInAThread = when_built(lambda: thread(sys.exit, 3))
FailsInAThread = when_built(lambda: thread(endless))
SleepsAtExit = when_built(lambda: atexit.register(time.sleep, LONG))
FailsAtExit = when_built(lambda: atexit.register(raising(lambda: NoException("at exit"))))
LeavesAProcess = when_built(lambda: subprocess.Popen(["sleep", str(LONG)]))
LeavesAStubbornProcess = when_built(stubborn)
LeavesADaemon = when_built(daemon)
LeavesADaemonAndQuits = when_built(lambda: (daemon(), os._exit(0)))
LeavesAChild = when_built(child_of_multiprocessing)
Forks = when_measured(fork)
CopiesItself = when_measured(copy_once)


# What it does to its process


def break_torch() -> None:
    torch.empty = torch.ones = torch.rand = None


ClosesItsStreams = when_built(lambda: os.closerange(0, 3))
ClosesEverything = when_built(close_everything)
ClosesEverythingLater = when_measured(close_everything)
WritesEverywhere = when_measured(write_everywhere)
PrintsMegabytes = when_built(lambda: print("noise" * 1_000_000))
WritesMegabytes = when_built(lambda: os.write(1, b"noise\n" * 10_000))
ReplacesStreams = when_built(replace_streams)
IgnoresSignals = when_built(ignore_signals)
CatchesSignals = when_built(catch_signals)
GoesAway = when_built(go_away)
ClearsTheEnvironment = when_built(os.environ.clear)
ChangesTheLocale = when_built(lambda: locale.setlocale(locale.LC_ALL, "C"))
DisablesCollection = when_built(gc.disable)
SetsThreads = when_built(lambda: torch.set_num_threads(2))
SetsThreadsLater = when_measured(lambda: torch.set_num_threads(2))
SetsDefaultType = when_built(lambda: torch.set_default_dtype(torch.float64))
SetsDefaultDevice = when_built(lambda: torch.set_default_device("meta"))
EnablesGradients = when_built(lambda: torch._C._set_grad_enabled(True))
BreaksTorch = when_built(break_torch)
BreaksBuiltins = when_built(lambda: setattr(builtins, "len", None))
StopsTheClock = when_built(lambda: setattr(time, "perf_counter", lambda: 0.0))
MakesWarningsErrors = when_built(lambda: warnings.simplefilter("error"))
Warns = when_built(lambda: warnings.warn("look here", stacklevel=1))
LimitsItsRecursion = when_built(lambda: sys.setrecursionlimit(60))
DeletesItself = when_built(lambda: Path(__file__).unlink(missing_ok=True))
AllocatesTooMuch = when_measured(lambda: torch.zeros(10**15))
AllocatesTooMuchAtOnce = when_built(lambda: bytearray(10**17))


# What it is, takes and gives


class ModifiesItsInput(Net):
    def called(self, x: Tensor) -> None:
        x.mul_(2)


class FreesItsInput(Net):
    def called(self, x: Tensor) -> None:
        x.set_(torch.empty(0, device=x.device))


class ReturnsNothing(Net):
    def forward(self, x: Tensor) -> None:
        self.conv(x)


class ReturnsText(Net):
    def forward(self, x: Tensor) -> str:
        return str(self.conv(x).shape)


class ReturnsItself(Net):
    def forward(self, x: Tensor) -> nn.Module:
        self.conv(x)
        return self


class ReturnsAGenerator(Net):
    def forward(self, x: Tensor) -> Iterator[Tensor]:
        yield self.conv(x)


class ReturnsALoop(Net):
    def forward(self, x: Tensor) -> list[Any]:
        found: list[Any] = [self.conv(x)]
        found.append(found)
        return found


class FailsWhenDeleted(Net):
    def __del__(self) -> None:
        raise NoException("deleted")


class CannotBeCopied(Net):
    def __deepcopy__(self, _: object) -> nn.Module:
        raise NoException("no copies")


class EvaluatesToNothing(Net):
    def eval(self) -> None:
        pass


class MovesToNothing(Net):
    def to(self, *_: object, **__: object) -> None:
        pass


class HasNoParameters(Net):
    def named_parameters(self, *_: object, **__: object) -> Any:
        raise NoException("no parameters")


class HasNoStride(Net):
    @property
    def total_stride(self) -> int:
        raise NoException("no stride")


class HasAnEndlessStride(Net):
    total_stride = 10**400


class TakesTwo(Net):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.conv(x) + y


class NeedsAnArgument(Net):
    def __init__(self, width: int) -> None:
        super().__init__()


class HasNoForward(nn.Module):
    """As torch's own."""


class IsBuiltAsAnother(Net):
    def __new__(cls) -> Any:
        return 3


class CannotBeBuilt(Net):
    __init__ = None


class HidesItsSignature(Net):
    @property
    def __signature__(self) -> Any:
        raise NoException("no signature")


RaisesNameless = when_built(raising(Nameless))


def leave_everything() -> None:
    thread(time.sleep, LONG)
    atexit.register(time.sleep, LONG)
    subprocess.Popen(["sleep", str(LONG)])
    daemon()
    stubborn()
    child_of_multiprocessing()
    ignore_signals()


LeavesEverything = when_built(leave_everything)
