"""The database of records: one row each, written whole or not at all.

SQLite in write-ahead mode: a killed process leaves it intact, and two may write at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Integer,
    Select,
    String,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from benchbench.config import hide_password
from benchbench.errors import UserError, first_line
from benchbench.folders import check_writable
from benchbench.records import Record, from_dict

BUSY_SECONDS = 30.0  # to wait for another process that writes


class Base(DeclarativeBase):
    """The tables of the database."""


class Row(Base):
    """A record as a document, beside the columns that records are looked up by."""

    __tablename__ = "records"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schema_version: Mapped[int] = mapped_column(Integer)
    created: Mapped[str] = mapped_column(String(40), index=True)
    task: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(400), index=True)
    device: Mapped[str] = mapped_column(String(200))
    tag: Mapped[str | None] = mapped_column(String(400), index=True)
    fingerprint: Mapped[str] = mapped_column(String(40), index=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)


class Store:
    """Records at a database URL. Opening it writes nothing where there is no database yet.

    Raises:
        UserError: the URL is none, or its folder or file cannot be written or is no database.
    """

    def __init__(self, url: str) -> None:
        self.shown = hide_password(url)
        with self._readable_errors():
            self.engine = _engine(url)
            self._check()

    def put(self, record: Record) -> None:
        """Write a record, or what it has grown to, in one transaction."""
        row = Row(
            id=record.id,
            schema_version=record.schema_version,
            created=record.created,
            task=record.task,
            model=record.case.name,
            device=record.device_name,
            tag=record.tag,
            fingerprint=record.environment["fingerprint"],
            document=record.as_dict(),
        )
        with self._readable_errors():
            path = _sqlite_path(self.engine)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            with self.engine.begin() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                _create_tables(connection)
                with Session(connection) as session:
                    session.merge(row)
                    session.flush()

    def records(self, **having: str | None) -> list[Record]:
        """All records, or those with these values (`tag`, `id`, `task`, ...), oldest first."""
        return self._read(self._query(having).order_by(Row.created, Row.id))

    def _query(self, having: Mapping[str, str | None]) -> Select[tuple[dict[str, Any]]]:
        query = select(Row.document)
        for column, value in having.items():
            query = query.where(getattr(Row, column) == value)
        return query

    def _read(self, query: Select[tuple[dict[str, Any]]]) -> list[Record]:
        with self._readable_errors():
            path = _sqlite_path(self.engine)
            if path is not None and not path.exists():
                return []
            with Session(self.engine) as session:
                if not inspect(session.connection()).has_table(Row.__tablename__):
                    return []  # made by a process that is about to write, or was killed then
                documents = list(session.scalars(query))
        return [from_dict(document) for document in documents]

    def newest(self, count: int, **having: str | None) -> list[Record]:
        """The last records with these values, the newest first: whole documents are long."""
        return self._read(self._query(having).order_by(Row.created.desc()).limit(count))

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def _check(self) -> None:
        """Fail now rather than after minutes of measuring."""
        path = _sqlite_path(self.engine)
        if path is None:
            with self.engine.connect():
                return
        if path.exists():
            # Never open the file itself: closing it would drop the locks that SQLite holds on
            # it in this process (POSIX), and another process's clean-up would lose records.
            with self.engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                if inspect(connection).has_table(Row.__tablename__):
                    connection.execute(select(Row).limit(0))  # has it our columns?
                connection.exec_driver_sql("ROLLBACK")
            return
        check_writable(path.parent)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise UserError(f"store.url={self.shown}: {first_line(error)}") from error
        except (SQLAlchemyError, OSError) as error:
            why = first_line(getattr(error, "orig", None) or error)
            raise UserError(f"store.url={self.shown} cannot be used: {why}") from error


def _engine(url: str) -> Engine:
    engine = create_engine(
        make_url(url),
        json_serializer=lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False),
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own transactions begin at the first write, too late to wait for one's turn.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Refused while another process writes, which then switches it or has done so. Without
        # the switch all stays correct, only readers wait.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _create_tables(connection: Connection) -> None:
    # "if not exists" in SQL: asking first and creating then would race with another process.
    for table in Base.metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _sqlite_path(engine: Engine) -> Path | None:
    """The file of an SQLite database, None for a server's.

    Raises:
        UserError: the database is in memory, where records would be gone at the end.
    """
    if engine.dialect.name != "sqlite":
        return None
    database = engine.url.database
    if not database or database == ":memory:":
        raise UserError("store.url: a database in memory would be gone at the end; name a file")
    return Path(database)
