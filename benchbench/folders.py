"""Folders that results go to."""

from __future__ import annotations

import tempfile
from pathlib import Path


def check_writable(folder: Path) -> None:
    """Find out whether a folder can be written, or made, and leave nothing behind.

    Raises:
        OSError: it cannot.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    # A file without a name where the system has them: permissions alone do not tell (root,
    # /proc), and a named probe would meet another process's.
    with tempfile.TemporaryFile(dir=existing):
        pass
