"""Folders that results go to, and those that are gone after a run."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from time import time

PREFIX = "benchbench-"  # of temporary folders, then the process that made them
ABANDONED_SECONDS = 86400


def check_writable(folder: Path) -> None:
    """Find out whether a folder can be written, or made, and leave nothing behind.

    Raises:
        OSError: it cannot; its filename is the folder.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    # A file without a name where the system has them: permissions alone do not tell (root,
    # /proc), and a named probe would meet another process's.
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def temporary_prefix() -> str:
    """How temporary folders of this process begin: what a killed one leaves can be told by it."""
    return f"{PREFIX}{os.getpid()}-"


def remove_abandoned() -> None:
    """Remove what runs left behind that were killed, over a day ago.

    No sooner: in another container a process may be alive that does not exist here.
    """
    import psutil

    for folder in Path(gettempdir()).glob(f"{PREFIX}*-*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            old = time() - folder.stat().st_mtime > ABANDONED_SECONDS
            if old and process.isdecimal() and not psutil.pid_exists(int(process)):
                rmtree(folder, ignore_errors=True)
