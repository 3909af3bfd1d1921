"""Weights from a file: whose they are, what they want of the network, and into it with them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.config import WEIGHTS_FORMATS
from benchbench.errors import UserError, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

    from architectures.checkpoints import Agreement


class Source(NamedTuple):
    """Where weights come from, and what their library builds other than we would."""

    path: Path
    agreement: Agreement
    arguments: dict[str, Any]  # of the network, those that the user chose included
    norm_eps: float | None  # None: the family's own


def weights_path(weights: str) -> Path:
    """The path of a checkpoint.

    Raises:
        UserError: a `~name` that is nobody's home.
    """
    try:
        return Path(weights).expanduser()
    except RuntimeError as error:
        raise UserError(f"weights={weights}: {first_line(error)}") from error


def read(path: Path, *, shapes_only: bool = False) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; with `shapes_only` without their content.

    Raises:
        UserError: there is no such file, or it cannot be read as tensors.
    """
    from architectures import checkpoints

    try:
        return checkpoints.read(path, shapes_only=shapes_only)
    except ValueError as error:
        raise UserError(f"weights={error}") from error


def formats(weights_format: str) -> tuple[str, ...]:
    """The formats to try; `auto` means all, our own included."""
    from architectures.checkpoint_names import OWN

    known = tuple(name for name in WEIGHTS_FORMATS if name != "auto")
    return (OWN, *known) if weights_format == "auto" else (weights_format,)


def recognise(
    network: nn.Module,
    weights: str,
    weights_format: str,
    arguments: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> Source:
    """Whose weights these are. `network` was built from `arguments`, on any device.

    Raises:
        UserError: names or shapes do not fit; the message names some of them.
    """
    from architectures.checkpoints import best, conventions

    found = best(network, tensors, formats(weights_format))
    if found is None:
        family = type(network).__name__
        raise UserError(f"weights_format={weights_format} has no {family}; allowed: auto")
    if not found.exact:
        raise UserError(f"weights={weights}: {_differences(found)}")
    path = weights_path(weights)
    wanted = conventions(network, found.format, tensorflow=_from_tensorflow(path, arguments))
    return Source(path, found, wanted.arguments | dict(arguments), wanted.norm_eps)


def _from_tensorflow(path: Path, arguments: Mapping[str, Any]) -> bool:
    """What the user says of the padding counts; else timm's name for such a file."""
    if "padding" in arguments:
        return bool(arguments["padding"] == "same")
    return path.name.startswith("tf_")


def _differences(agreement: Agreement) -> str:
    parts = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (
            ("missing", agreement.missing),
            ("unexpected", agreement.unexpected),
            ("of another shape", agreement.wrong_shape),
        )
        if names
    ]
    return f"does not fit as {agreement.format} names tensors: {'; '.join(parts)}"


def fill(network: nn.Module, source: Source, tensors: Mapping[str, Tensor]) -> bool:
    """Put the tensors into a network on `meta`, in place of its own.

    Returns whether that filled it: a network may hold tensors that no state_dict has.
    """
    from architectures.checkpoints import convert

    network.load_state_dict(convert(network, tensors, source.agreement.format), assign=True)
    return not any(item.is_meta for item in chain(network.parameters(), network.buffers()))
