"""What the tests of databases share: a good record, SQL, what lies in the folder, errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from conftest import Finished
from made import record

from benchbench.cases import Case
from benchbench.environment import machine_environment
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Record
from benchbench.store import Store

Cli = Callable[..., Finished]
FILE = Path("x.sqlite")
URL = f"sqlite:///{FILE}"
PROFILE = ("model=shufflenet_v2_x0_5", "profiler=complexity", "plots=false", "output=csv")
FULL = "CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no more'); END"
READ = ("task=rank", "records=x")
COMPARE = ("task=compare", "baseline=x", "candidate=x")


def good_record(case: Case) -> Record:
    """A profile with one count, of tag x."""
    return record(Measured(case, machine_environment(), [exact("params", 7)]), tag="x")


def keep(made: Record, path: Path = FILE) -> None:
    Store(f"sqlite:///{path}").put(made)


def execute(*statements: str, path: Path = FILE) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def snapshot() -> dict[str, object]:
    """Everything in the working folder: the bytes of files, and what else there is."""
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else path.lstat()
        for path in sorted(Path().rglob("*"))
        if path.is_symlink() or not path.is_dir()
    } | {str(path): None for path in Path().rglob("*") if path.is_dir()}


def check_error(done: Finished, code: int, *parts: str) -> None:
    """One line for each thing that is wrong, nothing on stdout."""
    assert done.code == code, done
    assert done.out == ""
    lines = done.err.splitlines()
    assert all(line.startswith("benchbench: ") for line in lines), done.err
    assert "Traceback" not in done.err
    for part in parts:
        assert part in lines[-1], lines[-1]
