"""Databases that people have: each is written or refused in a line, and none changed by reading."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Finished
from made import record

from benchbench import database
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


@pytest.fixture
def good(case: Callable[..., Case]) -> Record:
    measured = Measured(case(), machine_environment(), [exact("params", 7)])
    return record(measured, tag="x")


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


def changed(made: Record, **changes: Any) -> Any:
    """The document of a record with other values at dotted paths; None takes a key away."""
    document = json.loads(json.dumps(made.as_dict()))
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = document
        for parent in parents:
            inner = inner[int(parent) if parent.isdecimal() else parent]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return document


# What a document may be instead of a record's: text or bytes as they are, the rest changed in it.
BAD_DOCUMENTS: dict[str, tuple[Any, str]] = {
    "{}": ("{}", "is missing"),
    "a list": ("[]", "not an object"),
    "null": ("null", "not an object"),
    "a number": ("7", "int and no text"),
    "nothing": ("", "Expecting value"),
    "no JSON": ("{", "Expecting"),
    "NULL": (None, "not an object"),
    "an SQL number": (7, "int and no text"),
    "a blob": (b"{}", "bytes and no text"),
    "NaN": ('{"a": NaN}', "NaN is not JSON"),
    "infinity": ('{"a": 1e999}', "larger than a number"),
    "bad UTF-8": ("CAST(X'7B2261223A22FF227D' AS TEXT)", "not UTF-8"),
    "half a character": ('{"a": "\\ud800"}', "not UTF-8"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "a huge number": ('{"a": ' + "9" * 5000 + "}", "limit"),
    "newer": ({"schema_version": 2, "case": {}}, "schema_version 2 is newer than 1"),
    "older": ({"schema_version": 0}, "schema_version 0"),
    "a version in words": ({"schema_version": "1"}, "schema_version is '1' and not"),
    "no case": ({"case": None}, "case is missing"),
    "a case in words": ({"case": "b0"}, "case is 'b0' and not an object"),
    "a case without threads": ({"case__threads": None}, "case.threads is missing"),
    "threads in words": ({"case__threads": "1"}, "case.threads is '1' and not a whole number"),
    "threads true": ({"case__threads": True}, "case.threads is True"),
    "an unknown key": ({"case__colour": "red"}, "case.'colour' is an unknown key"),
    "no measurement": ({"measurements": []}, "needs metrics"),
    "measurements in words": ({"measurements": "none"}, "not a list"),
    "an unknown metric": ({"measurements__0__metric": "mac"}, "unknown metric 'mac'"),
    "samples in words": ({"measurements__0__samples": [["7"]]}, "samples[0][0] is '7'"),
    "a sample below 0": ({"measurements__0__samples": [[-7]]}, "from 0 on"),
    "processes in words": ({"measurements__0__details": {"processes": ["x"]}}, "processes"),
    "an unknown grade": ({"quality__grade": "E"}, "grade 'E'"),
    "no fingerprint": ({"environment": {}}, "fingerprint"),
    "another id": ({"id": "another"}, "is of record another"),
    "a tag in numbers": ({"tag": 5}, "tag is 5 and not a text or null"),
}


FULLY_TRIED = ("{}", "bad UTF-8", "NaN", "newer", "NULL", "deep", "threads in words")


def put_document(made: Record, document: Any) -> None:
    """Overwrite the document of a stored record."""
    keep(made)
    if isinstance(document, dict):
        document = json.dumps(changed(made, **document))
    cast = isinstance(document, str) and document.startswith("CAST")
    with closing(sqlite3.connect(FILE)) as connection:
        value = document if cast else "?"
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'records'"
        )
        connection.commit()
    with closing(sqlite3.connect(FILE)) as connection:
        connection.execute(
            f"UPDATE records SET document = {value} WHERE id = 'bad'", () if cast else (document,)
        )
        connection.commit()


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_record_is_named_and_the_others_are_read(
    cli: Cli, capfd: pytest.CaptureFixture[str], good: Record, name: str
) -> None:
    document, why = BAD_DOCUMENTS[name]
    keep(good)
    put_document(replace(good, id="bad"), document)
    before = snapshot()
    with closing(Store(URL)) as store:
        assert store.records(tag="x") == store.newest(5) == [good]
        ((found, told),) = store.bad
    assert found == "bad"
    assert why in told
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"benchbench: store.url={URL}: record bad cannot be read: {told}")
    assert "it is left out" in line
    if name in FULLY_TRIED:
        done = cli(*COMPARE, f"store.url={URL}", "output=csv")
        assert (done.code, len(done.out.splitlines())) == (0, 2)
        assert done.err.splitlines() == [line] * 2  # the baseline's and the candidate's
        check_error(cli("task=rank", "records=bad", f"store.url={URL}"), 2, "record bad", why, URL)
    assert snapshot() == before


@pytest.mark.parametrize(
    ("new", "shown"),
    [
        ("X'00FF'", r"b'\x00\xff'"),
        ("NULL", "None"),
        ("7", "7"),
        ("CAST(X'C328' AS TEXT)", r"\udcc3("),
        ("char(27) || '[2J'", r"\x1b[2J"),
        (f"'{'9' * 9999}'", "9" * 80),
    ],
)
def test_odd_ids_are_shown_in_one_line(
    capfd: pytest.CaptureFixture[str], good: Record, new: str, shown: str
) -> None:
    keep(good)
    put_document(replace(good, id="bad"), {})
    execute(f"UPDATE records SET id = {new} WHERE id = 'bad'")
    with closing(Store(URL)) as store:
        assert store.records() == [good]
    (line,) = capfd.readouterr().err.splitlines()
    assert f"record {shown} cannot be read" in line


def test_where_nothing_can_be_read_there_is_no_evidence(cli: Cli, good: Record) -> None:
    """And many are told in a few lines."""
    for number in range(9):
        keep(replace(good, id=f"bad{number}"))
    execute("UPDATE records SET document = '{}'")
    for arguments in (READ, COMPARE):
        done = cli(*arguments, f"store.url={URL}")
        check_error(done, 3, URL, "none of 9 records can be read; record bad0")
        assert len(done.err.splitlines()) == 3 + 1 + 1
        assert "so are 6 more records" in done.err


def test_a_huge_tag_is_kept_and_found(cli: Cli, good: Record) -> None:
    tag = "é" * 2_000
    done = cli(*PROFILE, f"store.url={URL}", f"tag={tag}")
    assert (done.code, done.err) == (0, "")
    keep(good)
    done = cli("task=compare", f"baseline={tag}", f"candidate={tag}", f"store.url={URL}")
    assert (done.code, done.err) == (0, "")


# A file given as baseline=, and a part of what is said of it.
FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "it is empty"),
    "text": ("no document", "must hold a database"),
    "bad UTF-8": (b'{"a": "\xff"}', "not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "must hold a database"),
    "NaN": ('{"schema_version": NaN}', "NaN"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "a list of numbers": ("[1]", "must hold"),
    "another task's": ('{"task": "list"}', "environment"),
    "newer": ('{"schema_version": 99}', "update benchbench"),
    "magic alone": (b"SQLite format 3\0", "must hold a database"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_something_else(cli: Cli, name: str) -> None:
    content, why = FILES[name]
    path = Path("what?#100%.json")  # a question mark would end the path of a URL
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    before = snapshot()
    check_error(cli("task=compare", f"baseline={path}", f"candidate={path}"), 2, str(path), why)
    assert snapshot() == before


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
