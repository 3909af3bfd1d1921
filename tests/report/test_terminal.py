"""What others wrote moves no cursor, is no markup, fits the encoding and begins no formula."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished
from rich.table import Table
from rich.text import Text

from benchbench.report.terminal import encodable, terminal_text
from benchbench.run import csv_text

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp [/x] [bold]b[/bold] :smile: \r"
SHOWN = r"\x1b[31mred\x1b]0;title \u202egnp [/x] [bold]b[/bold] :smile:"  # rich drops \x07 and \r


def shown(cell: str, encoding: str = "utf-8") -> str:
    table = Table()
    table.add_column("tag", no_wrap=True)
    table.add_row(cell)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return terminal_text([table, Text(f"repeat {cell}")], stream)


def test_cells_and_lines_are_shown_as_they_are_written() -> None:
    text = shown(HOSTILE)
    assert text.count(SHOWN) == 2
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_report_can_be_written_in_any_encoding(encoding: str) -> None:
    shown("15.8 µs ± 0.2 × 日本", encoding).encode(encoding)


def test_what_an_encoding_lacks_is_replaced() -> None:
    assert encodable("15.8 µs ±2 日", "ascii") == "15.8 us +-2 ?"
    assert encodable("15.8 µs ±2 日", "utf-8") == "15.8 µs ±2 日"


@pytest.mark.parametrize("start", ["=", "+", "@", "\t", "\r", "\n"])
def test_no_cell_of_csv_is_a_formula(start: str) -> None:
    """The apostrophe keeps spreadsheets from calculating; a negative number stays one."""
    text = csv_text([{"tag": f"{start}cmd()", "value": -1.5}], header=False)
    assert text.startswith(("'", "\"'"))
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    assert text.rstrip("\n").endswith(",-1.5")


def test_names_with_dollar_signs_are_drawn(cli: Callable[..., Finished]) -> None:
    """What stands between them is no formula, and need not be one that can be parsed."""
    finished = cli(
        *("model=mobilenet_v3_small", "profiler=complexity", "plots=true", "tag=$x_$"),
        *("results=from $5_to_$9", "resolution=32", "+model.num_classes=10", "output=json"),
    )
    assert finished.code == 0, finished.err
    assert list(Path("from $5_to_$9").rglob("*.png"))
