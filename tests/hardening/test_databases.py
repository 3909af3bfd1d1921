"""Databases that people have: each is written or refused in a line, none changed by reading."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from databases import (
    COMPARE,
    FILE,
    FULL,
    PROFILE,
    READ,
    URL,
    Cli,
    check_error,
    execute,
    good_record,
    keep,
    snapshot,
)

from benchbench import database
from benchbench.cases import Case
from benchbench.records import Record
from benchbench.store import Store


@pytest.fixture
def good(case: Callable[..., Case]) -> Record:
    return good_record(case())


# What `store.url=` cannot be, and a part of what is said of it.
WRONG_URLS = {
    "nonsense": "Could not parse",
    "http://host/x": "http",
    "nosuch:///x": "nosuch",
    "nosuch+driver:///x": "nosuch",
    "mysql://user:secret@host/x": "MySQLdb",
    "sqlite://": "in memory",
    "sqlite:///": "in memory",
    "sqlite:///:memory:": "in memory",
    "sqlite://host/x.sqlite": "Invalid SQLite URL",
    "sqlite:///x.sqlite?mode=ro": "no ?options",
    "sqlite:///what?.sqlite": "no ?options",
    "sqlite+aiosqlite:///x.sqlite": "no driver",
    "sqlite:///~nobodyatall/x.sqlite": "home",
    "sqlite:///nul\0.sqlite": "null",
    "sqlite:///folder": "it is a folder",
    "sqlite:///folder/": "it is a folder",
    "sqlite:///fifo": "no regular file",
    "sqlite:////dev/null": "no regular file",
    "sqlite:////dev/full": "no regular file",
    "sqlite:///text/x.sqlite": "Not a directory",
    "sqlite:///text/deeper/x.sqlite": "Not a directory",
    "sqlite:////dev/null/x/y.sqlite": "Not a directory",
    "sqlite:///loop": "symbolic links",
    "sqlite:///loop/x.sqlite": "symbolic links",
    f"sqlite:///{'x' * 300}.sqlite": "File name too long",
}

ALSO_READ = (
    *("nonsense", "sqlite://", "sqlite:///folder", "sqlite:///fifo", "sqlite:///loop"),
    *("sqlite:///text/x.sqlite", "sqlite:////dev/full", "sqlite:///x.sqlite?mode=ro"),
)


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_url_that_is_no_database(cli: Cli, url: str) -> None:
    Path("folder").mkdir()
    Path("text").write_text("text")
    Path("loop").symlink_to("loop")
    os.mkfifo("fifo")
    before = snapshot()
    for arguments in (PROFILE, READ) if url in ALSO_READ else (PROFILE,):
        done = cli(*arguments, f"store.url={url}")
        check_error(done, 2, "store.url=", WRONG_URLS[url])
        assert "secret" not in done.err
    assert snapshot() == before


# They cannot be made, which only writing finds out.
UNWRITABLE = {
    "sqlite:////proc/nosuch/x.sqlite": "No such file",
    f"sqlite:///{'y' * 300}/x.sqlite": "File name too long",
    f"sqlite:///{'y' * 250}-journal/x.sqlite": "File name too long",
}


@pytest.mark.parametrize("url", UNWRITABLE)
def test_a_place_where_nothing_can_be_made(cli: Cli, url: str) -> None:
    check_error(cli(*PROFILE, f"store.url={url}"), 2, "store.url=", UNWRITABLE[url])
    assert not snapshot()


# Where `store.url=` leads to, from an empty folder that is HOME.
PATHS = {
    "sqlite:///a b/c d.sqlite": "a b/c d.sqlite",
    "sqlite:///größe/数.sqlite": "größe/数.sqlite",
    "sqlite:///100%.sqlite": "100%.sqlite",
    "sqlite:///a#b.sqlite": "a#b.sqlite",
    'sqlite:///it\'s "x".sqlite': 'it\'s "x".sqlite',
    "sqlite:///5$.sqlite": "5$.sqlite",
    "sqlite:///x;y&z=1.sqlite": "x;y&z=1.sqlite",
    "sqlite:///~/x.sqlite": "x.sqlite",
    "sqlite:///new/and/deep/x": "new/and/deep/x",
    "sqlite:///new/../x.sqlite": "x.sqlite",
    "sqlite:///file:x.sqlite": "file:x.sqlite",
    "sqlite:///link": "nowhere/yet.sqlite",
    "sqlite+pysqlite:///x.sqlite": "x.sqlite",
}


@pytest.mark.parametrize("url", PATHS)
def test_a_path_is_taken_as_it_is(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path("link").symlink_to("nowhere/yet.sqlite")
    done = cli(*PROFILE, f"store.url={url}", "tag=x")
    assert (done.code, done.err) == (0, "")
    assert {path for path in Path().rglob("*") if path.is_file()} == {
        Path(PATHS[url]),
        *({Path("link")} if url.endswith("link") else ()),
    }
    with closing(Store(url)) as store:
        assert len(store.records(tag="x")) == 1


class Trial(NamedTuple):
    """A file and what becomes of it."""

    make: Callable[[], object]  # beside a database with a good record, of tag x
    writes: str | None  # a part of what is said; None: it is written
    reads: str | None


def overwrite(at: int, data: bytes) -> None:
    with FILE.open("r+b") as file:
        file.seek(at)
        file.write(data)


RENAMED = "ALTER TABLE records RENAME TO found"
TRIALS = {
    "empty file": Trial(lambda: FILE.write_bytes(b""), None, "is called so"),
    "empty database": Trial(
        lambda: (FILE.unlink(), execute("CREATE TABLE t (a)", "DROP TABLE t")), None, "called so"
    ),
    "text": Trial(lambda: FILE.write_text("no database"), *("not a database",) * 2),
    "long text": Trial(lambda: FILE.write_text("no database " * 999), *("not a database",) * 2),
    "json": Trial(lambda: FILE.write_text("[]"), *("not a database",) * 2),
    "zeros": Trial(lambda: FILE.write_bytes(bytes(8192)), *("not a database",) * 2),
    "magic alone": Trial(lambda: FILE.write_bytes(b"SQLite format 3\0"), *("not a database",) * 2),
    "magic and garbage": Trial(
        lambda: FILE.write_bytes(b"SQLite format 3\0" + b"\xa5" * 9000), *("not a database",) * 2
    ),
    "first page alone": Trial(lambda: os.truncate(FILE, 4096), *("malformed",) * 2),
    "truncated": Trial(lambda: os.truncate(FILE, 3 * 4096 + 100), *("malformed",) * 2),
    "first page's tree": Trial(lambda: overwrite(100, b"\xff" * 8), *("malformed",) * 2),
    "page 2": Trial(lambda: overwrite(4096, b"\xff" * 4096), *("malformed",) * 2),
    "view": Trial(
        lambda: execute(RENAMED, "CREATE VIEW records AS SELECT * FROM found"), "is a view", None
    ),
    "view of less": Trial(
        lambda: execute(RENAMED, "CREATE VIEW records AS SELECT id, tag FROM found"),
        *("no such column",) * 2,
    ),
    "missing column": Trial(
        lambda: execute("ALTER TABLE records DROP COLUMN device"), *("no such column",) * 2
    ),
    "other columns": Trial(
        lambda: execute(RENAMED, "CREATE TABLE records (name, price)"), *("no such column",) * 2
    ),
    "one column more": Trial(
        lambda: execute("ALTER TABLE records ADD COLUMN note TEXT"), None, None
    ),
    "one column more that is needed": Trial(
        lambda: execute(
            RENAMED,
            "CREATE TABLE records (id, schema_version, created, task, model, device, tag, "
            "fingerprint, document, note TEXT NOT NULL)",
        ),
        "NOT NULL",
        "is called so",
    ),
    "trigger": Trial(
        lambda: execute(FULL),
        "no more",
        None,
    ),
    "another program's": Trial(
        lambda: (FILE.unlink(), execute("CREATE TABLE moz_places (url)")),
        *("another program's database, of moz_places",) * 2,
    ),
    "rollback journal": Trial(lambda: execute("PRAGMA journal_mode = DELETE"), None, None),
    "as a link": Trial(lambda: (FILE.rename("y.sqlite"), FILE.symlink_to("y.sqlite")), None, None),
    "auto vacuum, other pages": Trial(
        lambda: execute(
            "PRAGMA journal_mode = DELETE",
            "PRAGMA page_size = 512",
            "PRAGMA auto_vacuum = FULL",
            "VACUUM",
        ),
        None,
        None,
    ),
    "UTF-16": Trial(
        lambda: (
            FILE.unlink(),
            execute("PRAGMA encoding = 'UTF-16'", "CREATE TABLE t (a)"),
            execute("DROP TABLE t"),
        ),
        None,
        "called so",
    ),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_file_is_used_or_refused(cli: Cli, good: Record, name: str) -> None:
    trial = TRIALS[name]
    keep(good)
    trial.make()
    before = snapshot()
    done = cli(*COMPARE, f"store.url={URL}")
    if trial.reads is None:
        assert (done.code, done.err) == (0, "")
    else:
        code = 3 if trial.reads in "is called so" else 2
        check_error(done, code, trial.reads)
        assert code == 3 or URL in done.err
    assert snapshot() == before
    done = cli(*PROFILE, f"store.url={URL}", "tag=x")
    if trial.writes is None:
        assert (done.code, done.err) == (0, "")
        assert set(snapshot()) == set(before)
        (*_, last) = Store(URL).records(tag="x")
        assert last.case.name == "shufflenet_v2_x0_5"
    else:
        check_error(done, 2, f"store.url={URL}", trial.writes)
        assert snapshot() == before


@contextmanager
def locked(*statements: str) -> Iterator[None]:
    with closing(sqlite3.connect(FILE, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        yield


def test_a_database_that_another_locks(
    cli: Cli, good: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that writes keeps readers out only where there is no write-ahead log."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    keep(good)
    with locked("BEGIN IMMEDIATE"):
        check_error(cli(*PROFILE, f"store.url={URL}"), 2, URL, "locked", "another process")
        assert cli(*COMPARE, f"store.url={URL}").code == 0
    execute("PRAGMA journal_mode = DELETE")
    with locked("BEGIN EXCLUSIVE"):
        for arguments in (PROFILE, COMPARE):
            check_error(cli(*arguments, f"store.url={URL}"), 2, URL, "locked", "another process")
    assert set(snapshot()) == {str(FILE)}


def test_what_a_log_holds_is_read_and_left_there(cli: Cli, good: Record) -> None:
    """As a killed process leaves it, or one that still writes."""
    keep(replace(good, id="before"))
    with locked("UPDATE records SET tag = 'other'"):
        keep(good)
        for name in (FILE, Path(f"{FILE}-wal")):
            Path("copy").mkdir(exist_ok=True)
            Path("copy", name).write_bytes(name.read_bytes())
    before = snapshot()
    done = cli(*COMPARE, "store.url=sqlite:///copy/x.sqlite")
    assert (done.code, done.err) == (0, "")
    assert {k: v for k, v in snapshot().items() if not k.endswith("-shm")} == before
    done = cli("task=compare", "baseline=copy/x.sqlite", "candidate=copy/x.sqlite")
    assert (done.code, done.err) == (0, "")
    assert {k: v for k, v in snapshot().items() if not k.endswith("-shm")} == before


def test_a_store_that_fails_at_the_end_never_takes_the_report(
    cli: Cli, good: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(good)
    monkeypatch.setattr(Store, "try_writing", lambda _: None)
    execute(FULL)
    done = cli(*PROFILE, f"store.url={URL}")
    assert done.code == 2
    assert len(done.out.splitlines()) == 2
    *_, last = done.err.splitlines()
    assert "no more; 1 of 1 records of this run are not kept as reported" in last
    assert Store(URL).records() == [good]
