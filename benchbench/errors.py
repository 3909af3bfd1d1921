"""Errors that are for people: one line, the offending value, the allowed ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend. The message is one line; the exit code is 2."""


class NoEvidence(UserError):
    """There was nothing to measure or to judge. The exit code is 3."""


# What people say for an option, whichever choice it belongs to.
MEANT = {
    **dict.fromkeys(("gpu", "nvidia", "cuda:0", "cuda0"), "cuda"),
    **dict.fromkeys(("host", "x86", "arm"), "cpu"),
    **dict.fromkeys(("torch", "pytorch", "python"), "eager"),
    **dict.fromkeys(("compile", "inductor", "torch.compile", "torchcompile"), "compiled"),
    **dict.fromkeys(("cudagraph", "cuda_graphs", "graph"), "cuda_graph"),
    **dict.fromkeys(("onnx", "ort", "onnxrt", "onnx_runtime"), "onnxruntime"),
    **dict.fromkeys(("ov", "open_vino", "intel"), "openvino"),
    **dict.fromkeys(("fast", "short", "small"), "quick"),
    **dict.fromkeys(("normal", "default", "medium"), "standard"),
    **dict.fromkeys(("slow", "long", "full", "thorough", "exact"), "rigorous"),
    **dict.fromkeys(("float32", "float", "f32", "32", "single"), "fp32"),
    **dict.fromkeys(("float16", "half", "f16", "16"), "fp16"),
    **dict.fromkeys(("bfloat16", "bfloat"), "bf16"),
    **dict.fromkeys(("i8", "8", "quantized", "quantised", "qint8"), "int8"),
    **dict.fromkeys(("nhwc", "channels-last", "channelslast"), "channels_last"),
    **dict.fromkeys(("nchw", "channels_first", "contig"), "contiguous"),
    **dict.fromkeys(("eval", "test", "infer", "predict"), "inference"),
    **dict.fromkeys(("training", "fit"), "train"),
    **dict.fromkeys(("text", "txt", "terminal", "pretty", "markdown", "md"), "table"),
    **dict.fromkeys(("jsonl", "document"), "json"),
    **dict.fromkeys(("flops", "macs", "params", "count", "counts"), "complexity"),
    **dict.fromkeys(("time", "speed", "timing"), "latency"),
    **dict.fromkeys(("bench", "benchmark", "measure", "run"), "profile"),
    **dict.fromkeys(("ls", "models", "show"), "list"),
    **dict.fromkeys(("diff", "regression"), "compare"),
    **dict.fromkeys(("guideline",), "guidelines"),
}
LONGEST_LINE = 2000  # characters of a message, far more than ours have
LONGEST_VALUE = 200  # of one value, or of what an exception says, in a message


def unknown(what: str, name: str, allowed: Iterable[str], see: str = "--help") -> UserError:
    """`name` is none of `allowed`: what was meant, close matches, or all of them if they are few.

    `see` shows them when they are many.
    """
    options = sorted(allowed)
    shown = shortened(name)
    rest = f"; {see} shows all {len(options)}" if len(options) > 16 else ""
    allowed_ones = "" if rest else f"; allowed: {', '.join(options)}"
    return UserError(f"unknown {what} {shown!r}{suggestion(shown, options)}{allowed_ones}{rest}")


def suggestion(name: str, options: Sequence[str]) -> str:
    """ "; did you mean cuda?", the close matches among the options, or nothing."""
    meant = MEANT.get(name.lower())
    if meant in options:
        return f"; did you mean {meant}?"
    close = get_close_matches(name, options, n=3, cutoff=0.6)
    return f"; close: {', '.join(close)}" if close else ""


def printable(text: str) -> str:
    """A text that moves no cursor of a terminal, and that UTF-8 can encode."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(line: str) -> None:
    """Tell the user something on stderr, in one line; if stderr is full or gone, go on."""
    with suppress(OSError, ValueError):
        line = printable(shortened(line, LONGEST_LINE))
        print(f"benchbench: {line}", file=sys.stderr, flush=True)


def shortened(text: str, longest: int = LONGEST_VALUE) -> str:
    """The text, or its beginning and end with what was left out counted between them."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"


def first_line(error: BaseException) -> str:
    """What an exception says, in one line; if it says nothing, its name and where it was raised."""
    first, *more = _text(error).strip().splitlines() or [kind(error) + _place(error)]
    line = f"{first} {more[0].strip()}" if more and first.endswith(":") else first
    return shortened(line.strip(), 2 * LONGEST_VALUE)


def described(error: BaseException) -> str:
    """An exception's class and what it says: "ValueError: no such key"; the class once."""
    line = first_line(error)
    return f"{kind(error)}: {line}" if _text(error).strip() else line


def kind(error: BaseException) -> str:
    """The name of an exception's class, asked past a metaclass that answers otherwise."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return shortened(name)


def _text(error: BaseException) -> str:
    """An exception's text. One of a network's own may raise when asked, or answer anything."""
    try:
        return str.__str__(str(error))
    except BaseException:  # noqa: BLE001 - whatever it raises, it has no text
        return "its text cannot be read"


def _place(error: BaseException) -> str:
    """ " in net.py line 12", or nothing for an exception that was never raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return ""
    return f" in {last.tb_frame.f_code.co_filename} line {last.tb_lineno}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused: Python's, PyTorch's (a bare RuntimeError), CUDA's."""
    phrases = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(phrase in _text(error) for phrase in phrases)
