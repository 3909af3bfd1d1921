"""One measurement at a time on a machine or a GPU: the others wait their turn in the kernel.

A file that is locked with flock(2): blocking without polling, so that a waiter takes no core from
the one that measures, and released by the kernel however its holder ends. The file stays, because
to delete it would let two processes hold locks on two files of one name.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from benchbench.errors import printable

# The same for every user and every TMPDIR of a machine, as the system's temporary folder is not.
# The first two are in memory and never tidied while the machine runs.
FOLDERS = (Path("/dev/shm"), Path("/run/lock"), Path("/var/tmp"))
VARIABLE = "BENCHBENCH_LOCKS"  # a folder that several containers share, say
EVERYONE = 0o666
LONGEST_NOTE = 300  # bytes


@contextmanager
def machine_lock(
    device: str, waiting: Callable[[str], None], folders: Sequence[Path] | None = None
) -> Iterator[str | None]:
    """Hold `device` ("cpu", or a GPU's UUID or index) for oneself; not to be nested.

    Gives None, or why there is no lock: then the caller measures all the same and says so. Where
    another process has it, `waiting` is told once by whom, and Ctrl-C ends the wait.

    Every process that is to take turns must see the same folder: containers with their own
    /dev/shm do not see each other.
    """
    descriptor, problem = None, None
    try:
        descriptor = _acquire(_file(device, folders or _folders()), waiting)
    except OSError as error:
        problem = f"others may measure at the same time: no lock for {device} ({error})"
    try:
        yield problem
    finally:
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)


def _folders() -> Sequence[Path]:
    """Where the locks are: as the user says, else where every user of the machine looks."""
    named = os.environ.get(VARIABLE)
    return (Path(named),) if named else FOLDERS


def _file(device: str, folders: Sequence[Path]) -> Path:
    """The file to lock, in the first folder that everyone may write to.

    Not the first that *we* may write to: root and a user would lock different files.
    """
    for folder in folders:
        with suppress(OSError):
            if folder.stat().st_mode & stat.S_IWOTH and os.access(folder, os.W_OK):
                return folder / f"benchbench-{re.sub('[^A-Za-z0-9-]', '-', device)}.lock"
    raise FileNotFoundError(f"none of {', '.join(map(str, folders))} is writable for everyone")


def _acquire(path: Path, waiting: Callable[[str], None]) -> int:
    """A descriptor that holds the lock, with a note in the file that says who we are."""
    told = False
    while True:
        descriptor = _open(path)
        try:
            told = _wait(descriptor, waiting, told)
            if _is_still(path, descriptor):
                _write_note(descriptor)
                return descriptor
        except BaseException:  # Ctrl-C too
            os.close(descriptor)
            raise
        os.close(descriptor)  # somebody deleted the file, so this lock keeps nobody out


def _wait(descriptor: int, waiting: Callable[[str], None], told: bool) -> bool:
    """Lock, and tell once whom this waits for. Returns whether that was told by now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not told:
            waiting(f"waiting for {_read_note(descriptor)} to finish measuring")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    return told


def _open(path: Path) -> int:
    """Open the file, for everyone where it is new; children started later do not inherit it.

    Opened without O_CREAT first: Linux refuses that on another's file in a folder like these
    (fs.protected_regular, proc_sys_fs(5)).

    Raises:
        OSError: it is a link or no plain file, which somebody may have put there as a trap.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW
    while True:
        with suppress(FileNotFoundError):
            descriptor = os.open(path, flags)
            break
        before = os.umask(0)
        try:
            with suppress(FileExistsError):
                descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, EVERYONE)
                break
        finally:
            os.umask(before)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(f"{path} is no plain file of one name")
    return descriptor


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_note(descriptor: int) -> None:
    """Process, time and command, a line each; without the passwords, since everyone can read it."""
    from benchbench.config import hide_password

    program = Path(sys.argv[0] or "python")
    name = program.parent.name if program.name == "__main__.py" else program.name
    command = hide_password(" ".join([name, *sys.argv[1:]]))
    note = f"{os.getpid()}\n{datetime.now():%Y-%m-%d %H:%M:%S}\n{command}"
    with suppress(OSError):  # a full disk takes the note, not the lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note.encode(errors="replace")[:LONGEST_NOTE], 0)


def _read_note(descriptor: int) -> str:
    """ "process 1234 (benchbench model=resnet50, since 2026-01-02 03:04:05)": others wrote it."""
    note = os.pread(descriptor, LONGEST_NOTE, 0).decode(errors="replace")
    process, since, command, *_ = *note.split("\n"), "", "", ""
    if not process.isdigit():
        return "another process"
    return printable(f"process {process} ({command}, since {since})")
