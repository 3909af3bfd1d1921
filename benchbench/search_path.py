"""Where modules are looked for: benchbench's own and Python's first, the working folder's last.

`python -m benchbench` puts the working folder first, so that a json.py or hydra.py there would be
imported in place of the real one. Nothing but what Python has loaded already may be imported here.
"""

# pathlib is not loaded yet.
# ruff: noqa: PTH109, PTH119, PTH120
import os
import sys
from importlib.machinery import PathFinder

OURS = ("benchbench", "architectures")
INSTALLED = ("site-packages", "dist-packages")  # where a Python keeps what was installed


def working_folder_last() -> None:
    """Move the working folder behind everything else on the path, if it is there.

    Where benchbench itself runs from the working folder and another one is installed, the folder
    goes only behind the standard library: both would be mixed otherwise.
    """
    try:
        folder = os.path.realpath(os.getcwd())
    except OSError:  # it is gone, and the command line will say so
        return
    others = [entry for entry in sys.path if os.path.realpath(entry) != folder]
    if len(others) == len(sys.path):
        return
    place = len(others)
    if os.path.dirname(os.path.dirname(os.path.realpath(__file__))) == folder and any(
        PathFinder.find_spec(name, others) for name in OURS
    ):
        installed = [os.path.basename(entry) in INSTALLED for entry in others]
        place = installed.index(True) if any(installed) else 0
    sys.path[:] = [*others[:place], folder, *others[place:]]
