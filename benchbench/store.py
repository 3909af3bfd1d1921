"""The database of records: one row each, written whole or not at all.

SQLite in write-ahead mode: a killed process leaves it intact, and two may write at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    URL,
    Connection,
    Engine,
    Integer,
    Select,
    String,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from benchbench import database
from benchbench.config import hide_password
from benchbench.errors import UserError, first_line, printable, say
from benchbench.records import SCHEMA_VERSION, Record, from_dict

TRIAL = "benchbench tries to write"  # the id of what is taken back again
TRIAL_BYTES = 1_000_000  # records are shorter, most of them by far
MOST_WARNINGS = 3  # of one query
LONGEST_ID = 80  # as shown


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


class Bad(NamedTuple):
    """A row that is no record."""

    id: object
    why: str

    def __str__(self) -> str:
        shown = self.id if isinstance(self.id, str) else repr(self.id)
        return f"record {shown[:LONGEST_ID]} cannot be read: {self.why}"


class Store:
    """Records at a database URL. Opening it writes nothing; `try_writing` finds out if one can.

    Records that cannot be read are left out of what is found, are told on stderr, and stand in
    `bad`.

    Raises:
        UserError: the URL is none, or what is there cannot be read or is no database of records.
    """

    def __init__(self, url: str | URL, called: str = "") -> None:
        self.called = called or f"store.url={hide_password(str(url))}"
        self.bad: list[Bad] = []
        with self._readable_errors():
            self.url = _parsed(url)
            self.path = database.sqlite_path(self.url)
            self._reading = database.reading_engine(self.url, self.path)
            self._writing = database.writing_engine(self.url, self.path)
            if self._is_there():
                with self._reading.connect() as connection:
                    _check(connection)

    def try_writing(self) -> None:
        """Write as much as a record and take it back, before minutes are spent on measuring.

        Raises:
            UserError: it cannot be done. Nothing is left of the trial.
        """
        with self._readable_errors():
            if self._is_there():
                _try_writing(self._writing)
            else:
                assert self.path is not None
                with database.stand_in(self.path) as path:
                    _try_writing(database.writing_engine(self.url, path))

    def put(self, record: Record) -> None:
        """Write a record, or what it has grown to, in one transaction.

        Raises:
            UserError: it is not written.
        """
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
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing.begin() as connection:
                _prepare(connection)
                with Session(connection) as session:
                    session.merge(row)
                    session.flush()

    def records(self, **having: str | None) -> list[Record]:
        """All records, or those with these values (`tag`, `id`, `task`, ...), oldest first.

        Raises:
            UserError: one was asked for by its id, and it cannot be read.
        """
        return self._read(self._query(having).order_by(Row.created, Row.id), "id" in having)

    def newest(self, count: int, **having: str | None) -> list[Record]:
        """The last records with these values, the newest first: whole documents are long."""
        return self._read(self._query(having).order_by(Row.created.desc()).limit(count))

    def _query(self, having: Mapping[str, str | None]) -> Select[tuple[str, dict[str, Any]]]:
        query = select(Row.id, Row.document)
        for column, value in having.items():
            query = query.where(getattr(Row, column) == value)
        return query

    def _read(
        self, query: Select[tuple[str, dict[str, Any]]], all_of_them: bool = False
    ) -> list[Record]:
        with self._readable_errors():
            if not self._is_there():
                return []
            with Session(self._reading) as session:
                if not inspect(session.connection()).has_table(Row.__tablename__):
                    return []  # made by a process that is about to write, or was killed then
                rows = list(session.execute(query))
        found, bad = [], []
        for name, document in rows:
            try:
                found.append(_record(name, document))
            except ValueError as error:
                bad.append(Bad(name, first_line(error)))
        if bad and all_of_them:
            raise UserError(f"{self.called}: {printable(str(bad[0]))}")
        self._tell([each for each in bad if each not in self.bad])
        return found

    def _tell(self, bad: Sequence[Bad]) -> None:
        """Once of each record: several queries may meet it."""
        self.bad += bad
        left_out = "it is left out; delete the record from the table records to be told no more"
        for each in bad[:MOST_WARNINGS]:
            say(f"{self.called}: {each}; {left_out}")
        if len(bad) > MOST_WARNINGS:
            say(f"{self.called}: {len(bad) - MOST_WARNINGS} more records cannot be read")

    def close(self) -> None:
        """Give back the connections."""
        self._reading.dispose()
        self._writing.dispose()

    def _is_there(self) -> bool:
        """Whether there is a database yet: a server's is there."""
        return self.path is None or database.exists(self.path)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            raise UserError(f"{self.called}: {error}") from error
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise UserError(f"{self.called}: {first_line(error)}") from error
        except (SQLAlchemyError, OSError) as error:
            raise UserError(f"{self.called} cannot be used: {database.why(error)}") from error


def _parsed(url: str | URL) -> URL:
    """The URL; SQLAlchemy would drop what stands after a question mark without a word."""
    if isinstance(url, str) and url.startswith("sqlite") and "?" in url:
        raise UserError("an SQLite database is sqlite:///PATH, with no driver and no ?options")
    return make_url(url)


def _check(connection: Connection) -> None:
    """Refuse another program's database: no table would be added to it, and none is read."""
    inspector = inspect(connection)
    # Asked for first: another process may be about to make ours.
    others = inspector.get_table_names() if connection.dialect.name == "sqlite" else []
    if inspector.has_table(Row.__tablename__):
        connection.execute(select(Row).limit(0))  # has it our columns?
    elif others:
        some = ", ".join(sorted(others)[:3])
        raise UserError(f"it is another program's database, of {some}, and has no table records")


def _try_writing(engine: Engine) -> None:
    row: dict[str, Any] = {column.name: "" for column in Row.__table__.columns}
    row |= {"id": TRIAL, "schema_version": SCHEMA_VERSION}
    row |= {"document": {"padding": "x" * TRIAL_BYTES}}
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA cache_size = {database.FEW_PAGES}")
        if Row.__tablename__ in inspect(connection).get_view_names():
            raise UserError(f"{Row.__tablename__} is a view, which cannot be written")
        _prepare(connection)
        connection.execute(insert(Row).values(**row))
        connection.rollback()


def _prepare(connection: Connection) -> None:
    """Begin to write, when it is one's turn, and make the tables.

    "if not exists" in SQL: asking first and creating then would race with another process.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    for table in Base.metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _record(name: object, document: object) -> Record:
    """The record of a row.

    Raises:
        ValueError: it is none.
    """
    if isinstance(document, database.Unreadable):
        raise document
    found = from_dict(document)
    if found.id != name:
        raise ValueError(f"its document is of record {found.id}"[: 2 * LONGEST_ID])
    return found
