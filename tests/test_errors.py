"""What people read of an error: one line, bounded, printable, whatever happens to stderr."""

from __future__ import annotations

import io
import sys

import pytest

from benchbench.errors import described, first_line, say, shortened, suggestion, unknown


class Broken(io.StringIO):
    """A stream whose reader has left, or whose disk is full."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_stderr_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        say("this run takes about 2 min")


def test_a_line_is_printable_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2Jred\n" + "x" * 10_000_000)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    assert "characters left out" in line
    assert len(line) < 2200


def test_a_long_value_keeps_both_ends() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 100 + "b" * 100, 20) == "aaaaaaaaaa [180 characters left out] bbbbbbbbbb"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("GPU", ["cpu", "cuda"], "; did you mean cuda?"),
        ("half", ["fp16", "fp32"], "; did you mean fp16?"),
        ("half", ["cpu", "cuda"], ""),
        ("resnet5", ["resnet50", "mobilenet_v1"], "; close: resnet50"),
    ],
)
def test_what_was_meant_is_said_where_it_can_be_chosen(
    name: str, options: list[str], said: str
) -> None:
    assert suggestion(name, options) == said
    assert said in str(unknown("device", name, options))


def test_an_exception_without_words_tells_where_it_was_raised() -> None:
    def fails() -> None:
        assert not sys.path

    with pytest.raises(AssertionError) as raised:
        fails()
    raised.value.args = ()
    assert first_line(raised.value).startswith(f"AssertionError in {__file__} line ")
    assert described(raised.value) == first_line(raised.value)
    assert described(ValueError("no such key")) == "ValueError: no such key"
