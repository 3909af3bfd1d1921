"""Folders that results go to."""

from __future__ import annotations

import tempfile
from pathlib import Path


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
