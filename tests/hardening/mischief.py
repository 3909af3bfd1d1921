"""What code can do to the process that it runs in, without torch: for networks that misbehave."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LONG = 600  # seconds: longer than any test waits


def raising(error: Callable[[], BaseException]) -> Callable[[], object]:
    def action() -> None:
        raise error()

    return action


class NoException(BaseException):
    """Derived from nothing that `except Exception` catches."""


class Unsayable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class InterruptsWhenAsked(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class SaysANumber(Exception):
    def __str__(self) -> str:
        return 3  # noqa: PLE0307


class Unshowable(BaseException):
    def __repr__(self) -> str:
        raise SystemExit(1)

    __str__ = __repr__


def endless() -> object:
    return endless()


def end_by(number: int) -> Callable[[], object]:
    return lambda: os.kill(os.getpid(), number)


def alarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(LONG)


def daemon() -> None:
    """A process that nobody waits for, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(LONG)
        os._exit(0)


def stubborn() -> None:
    """Processes that ignore what would end them."""
    subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; sleep 600; sleep 600"])


copied: list[int] = []


def copy_once() -> None:
    """The copy goes on as if it were the process that measures."""
    if not copied:
        copied.append(os.getpid())
        os.fork()


def fork() -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


def child_of_multiprocessing() -> None:
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG,)).start()


def thread(target: Callable[..., object], *arguments: object, daemon: bool = False) -> None:
    threading.Thread(target=target, args=arguments, daemon=daemon).start()


def sleep_often() -> None:
    while True:
        time.sleep(0.001)


def close_everything() -> None:
    os.closerange(3, 256)


def write_everywhere() -> None:
    """Into the pipes to benchbench, until nobody reads them any more."""
    for number in range(3, 64):
        try:
            os.write(number, b"\x00\x00\x00\x04ruin" * 3)
        except OSError:
            continue


def replace_streams() -> None:
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)


def catch_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)


def go_away() -> None:
    Path("elsewhere").mkdir(exist_ok=True)
    os.chdir("elsewhere")
    Path().absolute().rmdir()


class Meta(type):
    @property
    def __name__(cls) -> str:
        raise NoException("no name")


class Nameless(Exception, metaclass=Meta):
    """Even its class raises when it is asked for a name."""


def raise_it(error: Callable[[], BaseException]) -> None:
    raise error()


def kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(LONG)


def daemon_and_sleep() -> None:
    daemon()
    Path("started").touch()
    time.sleep(LONG)


def sleeping_thread() -> None:
    thread(time.sleep, LONG)


def sleeping_at_exit() -> None:
    atexit.register(time.sleep, LONG)


def write_for_ever() -> None:
    while True:
        write_everywhere()
