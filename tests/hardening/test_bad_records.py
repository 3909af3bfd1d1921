"""Rows and files that are no records: each is named, and the others are read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databases import (
    COMPARE,
    FILE,
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

from benchbench.cases import Case
from benchbench.records import Record
from benchbench.store import Store


@pytest.fixture
def good(case: Callable[..., Case]) -> Record:
    return good_record(case())


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
        assert "6 more records cannot be read" in done.err


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
