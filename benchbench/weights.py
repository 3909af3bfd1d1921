"""Weights from a file: whose they are, and what their library builds otherwise than we would."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case, weights_path
from benchbench.config import WEIGHTS_FORMATS
from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from architectures.checkpoints import Agreement


class Source(NamedTuple):
    """Whose weights they are, and the network that they want."""

    agreement: Agreement
    arguments: dict[str, Any]  # of the network, those that the user chose included
    norm_eps: float | None  # None: the family's own


class WrongCheckpoint(UserError):
    """Names or shapes do not fit; `agreement` tells how far they do."""

    def __init__(self, message: str, agreement: Agreement) -> None:
        super().__init__(message)
        self.agreement = agreement


def read(case: Case, *, shapes_only: bool = False) -> dict[str, Tensor]:
    """The tensors of a case's checkpoint by name; with `shapes_only` on `meta`.

    Raises:
        UserError: there is no such file, or it cannot be read as tensors.
    """
    from architectures import checkpoints

    try:
        return checkpoints.read(weights_path(case), shapes_only=shapes_only)
    except ValueError as error:
        raise UserError(f"weights={error}") from error


def formats(weights_format: str) -> tuple[str, ...]:
    """The formats to try; `auto` means all, our own included."""
    from architectures.checkpoint_names import OWN

    known = tuple(name for name in WEIGHTS_FORMATS if name != "auto")
    return (OWN, *known) if weights_format == "auto" else (weights_format,)


def recognise(network: nn.Module, case: Case, tensors: Mapping[str, Tensor]) -> Source:
    """Whose weights these are. `network` is the case's own, on any device.

    Raises:
        WrongCheckpoint: names or shapes do not fit; the message names some of them.
        UserError: the format has no such family.
    """
    from architectures.checkpoints import best, conventions

    found = best(network, tensors, formats(case.weights_format))
    if found is None:
        raise UserError(
            f"weights_format={case.weights_format} has no names for {case.name}; allowed: auto"
        )
    if not found.exact:
        raise WrongCheckpoint(f"weights={case.weights}: {_differences(found)}", found)
    wanted = conventions(network, found.format, tensorflow=_from_tensorflow(case))
    return Source(found, wanted.arguments | dict(case.arguments), wanted.norm_eps)


def _from_tensorflow(case: Case) -> bool:
    """What the user says of the padding counts; else timm's name, of the file or its folder.

    Hugging Face calls every file `model.safetensors`, in a folder named after the model.
    """
    if "padding" in case.arguments:
        return bool(case.arguments["padding"] == "same")
    path = Path(os.path.abspath(weights_path(case)))  # noqa: PTH100 - links kept: they have the name
    return any(re.search(r"(^|--)tf_", part) for part in path.parts[-4:])


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
