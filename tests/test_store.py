"""The database: whole records or none, two writers, killed writers, wrong files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made import record

from benchbench.cases import Case
from benchbench.environment import machine_environment
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import absent
from benchbench.profilers.complexity import complexity
from benchbench.records import Record
from benchbench.store import Store

URL = "sqlite:///results/benchbench.sqlite"
FILE = Path("results/benchbench.sqlite")


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    counted = complexity(case())
    measured = Measured(case(), machine_environment(), list(counted.measurements), counted.layers)
    return record(measured, task="profile", settings={}, command="python", tag="first")


def test_records_come_back_by_tag_and_in_order(made: Record) -> None:
    store = Store(URL)
    later = replace(made, id="b", created="2999-01-01T00:00:00+00:00", tag="second")
    store.put(later)
    store.put(made)
    assert store.records() == [made, later]
    assert store.records(tag="second") == [later]
    store.close()
    connection = sqlite3.connect(FILE)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_opening_a_store_writes_nothing() -> None:
    Store(URL).close()
    assert not list(Path().iterdir())


def test_a_record_grows_in_its_place(made: Record) -> None:
    """Written after every process, so that a killed run keeps those that had ended."""
    store = Store(URL)
    store.put(made)
    grown = replace(made, measurements=(*made.measurements, absent("latency", "to come")))
    store.put(grown)
    assert store.records() == [grown]
    store.close()


def test_half_a_character_does_not_make_a_record_unreadable(made: Record) -> None:
    """A variable or a file's name may hold bytes that are no UTF-8; Python keeps them so."""
    variables = {"variables": {"OMP_X": "a\udcffb"}}
    store = Store(URL)
    store.put(replace(made, environment={**made.environment, **variables}, tag="half"))
    (found,) = store.records(tag="half")
    assert found.environment["variables"] == {"OMP_X": "a?b"}
    store.close()


def test_the_newest_come_first_and_no_more_than_asked_for(made: Record) -> None:
    store = Store(URL)
    days = [replace(made, id=f"{day}", created=f"2026-01-0{day}") for day in (2, 3, 1)]
    for one in days:
        store.put(one)
    fingerprint = made.environment["fingerprint"]
    assert [one.id for one in store.newest(2, fingerprint=fingerprint)] == ["3", "2"]
    assert store.newest(2, fingerprint="another") == []
    store.close()


WRITER = """
import sys
from dataclasses import replace
from benchbench.cases import Case
from benchbench.environment import machine_environment
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Origin, new_identity, record
from benchbench.store import Store
case = Case(name="x", target="x.X", arguments={}, resolution=1, batch_size=1, device="cpu",
            device_index=0, runtime="eager", precision="fp32", layout="contiguous", threads=1,
            input="random", preprocessing="torchvision", seed=0)
measured = Measured(case, machine_environment(), [exact("params", 1)])
origin = Origin("profile", {"padding": "x" * 20000}, "")
made = record(measured, origin, new_identity())
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    store = Store("sqlite:///results/benchbench.sqlite")
    store.put(replace(made, id=f"{sys.argv[2]}-{number}"))
    store.close()
    print(number, flush=True)
"""


def writer(count: int, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(count), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_may_write_at_once() -> None:
    """Three start on a database that does not exist yet, and each writes twenty records."""
    writers = [writer(20, name) for name in "abc"]
    for process in writers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in writers:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    store = Store(URL)
    assert len(store.records()) == 60
    store.close()


def test_a_killed_writer_leaves_the_database_intact() -> None:
    process = writer(10_000, "killed")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    announced = [process.stdout.readline() for _ in range(15)]
    os.kill(process.pid, signal.SIGKILL)
    announced += process.communicate()[0].splitlines()
    connection = sqlite3.connect(FILE)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    store = Store(URL)
    assert len(store.records()) in (len(announced), len(announced) + 1)  # the one under way
    store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "Could not parse"),
        ("nosuch:///x", "nosuch"),
        ("sqlite:////dev/null/x/y.sqlite", "/dev/null"),
        ("sqlite:///text.sqlite", "not a database"),
        ("sqlite:///folder", "folder"),
    ],
)
def test_what_cannot_be_a_database_is_named(url: str, message: str) -> None:
    Path("text.sqlite").write_text("this is no database, but long enough to look at" * 100)
    Path("folder").mkdir()
    with pytest.raises(UserError, match=message) as raised:
        Store(url)
    assert url in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_database_without_its_table_has_no_records() -> None:
    """Made by a process that was killed before its first record was written."""
    FILE.parent.mkdir()
    FILE.touch()
    store = Store(URL)
    assert store.records() == []
    store.close()


FILLS_UP = """
import resource
from dataclasses import replace
from benchbench.cases import Case
from benchbench.environment import machine_environment
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Origin, new_identity, record
from benchbench.store import Store
case = Case(name="x", target="x.X", arguments={}, resolution=1, batch_size=1, device="cpu",
            device_index=0, runtime="eager", precision="fp32", layout="contiguous", threads=1,
            input="random", preprocessing="torchvision", seed=0)
measured = Measured(case, machine_environment(), [exact("params", 1)])
made = record(measured, Origin("profile", {}, ""), new_identity())
store = Store("sqlite:///results/benchbench.sqlite")
store.put(made)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
for attempt in (
    lambda: store.put(replace(made, settings={"padding": "x" * 3_000_000})),
    store.try_writing,
    Store("sqlite:///new/benchbench.sqlite").try_writing,
):
    try:
        attempt()
    except UserError as error:
        print(error)
"""


def test_a_file_that_can_grow_no_more_keeps_what_it_had() -> None:
    """As on a full disk: an error in one line, found by trying, and the next record fits."""
    done = subprocess.run(
        [sys.executable, "-c", FILLS_UP], capture_output=True, text=True, check=True, timeout=60
    )
    *lines, new = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("store.url=sqlite:///results/benchbench.sqlite cannot be used" in x for x in lines)
    assert "store.url=sqlite:///new/benchbench.sqlite cannot be used" in new
    assert [path.name for path in Path().rglob("*")] == ["results", "benchbench.sqlite"]
    store = Store(URL)
    (kept,) = store.records()
    assert kept.settings == {}
    store.put(replace(kept, id="next"))
    assert len(store.records()) == 2
    store.close()


def test_a_trial_of_writing_leaves_nothing(made: Record) -> None:
    Store(URL).try_writing()
    assert not list(Path().iterdir())
    store = Store(URL)
    store.put(made)
    store.try_writing()
    assert store.records() == [made]
    assert list(FILE.parent.iterdir()) == [FILE]


def test_the_log_is_copied_into_the_database_when_nobody_else_is_there(made: Record) -> None:
    """SQLite before 3.51.3 may lose records that are written while it is copied.

    It copies at 1000 pages by default; here 2 MB are some 500 pages each time.
    """
    store = Store(URL)
    store.put(made)
    before = FILE.read_bytes()
    reader = sqlite3.connect(FILE)
    reader.execute("SELECT count(*) FROM records").fetchall()
    for number in range(4):
        store.put(replace(made, id=f"{number}", settings={"padding": "x" * 2_000_000}))
    assert FILE.read_bytes() == before
    assert len(store.records()) == 5
    reader.close()
    store.put(replace(made, id="last"))
    assert list(FILE.parent.iterdir()) == [FILE]
    assert len(store.records()) == 6


def test_processes_that_are_killed_lose_nothing() -> None:
    """`make bench-kills` does it 300 times, and kills whole command lines 50 times."""
    program = Path(__file__).parent / "benchmarks" / "kills.py"
    done = subprocess.run(
        [sys.executable, program, "--print", "--kills", "0", "--store-kills", "10"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of another user's that may be read: root may do everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


AS_NOBODY = """
import os, sys
from pathlib import Path
from benchbench.errors import UserError
from benchbench.store import Store
Store("sqlite:///other.sqlite").try_writing()  # whatever is imported late, it may not read later
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = Store(f"sqlite:///{sys.argv[1]}")
print(len(store.records()))
for attempt in (store.try_writing, Store(f"sqlite:///{sys.argv[1]}.new").try_writing):
    try:
        attempt()
    except UserError as error:
        print(error)
"""


def test_where_nothing_can_be_written_it_is_read(made: Record, unprivileged: Path) -> None:
    """SQLite alone would make a log and an index beside it, even to read."""
    path = unprivileged / "x.sqlite"
    Store(f"sqlite:///{path}").put(made)
    path.chmod(0o444)
    unprivileged.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    unprivileged.chmod(0o755)
    count, existing, new = done.stdout.splitlines()
    assert count == "1"
    assert f"{path} cannot be used: " in existing
    assert f"{path}.new cannot be used: {unprivileged}: Permission denied" in new
    assert list(unprivileged.iterdir()) == [path]
