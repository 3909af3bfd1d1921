"""Connections to the database: to write in turn with others, and to read and change nothing.

An SQLite file is never opened as a file here. Closing it would drop the locks that SQLite holds
on it in this process (POSIX). Another process that closes would take itself for the last one and
remove the write-ahead log: a reader then gets "database disk image is malformed" from a database
that is whole, and a writer may lose records.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, NullPool, create_engine

from benchbench.errors import UserError, first_line
from benchbench.structure import loads

BUSY_SECONDS = 30.0  # to wait for another process that writes
FEW_PAGES = 10  # of SQLite's cache: more is written to the disk while a transaction goes on

# What can be done about it, by SQLite's primary error codes.
BESIDE = (
    "SQLite must write beside it; to read it, copy it to where that is allowed, with the -wal or "
    "-journal file beside it"
)
ADVICE = {
    sqlite3.SQLITE_BUSY: "another process has kept it locked for {seconds:g} s",
    sqlite3.SQLITE_CORRUPT: "take a copy that is whole, or save what is left with the sqlite3 "
    "program's .recover",
    sqlite3.SQLITE_CANTOPEN: BESIDE,
    sqlite3.SQLITE_READONLY: BESIDE,
    sqlite3.SQLITE_NOTADB: "name another file",
}
# What SQLite says where it may not write beside a database.
NOT_BESIDE_IT = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class Unreadable(ValueError):
    """What a driver hands out instead of a document that is no JSON."""


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite database, links followed, None for a server's.

    Raises:
        UserError: it is no path of a file, or in memory, where records would be gone at the end.
        OSError: the path cannot be followed.
    """
    if url.get_backend_name() != "sqlite":
        return None
    if url.get_driver_name() != "pysqlite" or url.query:
        raise UserError("an SQLite database is sqlite:///PATH, with no driver and no ?options")
    if not url.database or url.database == ":memory:":
        raise UserError("a database in memory would be gone at the end; name a file")
    try:
        path = Path(os.path.realpath(Path(url.database).expanduser()))
    except (RuntimeError, ValueError) as error:  # nobody's home, a null byte
        raise UserError(first_line(error)) from error
    exists(path)
    return path


def exists(path: Path) -> bool:
    """Whether there is a file.

    Raises:
        UserError: there is something else.
        OSError: the path cannot be followed.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise UserError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
    return True


def writing_engine(url: URL, path: Path | None) -> Engine:
    """Connections that may write; an SQLite file is made where there is none.

    Each transaction has a connection of its own: see `_connect_to_write`.
    """
    return _engine(url, None if path is None else partial(_connect_to_write, path))


def reading_engine(url: URL, path: Path | None) -> Engine:
    """Connections that change nothing."""
    return _engine(url, None if path is None else partial(_connect_to_read, path))


def _engine(url: URL, connect: Callable[[], sqlite3.Connection] | None) -> Engine:
    options: dict[str, Any] = {"creator": connect} if connect else {}
    return create_engine(
        url,
        poolclass=NullPool,
        json_serializer=_serialised,
        json_deserializer=_deserialised,
        **options,
    )


def _serialised(value: object) -> str:
    # Half a character, as a name of a file may hold, is no Unicode: it would not be read again.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.encode(errors="replace").decode()


def _deserialised(text: object) -> object:
    """The document, or what is wrong with it: raised here it would end the whole query."""
    if not isinstance(text, str):
        return Unreadable(f"it is {type(text).__name__} and no text")
    try:
        return loads(text)
    except ValueError as error:
        return Unreadable(first_line(error))


def _connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection for one transaction.

    It never copies the write-ahead log into the database while others write: versions of SQLite
    before 3.51.3 may lose records then (https://sqlite.org/wal.html#walresetbug). The last one
    that closes does it, when it has the file for itself.
    """
    connection = _connect(path, "rwc")
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            # Refused while another process writes, which then switches it or has done so.
            # Without the switch all stays correct, only readers wait.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing: not the file, nor what lies beside it.

    Where there is a write-ahead log, a connection that may write would copy it into the database
    when it closes. Where there is none, one that may not write would leave an empty one behind
    if the database uses it, and could not read a database that a killed process left half
    written.
    """
    try:
        return _reader(path, "ro" if _log(path).exists() else "rw")
    except sqlite3.OperationalError as error:
        if _code(error) not in NOT_BESIDE_IT or not _is_out_of_reach(path):
            raise
        return _reader(path, "ro&immutable=1")


def _is_out_of_reach(path: Path) -> bool:
    """Whether a database is in write-ahead mode where that cannot work, and nobody writes.

    Even to read, SQLite makes a log and an index beside such a database. It does without, and
    without locks, if it is told that nobody can change the file. That is so on a read-only file
    system; where only this user may not write, whoever writes has a log there.
    """
    beside = (_log(path), path.with_name(f"{path.name}-journal"))
    return not os.access(path.parent, os.W_OK) and not any(other.exists() for other in beside)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _reader(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    name = quote(os.fsencode(path))
    # No transactions of the driver's own: they begin at the first write, too late to wait.
    connection = sqlite3.connect(
        f"file://{name}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    """Bytes that are no UTF-8 are found out later, with the record that has them."""
    return data.decode("utf-8", "surrogateescape")


def is_sqlite(path: Path) -> bool:
    """Whether SQLite takes a file for a database.

    Raises:
        sqlite3.Error: it does, but cannot read it.
    """
    if not path.stat().st_size:
        return False
    try:
        with closing(_connect_to_read(path.resolve())):
            return True
    except sqlite3.DatabaseError as error:
        if _code(error) == sqlite3.SQLITE_NOTADB:
            return False
        raise


@contextmanager
def stand_in(path: Path) -> Iterator[Path]:
    """A path to try what a database that does not exist yet would meet: gone afterwards.

    It lies in the nearest folder that exists. The folders that are lacking are not made: they
    might be taken away again while another process is about to write there.

    Raises:
        OSError: no such folder or file can be made; its filename is the folder.
    """
    existing = next(folder for folder in path.parents if folder.exists())
    try:
        made = tempfile.TemporaryDirectory(prefix=".benchbench-", dir=existing)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(existing)) from error
    with made as folder:
        tried = Path(folder, path.relative_to(existing))
        try:
            tried.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path.parent)) from error
        yield tried


def why(error: BaseException) -> str:
    """What a database or the system says, in one line, and what can be done about it."""
    error = getattr(error, "orig", None) or error
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    advice = ADVICE.get(_code(error), "").format(seconds=BUSY_SECONDS)
    return f"{first_line(error)}; {advice}" if advice else first_line(error)


def _code(error: BaseException) -> int:
    """SQLite's primary error code; the extended ones keep it in their last byte."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
