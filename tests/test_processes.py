"""What code in a process of its own may do: told in a line, and nothing of it is left."""

from __future__ import annotations

import builtins
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from benchbench import processes
from benchbench.errors import UserError, described, first_line
from benchbench.processes import ChildTraceback, apart

HARDENING = Path(__file__).parent / "hardening"
sys.path.append(str(HARDENING))

import mischief  # noqa: E402 - processes find it by this path

MARK = "BENCHBENCH_TEST_MARK"


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable that everything started here inherits, and a short farewell."""
    found = uuid4().hex
    monkeypatch.setenv(MARK, found)
    monkeypatch.setattr(processes, "GOODBYE_SECONDS", 1.0)
    return found


def marked(mark: str) -> list[str]:
    """The processes that inherited it, but for this one and multiprocessing's tracker."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            ours = process.environ().get(MARK) == mark
        except psutil.Error:
            continue
        if ours and process.pid != os.getpid() and "resource_tracker" not in words:
            found.append(words)
    return found


def gone(mark: str) -> bool:
    """Whether they are, in the end: the kernel takes a moment to end what was killed."""
    for _ in range(200):
        if not marked(mark):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "action",
    [
        *(mischief.daemon, mischief.stubborn, mischief.child_of_multiprocessing, mischief.fork),
        *(
            mischief.sleeping_thread,
            mischief.sleeping_at_exit,
            mischief.ignore_signals,
            mischief.catch_signals,
        ),
        mischief.copy_once,
    ],
)
def test_what_goes_on_beside_it_ends_with_it(action: Callable[[], object], mark: str) -> None:
    assert apart("mine", action) is None
    assert gone(mark)


@pytest.mark.parametrize(
    ("action", "arguments", "part"),
    [
        (os._exit, (0,), "ended with exit code 0"),
        (os._exit, (1,), "ended with exit code 1"),
        (os.abort, (), "signal SIGABRT"),
        (signal.raise_signal, (signal.SIGSEGV,), "signal SIGSEGV, exit code -11"),
        (signal.raise_signal, (signal.SIGTERM,), "signal SIGTERM"),
        (signal.raise_signal, (signal.SIGKILL,), "memory ran out"),
        (mischief.alarm, (), "signal SIGALRM"),
        (mischief.endless, (), "RecursionError: maximum recursion depth"),
        (mischief.close_everything, (), "exit code 1"),
        (mischief.write_everywhere, (), "its process"),
        (mischief.write_for_ever, (), "closed its connection to benchbench, or wrote to it"),
        (threading.Lock, (), "cannot pickle"),
        (sys.exit, (0,), "tried to end the program with 0"),
    ],
)
def test_how_a_process_ends_is_told(
    action: Callable[..., Any], arguments: tuple[Any, ...], part: str, mark: str
) -> None:
    with pytest.raises(UserError, match=part) as raised:
        apart("mine", action, *arguments)
    assert str(raised.value).startswith("model=mine")
    assert "\n" not in str(raised.value)
    assert gone(mark)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NoException", "NoException"),
        ("Unsayable", "Unsayable: its text cannot be read"),
        ("InterruptsWhenAsked", "InterruptsWhenAsked: its text cannot be read"),
        ("SaysANumber", "SaysANumber: its text cannot be read"),
        ("Unshowable", "Unshowable: its text cannot be read"),
        ("Nameless", "Nameless"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("AssertionError", "AssertionError"),
    ],
)
def test_whatever_is_raised_is_a_line(name: str, expected: str) -> None:
    error = getattr(mischief, name, None) or getattr(builtins, name)
    assert described(error()) == expected
    with pytest.raises(UserError) as raised:
        apart("mine", mischief.raise_it, error)
    assert str(raised.value).startswith(f"model=mine failed: {expected}")
    assert isinstance(raised.value.__cause__, ChildTraceback)
    assert name == "Nameless" or "raise_it" in str(raised.value.__cause__)


def test_a_long_text_is_shortened() -> None:
    assert len(first_line(ValueError("x" * 10_000_000))) < 500
    assert first_line(ValueError("short")) == "short"
    assert first_line(ValueError("first\rsecond")) == "first"


def test_a_process_that_ends_its_supervisor_ends_too(mark: str) -> None:
    with pytest.raises(UserError, match="killed"):
        apart("mine", mischief.kill_parent)
    assert gone(mark)


def test_a_killed_parent_takes_everything_with_it(mark: str, tmp_path: Path) -> None:
    """Its child, and what that started in a session of its own."""
    program = (
        f"import sys; sys.path.append({str(HARDENING)!r})\n"
        "import mischief\nfrom benchbench.processes import apart\n"
        "apart('mine', mischief.daemon_and_sleep)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(HARDENING.parents[1])}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    while not Path("started").exists():
        time.sleep(0.05)
    assert len(marked(mark)) >= 4  # itself, the supervisor, the child and its daemon
    process.kill()
    process.wait()
    assert gone(mark)


def test_a_child_is_not_disturbed_by_what_lies_in_the_working_folder(tmp_path: Path) -> None:
    """It starts with no folder of the user's on its path, and is then sent the parent's."""
    for name in ("multiprocessing", "pickle", "signal", "selectors", "json", "psutil"):
        Path(f"{name}.py").write_text("raise SystemExit(f'{__name__} was shadowed')")
    assert apart("mine", os.getcwd) == str(tmp_path)
    assert apart("mine", os.getenv, "PYTHONSAFEPATH") == os.environ.get("PYTHONSAFEPATH")
    assert apart("mine", os.getenv, "PYTHONPATH") == os.environ.get("PYTHONPATH")
