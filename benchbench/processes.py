"""Code that may be a network's runs in a process of its own: started, listened to, and ended.

The parent blocks on the connection, because a parent that polls takes the core the child is
being timed on. Messages from the child are tuples whose first item names them.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from benchbench.errors import UserError, described, first_line, printable
from benchbench.supervisor import supervise

SILENCE_SECONDS = 600.0  # without a sign of life from the child
STOP_SECONDS = 60.0  # to finish the call under way after Ctrl-C; a second one ends the wait
GOODBYE_SECONDS = 5.0  # for a child to end that has said its last word
PAUSE_SECONDS = 0.005  # between two looks whether a child has ended
LONGEST_TRACEBACK = 20_000  # characters
# A Python that starts would import from these folders before it hears of the parent's path.
SAFE_PATH, SEARCH_PATH = "PYTHONSAFEPATH", "PYTHONPATH"

Told = Callable[..., None]  # called with the name of a message and what it holds
Found = TypeVar("Found")


class Interrupted(Exception):
    """Ctrl-C while a child was at work."""


class Unreadable(Exception):
    """What came from the child is no message."""


class ChildTraceback(Exception):
    """The cause of an error that a child told: its traceback, which debug=true shows."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def run(
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    name: str,
    told: Told,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Call `function(connection, *arguments)` in a fresh process and hand on its messages.

    The function is to use `with_last_word`. Whatever its process started is gone afterwards.
    `name` is what errors call the process; after Ctrl-C it gets `stop_seconds` to send what it has.

    Raises:
        UserError: the child failed for a reason the user can mend, or was killed.
        Interrupted: Ctrl-C, after what was sent until then was handed on.
    """
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    variables = {variable: os.environ.get(variable) for variable in (SAFE_PATH, SEARCH_PATH)}
    job = pickle.dumps((function, arguments))
    child = context.Process(target=supervise, args=(child_end, job, variables))
    try:
        with _search_path_without_working_folder():
            _start(child)
        child_end.close()
        _listen(parent_end, told, name, SILENCE_SECONDS)
        _join(child, GOODBYE_SECONDS)
    except (EOFError, Unreadable):
        _join(child, GOODBYE_SECONDS)
        raise _died(name, child.exitcode) from None
    except UserError:
        _join(child, GOODBYE_SECONDS)  # killed while it ends, it would leave a warning behind
        raise
    except KeyboardInterrupt:
        if _stop(parent_end, told, name, stop_seconds):
            _join(child, GOODBYE_SECONDS)
        raise Interrupted from None
    finally:
        _end(child)
        child_end.close()
        parent_end.close()


def apart(name: str, function: Callable[..., Found], *arguments: Any) -> Found:
    """What a function returns, called in a process of its own because it runs a network's code.

    Raises:
        UserError: as the function does, or in its place if it raises anything else.
        KeyboardInterrupt: Ctrl-C.
    """
    found: list[Found] = []
    job = (function, arguments, name)
    try:
        run(_call, job, f"model={name}: its process", lambda _, value: found.append(value), 0.0)
    except Interrupted:
        raise KeyboardInterrupt from None
    return found[0]


def _call(
    connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], name: str
) -> None:
    def explain(error: BaseException) -> str:
        return failure(error, f"model={name} failed")

    with with_last_word(connection, name, explain):
        connection.send(("result", function(*arguments)))


def failure(error: BaseException, what: str) -> str:
    """An exception as one line: a user error's own, or `what` and the exception."""
    if isinstance(error, UserError):
        return first_line(error)
    if isinstance(error, SystemExit):
        code = first_line(error) if error.args else "None"
        return f"{what}: its code tried to end the program with {code}"
    return f"{what}: {described(error)}"


@contextmanager
def with_last_word(
    connection: Connection, name: str, explain: Callable[[BaseException], str]
) -> Iterator[None]:
    """Run a child's work, and tell the parent how it ended, whatever was raised.

    Ctrl-C is blocked in a child, so that a KeyboardInterrupt is the network's own.
    """
    own = os.getpid()
    os.register_at_fork(after_in_child=connection.close)  # copies of this process have no say
    os.dup2(2, 1)  # a network that prints must not print into the parent's document
    _die_first()
    _tell_in_a_line(name)
    try:
        yield
        connection.send(("done",))
    except BaseException as error:  # noqa: BLE001 - the parent must hear of any
        if os.getpid() != own:
            os._exit(1)  # a copy that the network forked came this far
        with suppress(BaseException):
            connection.send(("error", explain(error), _traceback(error)))
            return
        os._exit(1)  # the parent is gone, or the network closed the connection


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    except BaseException:  # noqa: BLE001 - an exception of the network's own may refuse to be shown
        return ""


def _tell_in_a_line(name: str) -> None:
    """Tell what fails in a network's threads, destructors and exit handlers, without traceback."""
    told: set[str] = set()

    def tell(where: str, error: BaseException | None) -> None:
        with suppress(BaseException):  # also while the interpreter takes itself apart
            if error is None or isinstance(error, SystemExit):  # it ends a thread in silence
                return
            line = printable(f"benchbench: model={name}, {where}: {described(error)}")
            if line not in told:
                told.add(line)
                os.write(2, f"{line}\n".encode(errors="replace"))

    sys.unraisablehook = lambda found: tell("ignored", found.exc_value)
    threading.excepthook = lambda found: tell("in a thread", found.exc_value)


def _listen(connection: Connection, told: Told, name: str, timeout: float) -> None:
    """Hand on messages until the child says it is done."""
    while True:
        if not wait([connection], timeout):
            raise UserError(f"{name} gave no sign of life for {timeout:.0f} s, and was ended")
        message, *content = _receive(connection)
        if message == "done":
            return
        if message == "error":
            line, text = content
            raise UserError(line) from ChildTraceback(text)
        told(message, *content)


def _receive(connection: Connection) -> tuple[Any, ...]:
    try:
        found = connection.recv()
    except EOFError:
        raise
    except Exception as error:  # the network may have written to the connection
        raise Unreadable from error
    if not (isinstance(found, tuple) and found and isinstance(found[0], str)):
        raise Unreadable
    return found


def _stop(connection: Connection, told: Told, name: str, seconds: float) -> bool:
    """Ask the child for what it has, and take it; a second Ctrl-C or a failure ends the wait.

    Whether the child said its last word, and is about to end.
    """
    if not seconds:
        return False
    try:
        connection.send("stop")
        _listen(connection, told, name, timeout=seconds)
    except UserError:
        return True
    except (EOFError, OSError, Unreadable, KeyboardInterrupt):
        return False  # the interrupt may have come in the middle of a message
    return True


def _join(child: multiprocessing.process.BaseProcess, seconds: float) -> None:
    """Wait for a child to end, so many seconds at most.

    Not by the pipe that multiprocessing waits on: the network may have written to it, and Python
    would take that for the end and wait for ever.
    """
    deadline = time.monotonic() + seconds
    while child.exitcode is None and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)


def _end(child: multiprocessing.process.BaseProcess) -> None:
    """Leave no process behind: the supervisor kills what is below it, and ends."""
    if child.is_alive():  # not before it was started
        child.terminate()
        _join(child, GOODBYE_SECONDS)
    if child.is_alive():
        child.kill()
        child.join()


def _died(name: str, exit_code: int | None) -> UserError:
    """The error for a child that ended without a word."""
    if exit_code is None:
        return UserError(f"{name} closed its connection to benchbench, or wrote to it")
    if exit_code == -signal.SIGKILL:
        why = "was killed, most likely because memory ran out; try a smaller batch_size"
    elif exit_code < 0:
        why = f"ended by signal {_signal_name(-exit_code)}, exit code {exit_code}"
    else:
        why = f"ended with exit code {exit_code}"
    return UserError(f"{name} {why}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _start(child: multiprocessing.process.BaseProcess) -> None:
    """Start the child with Ctrl-C blocked, which it and its own children inherit for good.

    One that comes meanwhile is raised here afterwards: in the middle it would leave the child
    waiting for its orders.
    """
    resource_tracker.ensure_running()  # else `start` would do it, and unblock
    came: list[int] = []
    with _handler(lambda number, _: came.append(number)):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            child.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if came:
        raise KeyboardInterrupt


@contextmanager
def _search_path_without_working_folder() -> Iterator[None]:
    """Start Pythons that look for the standard library in no folder of the user's.

    They would import a json.py of the working folder before they are sent the parent's path, where
    that folder comes last.
    """
    before = {variable: os.environ.get(variable) for variable in (SAFE_PATH, SEARCH_PATH)}
    folder = os.path.realpath(os.curdir)
    entries = (before[SEARCH_PATH] or "").split(os.pathsep)
    kept = [entry for entry in entries if entry and os.path.realpath(entry) != folder]
    _set(SAFE_PATH, "1")
    _set(SEARCH_PATH, os.pathsep.join(kept) or None)
    try:
        yield
    finally:
        for variable, value in before.items():
            _set(variable, value)


def _set(variable: str, value: str | None) -> None:
    os.environ.pop(variable, None)
    if value is not None:
        os.environ[variable] = value


@contextmanager
def _handler(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle Ctrl-C so for a while; outside the main thread it never arrives.

    Needed beside the mask, which is this thread's: the kernel may choose one of a library's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _die_first() -> None:
    """When memory runs out, the kernel shall end this process and not the parent or a shell."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
