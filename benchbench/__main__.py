"""The command line: compose with Hydra, run the jobs, say the exit code.

`python -m benchbench --help` answers before torch is imported; keep it so. What is imported here
at the top may come from the working folder (a contextlib.py, say): nothing that Python itself has
not loaded by then.
"""

import os
import sys

from benchbench import __version__, search_path

ERROR, INTERRUPTED = 2, 130


def main(arguments: list[str] | tuple[str, ...] | None = None) -> int:
    """Run the command line `arguments` (default: this process's). Returns the exit code."""
    # Hydra would print its own many lines and exit with 1, our code for a regression.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--version" in arguments:
        print(f"benchbench {__version__}")
        return 0
    from benchbench.commandline import run_command_line
    from benchbench.cores import leave_out_binding

    leave_out_binding()
    return run_command_line(arguments)


def entry_point() -> None:
    """The installed command `benchbench`."""
    search_path.working_folder_last()
    from contextlib import suppress

    _open_closed_streams()
    try:
        code = main()
        if sys.stdout is not None:  # its reader may have gone
            sys.stdout.flush()
    except KeyboardInterrupt:  # before there was anything to interrupt
        print("benchbench: interrupted; nothing had been measured", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:  # its reader has seen enough
        sys.stdout = None
        code = 0
    except OSError as error:
        print(f"benchbench: cannot write to stdout: {error.strerror}", file=sys.stderr)
        code = ERROR
    # Not `sys.exit`: it would flush a broken stdout once more, and CPython 3.11 remembers an
    # interrupt that passed through `exec`, which dataclasses use, and ends by the signal then.
    if code in (ERROR, INTERRUPTED):
        with suppress(OSError):  # stderr is full: the exit code still tells
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Give a closed stdin, stdout or stderr to the void, before a database gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


if __name__ == "__main__":
    entry_point()
