"""A network as an ONNX graph, exported by torch's own exporter: what two runtimes load."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case
from benchbench.errors import UserError, first_line
from benchbench.inputs import make_input
from benchbench.runtimes.formats import feed, place

if TYPE_CHECKING:
    from torch import nn

MODEL = "model.onnx"
LARGEST_FILE = 2**30  # of protocol buffers, which end at 2 GiB; larger weights lie beside it
INPUT = "images"
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")  # what fails is an exception as well


def export(case: Case, network: nn.Module, folder: Path) -> Path:
    """Write the graph of a network for the case's input shape.

    Raises:
        UserError: torch's exporter has no translation for something in the network.
    """
    import torch

    path = folder / MODEL
    images = feed(make_input(case), case)
    _keep_translations()
    try:
        with _quiet():
            torch.onnx.export(
                place(network, case),
                (images,),
                path,
                opset_version=case.runtime_options["opset"],
                input_names=[INPUT],
                dynamo=True,
                external_data=_bytes(network) > LARGEST_FILE,
                optimize=True,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever the network raises
        why = first_line(_innermost(error))
        raise UserError(f"{_what(case)}: cannot be exported: {why}") from error
    written = _opset(path)
    if written != case.runtime_options["opset"]:
        raise UserError(f"{_what(case)}: torch's exporter writes {written} instead")
    return path


@cache
def _keep_translations() -> None:
    """Let the exporter build its table of translations once a process, and not once an export.

    That is a third of the time of a small network. A torch whose exporter is built otherwise is
    left as it is.
    """
    with suppress(ImportError, AttributeError):
        from torch.onnx._internal.exporter import _registration

        registry: Any = _registration.ONNXRegistry
        registry.from_torchlib = staticmethod(cache(registry.from_torchlib))


def make(case: Case, network: nn.Module, folder: Path) -> Mapping[str, float]:
    """Export the network and, for int8, quantise it. Seconds of each step."""
    started = perf_counter()
    path = export(case, network, folder)
    exported = perf_counter()
    if case.precision != "int8":
        return {"export": exported - started}
    from benchbench.runtimes.quantise import quantise

    quantise(case, path)
    return {"export": exported - started, "quantise": perf_counter() - exported}


def _what(case: Case) -> str:
    opset = case.runtime_options["opset"]
    return f"model={case.name} runtime={case.runtime} runtime.opset={opset}"


def _innermost(error: BaseException) -> BaseException:
    """What the network or an operator said, which the exporter wraps several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _opset(path: Path) -> int:
    """The version of ONNX's own operators in a file."""
    import onnx

    imports = onnx.load(path, load_external_data=False).opset_import
    return next(int(item.version) for item in imports if item.domain in ("", "ai.onnx"))


def _bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of libraries that we do not use."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
