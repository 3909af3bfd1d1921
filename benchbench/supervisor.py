"""The process between benchbench and a network's code. It waits, and leaves nothing behind.

A network can start threads and processes of any kind, and end its process in any way. Its code
therefore runs in a fork of a process that does nothing but wait. Linux hands every orphan below
that process to it (PR_SET_CHILD_SUBREAPER, prctl(2)), so that it can kill whatever the network
started: when the fork has ended, when benchbench says so, and when benchbench itself was killed.

Only the standard library is imported here: the fork has to happen while there is one thread.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection

PARENT_DIED, CHILD_SUBREAPER = 1, 36  # prctl(2): PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
WATCHED = (signal.SIGCHLD, signal.SIGTERM)
KILL_SECONDS = 5.0  # for killed processes to be gone; one that waits for a device may stay
PAUSE_SECONDS = 0.01  # between two looks at who is left


def supervise(connection: Connection, job: bytes, variables: Mapping[str, str | None]) -> None:
    """Call a function with the connection in a fork, wait for it, and end as it ended.

    `job` is the function and its other arguments, pickled: what they need is imported in the fork.
    `variables` of the environment get the values given, or go.
    """
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    signal.signal(
        signal.SIGCHLD, lambda *_: None
    )  # where it was ignored nobody could be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    _control_process(CHILD_SUBREAPER, 1)
    parent = multiprocessing.parent_process()
    _die_with(None if parent is None else parent.pid, signal.SIGTERM)
    supervisor = os.getpid()
    process = os.fork()
    if process == 0:
        _die_with(supervisor, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        function, arguments = pickle.loads(job)
        function(connection, *arguments)
        return  # and the interpreter ends as it always does
    connection.close()  # that of the fork is the only one: its end is seen at once
    status = _wait_for(process)
    kill_descendants()
    _end_as(-signal.SIGTERM if status is None else os.waitstatus_to_exitcode(status))


def kill_descendants() -> None:
    """Kill all processes below this one, and those that they start meanwhile."""
    deadline = time.monotonic() + KILL_SECONDS
    while _has_children() and time.monotonic() < deadline:
        import psutil

        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it is gone, or another user's
                process.kill()
        time.sleep(PAUSE_SECONDS)


def _has_children() -> bool:
    """Whether there are any that have not ended; those that have are taken away."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _wait_for(process: int) -> int | None:
    """The status that a child ended with; None if this process was told to end before."""
    while signal.sigwait(WATCHED) != signal.SIGTERM:
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == process:
                return ended[1]
    return None


def _end_as(code: int) -> None:
    """End with an exit code or, where it is negative, by that signal, without a dump of memory."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)


def _die_with(parent: int | None, number: int) -> None:
    """Get a signal when the parent ends (Linux); end now if it did already."""
    _control_process(PARENT_DIED, number)
    if parent is not None and parent != os.getppid():
        os._exit(1)


def _control_process(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
