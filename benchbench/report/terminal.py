"""A report as the text that a terminal or a pipe gets: what others wrote in it moves no cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from rich.text import Text

from benchbench.errors import printable

PIPED_WIDTH = 140  # in a file there is no width to fit into: long rows stay whole
# What a terminal without Unicode shows instead; of anything else a question mark.
ASCII = {
    "µ": "u",
    "±": "+-",
    "×": "x",
    "·": "*",
    "–": "-",
    "—": "-",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
}


def terminal_text(parts: Sequence[RenderableType], stream: TextIO) -> str:
    """The parts one below the other, as wide as the stream and in its encoding.

    Cells are text and no markup of rich's: a tag called "[/x]" is shown as it is.
    """
    width = None if stream.isatty() else PIPED_WIDTH
    console = Console(file=stream, width=width, markup=False, emoji=False)
    with console.capture() as captured:  # rich itself would exit on a closed pipe
        for part in parts:
            console.print(_harmless(part, console), end="", crop=False, overflow="ignore")
    return encodable(captured.get(), stream.encoding)


def encodable(text: str, encoding: str | None) -> str:
    """The text with what the encoding lacks replaced, so that printing it cannot fail."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for character, instead in ASCII.items():
            text = text.replace(character, instead)
        return text.encode(encoding, errors="replace").decode(encoding)
    return text


def _harmless(part: RenderableType, console: Console) -> Segments:
    """What the part renders to, each control character of its text shown as its escape."""
    options = console.options
    if isinstance(part, Text):  # a command is to be copied: it is neither wrapped nor cut
        options = options.update(no_wrap=True, overflow="ignore")
    return Segments(
        [
            segment if segment.control else Segment(_printable_lines(segment.text), segment.style)
            for segment in console.render(part, options)
        ]
    )


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
