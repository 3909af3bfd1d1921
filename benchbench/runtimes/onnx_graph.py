"""A network as an ONNX graph, exported by torch's own exporter: what two runtimes load."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchbench.cases import Case
from benchbench.errors import UserError, first_line
from benchbench.inputs import make_input
from benchbench.runtimes.formats import feed, place

if TYPE_CHECKING:
    from torch import nn

MODEL = "model.onnx"
LARGEST_FILE = 2**30  # of protocol buffers, which end at 2 GiB; larger weights lie beside it
INPUT = "images"


def export(case: Case, network: nn.Module, folder: Path) -> Path:
    """Write the graph of a network for the case's input shape.

    Raises:
        UserError: torch's exporter has no translation for something in the network.
    """
    import torch

    path = folder / MODEL
    images = feed(make_input(case), case)
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
        what = f"model={case.name} runtime={case.runtime} runtime.opset"
        opset = case.runtime_options["opset"]
        raise UserError(f"{what}={opset}: cannot be exported: {first_line(error)}") from error
    return path


def _bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of libraries that we do not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
