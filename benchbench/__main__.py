"""The command line: compose with Hydra, run the jobs, say the exit code.

`python -m benchbench --help` answers before torch is imported; keep it so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from benchbench import __version__

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: this process's). Returns the exit code."""
    # Hydra would print its own many lines and exit with 1, our code for a regression.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--version" in arguments:
        print(f"benchbench {__version__}")
        return 0
    from benchbench.commandline import run_command_line

    return run_command_line(arguments)


def entry_point() -> None:
    """The installed command `benchbench`."""
    code = main()
    if code == INTERRUPTED:
        # CPython 3.11 remembers an interrupt that passed through `exec`, which dataclasses and
        # named tuples use, and ends by the signal whatever exit code it is given.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry_point()
