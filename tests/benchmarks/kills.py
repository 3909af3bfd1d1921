"""SIGKILLs while three processes write: is anything lost that was acknowledged?

python tests/benchmarks/kills.py --kills 50 --store-kills 300

First whole command lines are killed: sweeps that count small networks, whose records are
acknowledged by their ids on stdout. Then loops of `Store.put`, which write far more often. Beside
both, a reader of each kind reads all the time. After every kill a process of its own checks the
database before the killed ones start again. `--store-kills` take a new database now and then, so
that its first moments are met as well.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from report import ROOT, save_page, table

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Origin, new_identity, record
from benchbench.store import Store

WRITERS = 3
READERS = ("Store", "ro", "rw")  # ours, and SQLite's own modes
FILE = Path("results", "benchbench.sqlite")
URL = f"sqlite:///{FILE}"
# Of few jobs: Hydra composes all of a sweep before the first. Those that end start again.
NETWORKS = "mobilenet_v1_x0_25_r128,shufflenet_v2_x0_5"
SWEEP = (f"model={NETWORKS}", "seed=range(0,4)", "profiler=complexity", "output=json", "tag=x")
ALL_AT_ONCE = 0.25  # share of the kills that hit all three
KILLS_OF_A_FILE = 25  # by the store alone
LONGEST = 40_000  # bytes of padding in a record
# Where there is a fork, nothing is imported again: hundreds of writers start in a second.
FORK = multiprocessing.get_context("fork")


@dataclass
class Findings:
    """What was seen of one kind of writers."""

    kills: int = 0
    acknowledged: int = 0
    databases: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def write(acknowledgements: Path, number: int) -> None:
    """Write records until killed, in one store or in a new one each time."""
    case = Case(
        name="x",
        target="x.X",
        arguments={},
        resolution=1,
        batch_size=1,
        device="cpu",
        device_index=0,
        runtime="eager",
        precision="fp32",
        layout="contiguous",
        threads=1,
        input="random",
        preprocessing="torchvision",
        seed=0,
    )
    measured = Measured(case, {"machine": {"cpu": "x"}}, [exact("params", 1)])
    store = Store(URL)
    with acknowledgements.open("ab", buffering=0) as file:
        while True:
            padding = {"padding": "x" * random.randrange(LONGEST)}
            made = record(measured, Origin("profile", padding, "", "x"), new_identity())
            store.put(made)
            file.write(f"{made.id}\n".encode())
            sleep(random.random() * 0.004)
            if number % 2:
                store.close()
                store = Store(URL)


def start_loop(acknowledgements: Path, number: int) -> Any:
    process = FORK.Process(target=write, args=(acknowledgements, number), daemon=True)
    process.start()
    return process


def start_command(acknowledgements: Path, number: int) -> Any:
    del number
    with acknowledgements.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "benchbench", "-m", *SWEEP, f"store.url={URL}"],
            stdout=file,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )


def acknowledged(path: Path) -> list[str]:
    """The ids of whole lines: the last may be cut off."""
    if not path.exists():
        return []
    *lines, _ = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line)["record"] if line.startswith("{") else line for line in lines]


def read(kind: str) -> None:
    """Read all records again and again, until killed; a line each, with what went wrong."""
    os.nice(5)
    while True:
        sleep(random.random() * 0.05)
        if not FILE.exists():
            continue
        try:
            if kind == "Store":
                with closing(Store(URL)) as store:
                    store.records(tag="x")
            else:
                with closing(sqlite3.connect(_uri(kind), uri=True, timeout=60)) as connection:
                    connection.execute("SELECT sum(length(document)) FROM records").fetchall()
            told = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            if "no such table" in str(error):  # it is about to be made
                continue
            told = f"{type(error).__name__}: {error}"
        with Path(f"read-{kind}").open("a", encoding="utf-8") as file:
            file.write(f"{told}\n")


def _uri(mode: str) -> str:
    return f"file:{FILE}?mode={mode}"


def check(ids: set[str], told: Any) -> None:
    """Whether the database is whole, and has every record that was acknowledged."""
    try:
        if not FILE.exists():
            told.put([f"{len(ids)} lost with the file"] if ids else [])
            return
        wrong = []
        with closing(Store(URL)) as store:
            lost = ids - {found.id for found in store.records(tag="x")}
        if lost:
            wrong.append(f"lost: {' '.join(sorted(lost))}")
        with closing(sqlite3.connect(_uri("rw"), uri=True, timeout=60)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchall()
        if whole != [("ok",)]:
            wrong.append(f"integrity_check: {whole[:3]}")
        told.put(wrong)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        told.put([f"check: {type(error).__name__}: {error}"])


@contextmanager
def readers(findings: Findings) -> Iterator[None]:
    """One reader of each kind beside it; what they say is added to the findings."""
    processes = [FORK.Process(target=read, args=(kind,), daemon=True) for kind in READERS]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()
        for path in Path().glob("read-*"):
            lines = path.read_text(encoding="utf-8").splitlines()
            findings.reads[path.name.removeprefix("read-")] += len(lines)
            findings.wrong += [f"{path.name}: {line}" for line in lines if line]


def kill(
    start: Callable[[Path, int], Any], kills: int, longest_pause: float, findings: Findings
) -> None:
    """Three writers on one database, killed at random moments and started again."""
    files = [Path(f"acknowledged-{number}") for number in range(WRITERS)]
    writers = [start(file, number) for number, file in enumerate(files)]
    with readers(findings):
        for _ in range(kills):
            until = perf_counter() + random.random() * longest_pause
            while perf_counter() < until:
                sleep(min(0.05, max(0.0, until - perf_counter())))
                for number in (n for n, writer in enumerate(writers) if _has_ended(writer)):
                    writers[number] = start(files[number], number)
            one = random.randrange(WRITERS)
            victims = range(WRITERS) if random.random() < ALL_AT_ONCE else [one]
            for number in victims:
                os.kill(writers[number].pid, signal.SIGKILL)
            for number in victims:
                _wait(writers[number])
            told = FORK.Queue()
            ids = {name for file in files for name in acknowledged(file)}
            checker = FORK.Process(target=check, args=(ids, told))
            checker.start()
            findings.wrong += told.get()
            checker.join()
            findings.kills += 1
            for number in victims:
                writers[number] = start(files[number], number)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        _wait(writer)
    findings.acknowledged += sum(len(acknowledged(file)) for file in files)
    findings.databases += 1


def _has_ended(process: Any) -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is not None
    return not process.is_alive()


def _wait(process: Any) -> None:
    process.wait() if isinstance(process, subprocess.Popen) else process.join()


def in_new_folders(
    start: Callable[[Path, int], Any], kills: int, each: int, longest_pause: float
) -> Findings:
    findings, home = Findings(), Path.cwd()
    for first in range(0, kills, each):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                kill(start, min(each, kills - first), longest_pause, findings)
            finally:
                os.chdir(home)
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of command lines")
    parser.add_argument("--store-kills", type=int, default=300, help="of loops of Store.put")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print", action="store_true", help="write no report")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    started = perf_counter()
    found = {
        "`Store.put` in a loop": in_new_folders(
            start_loop, arguments.store_kills, KILLS_OF_A_FILE, 0.15
        ),
        "command lines": in_new_folders(start_command, arguments.kills, arguments.kills or 1, 12.0),
    }
    rows: list[tuple[str, ...]] = [
        ("what is killed", "kills", "databases", "records acknowledged", "reads beside", "wrong")
    ]
    for name, findings in found.items():
        reads = ", ".join(f"{count} {kind}" for kind, count in findings.reads.items())
        rows.append(
            (
                name,
                *(str(findings.kills), str(findings.databases), str(findings.acknowledged)),
                *(reads, str(len(findings.wrong))),
            )
        )
    wrong = [f"- {line}" for findings in found.values() for line in findings.wrong]
    lines = [*table(rows), "", f"SQLite {sqlite3.sqlite_version}.", "", *wrong]
    if arguments.print:
        print("\n".join(lines))
    else:
        save_page("kills", "Processes killed while they write", "make bench-kills", lines)
    print(f"{perf_counter() - started:.0f} s", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
