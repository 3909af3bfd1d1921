"""Weights from a file: whose they are, and what their library builds otherwise than we would."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case, weights_path
from benchbench.config import WEIGHTS_FORMATS
from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from architectures.checkpoint_entries import Checkpoint
    from architectures.checkpoints import Agreement


class Source(NamedTuple):
    """Whose weights they are, and the network that they want."""

    agreement: Agreement
    arguments: dict[str, Any]  # of the network, those that the user chose included
    norm_eps: float | None  # None: the family's own
    warnings: tuple[str, ...] = ()  # what was assumed and may be wrong


class WrongCheckpoint(UserError):
    """Names or shapes do not fit; `agreement` tells how far they do."""

    def __init__(self, message: str, agreement: Agreement) -> None:
        super().__init__(message)
        self.agreement = agreement


def read(case: Case, *, shapes_only: bool = False) -> Checkpoint:
    """The tensors of a case's checkpoint by name; with `shapes_only` on `meta`.

    Raises:
        UserError: there is no such file, or it cannot be read as tensors.
    """
    from architectures import checkpoint_files

    try:
        return checkpoint_files.read(weights_path(case), shapes_only=shapes_only)
    except ValueError as error:
        raise UserError(f"weights={error}") from error


def formats(weights_format: str) -> tuple[str, ...]:
    """The formats to try; `auto` means all, our own included."""
    from architectures.checkpoint_names import OWN

    known = tuple(name for name in WEIGHTS_FORMATS if name != "auto")
    return (OWN, *known) if weights_format == "auto" else (weights_format,)


def recognise(network: nn.Module, case: Case, checkpoint: Checkpoint) -> Source:
    """Whose weights these are. `network` is the case's own, on any device.

    Raises:
        WrongCheckpoint: names or shapes do not fit; the message names some of them.
        UserError: the format has no such family.
    """
    from architectures.checkpoints import best, conventions, may_pad_as_tensorflow

    found = best(network, checkpoint.tensors, formats(case.weights_format))
    if found is None:
        raise UserError(
            f"weights_format={case.weights_format} has no names for {case.name}; allowed: auto"
        )
    if not found.exact:
        raise WrongCheckpoint(f"weights={case.weights}: {_differences(found)}", found)
    tensorflow = _from_tensorflow(network, case, checkpoint)
    wanted = conventions(network, found.format, tensorflow=bool(tensorflow))
    assumed = tensorflow is None and found.format == "timm" and may_pad_as_tensorflow(network)
    return Source(
        found,
        wanted.arguments | dict(case.arguments),
        wanted.norm_eps,
        (f"weights={case.weights}: {ASSUMED}",) if assumed else (),
    )


ASSUMED = (
    "nothing in the file tells padding, batch-norm epsilon and preprocessing: it is read as one of "
    "timm's own (symmetric, 1e-05). timm's tf_ checkpoints have the same tensors and compute "
    "something else: for one of these say +model.padding=same, else +model.padding=symmetric"
)


def _from_tensorflow(network: nn.Module, case: Case, checkpoint: Checkpoint) -> bool | None:
    """Whether it is one of timm's `tf_` checkpoints; None where nothing tells.

    What the user says of the padding counts; else the network's name in the file; else that of the
    file or its folder. Hugging Face calls every file `model.safetensors`, in a folder named after
    the model.
    """
    if "padding" in case.arguments:
        return bool(case.arguments["padding"] == "same")
    told = checkpoint.architecture or ""
    if re.search(r"(^|[/:])tf_", told):
        return True
    if type(network).__name__.lower() in told.lower().replace("_", ""):
        return False
    path = Path(os.path.abspath(weights_path(case)))  # noqa: PTH100 - links kept: they have the name
    return True if any(re.search(r"(^|--)tf_", part) for part in path.parts[-4:]) else None


def _differences(agreement: Agreement) -> str:
    parts = [
        f"{len(names)} {what} ({', '.join(n[:200] for n in names[:3])}{', ...' * (len(names) > 3)})"
        for what, names in (
            ("missing", agreement.missing),
            ("unexpected", agreement.unexpected),
            ("of another shape", agreement.wrong_shape),
        )
        if names
    ]
    return f"does not fit as {agreement.format} names tensors: {'; '.join(parts)}"
