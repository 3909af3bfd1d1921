"""Whether a path that was given leads to a file that can be read to its end."""

from __future__ import annotations

import stat
from pathlib import Path

LONGEST = 300  # characters of a path in a message; systems allow 4096


def why_no_file(path: Path) -> str | None:
    """What is wrong with a path, to be said after its name; None for a regular file.

    A pipe would be waited for, and a device never ends.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError as error:  # a null character
        return f"cannot be read: {error}"
    return None if stat.S_ISREG(mode) else "is not a file"


def shown(path: Path) -> str:
    """A path in a message, without its middle if it is longer than any that exists."""
    text = str(path)
    return text if len(text) <= LONGEST else f"{text[:200]}...{text[-50:]}"
