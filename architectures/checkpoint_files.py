"""Checkpoints as files: safetensors, and what torch.save writes. Nothing in them is executed.

What a file is, its first bytes tell and not its name. Whatever is read is read with a bound: of
objects, of how deep they nest, of bytes that tensors may claim to have.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from architectures.checkpoint_entries import Checkpoint, network_name, unwrapped
from architectures.files import shown, why_no_file
from architectures.outputs import tensors_in
from architectures.pickles import check_pickle

LONGEST_REASON = 300  # characters
LEGACY_PICKLES = 5  # magic number, version, system, content, keys of the storages
# Hugging Face's names of a file, beside which a config.json tells of it and of no other.
SOLE_FILES = ("model.safetensors", "pytorch_model.bin")
LARGEST_CONFIG = 2**20  # bytes


def read(path: Path, *, shapes_only: bool = False) -> Checkpoint:
    """The tensors of a checkpoint by name, and where in it they were; with `shapes_only` on `meta`.

    Raises:
        ValueError: there is no such file, or it holds no tensors by name.
    """
    wrong = why_no_file(path)
    if wrong is not None:
        raise ValueError(f"{shown(path)} {wrong}")
    device = "meta" if shapes_only else "cpu"
    try:
        content, told = _content(path, device)
    except Exception as error:  # what is no checkpoint makes the unpickler raise anything
        raise ValueError(f"{shown(path)} cannot be read as a checkpoint: {_why(error)}") from error
    try:
        found = unwrapped(content)
    except ValueError as error:
        raise ValueError(f"{shown(path)} {error}") from error
    name = found.architecture or network_name(told) or _said_beside(path)
    return found._replace(architecture=name)


def _content(path: Path, device: str) -> tuple[object, Mapping[str, str]]:
    """What was saved, and what safetensors says of it."""
    if _is_safetensors(path):
        return _safetensors(path, device)
    if zipfile.is_zipfile(path):
        _check_archive(path)
    else:
        with path.open("rb") as file:
            check_pickle(file, LEGACY_PICKLES)
    return _torch(path, device), {}


def _why(error: Exception) -> str:
    text = str(error).strip()
    if "Weights only load failed" in text:
        refused = re.search(r"GLOBAL (\S{1,100}) was not", text) or re.search(
            r"(?:class|type|instance of) (\S{1,100})", text
        )
        what = f": {refused[1]}" if refused else ""
        return f"it holds objects other than tensors, which could run code{what}"
    why = text.split("\n")[0]
    if " " not in why:  # a KeyError's key, say
        return "it is in no format of torch or safetensors"
    return why[:LONGEST_REASON]


def _is_safetensors(path: Path) -> bool:
    """A header's length in eight bytes, then JSON. What the name says does not count."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _safetensors(path: Path, device: str) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name).to(device) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _torch(path: Path, device: str) -> object:
    with warnings.catch_warnings(action="ignore"), safe_globals(_HARMLESS):
        content = torch.load(path, map_location=device, weights_only=True)
    if device == "meta":
        _check_storages(content, path.stat().st_size)
    return content


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if item.compress_type != zipfile.ZIP_STORED:
                raise ValueError("it is compressed, which torch.save never does")
            if item.filename.endswith("/constants.pkl"):
                raise ValueError("it is a TorchScript program; save its state_dict instead")
        for item in archive.infolist():
            if item.filename.endswith("/data.pkl"):
                with archive.open(item) as file:
                    check_pickle(file)  # type: ignore[arg-type]


def _check_storages(content: object, size: int) -> None:
    """On `meta`, where nothing was read: refuse tensors that would need more than the file has."""
    strided = (tensor for tensor in tensors_in(content) if tensor.layout is torch.strided)
    for tensor in strided:
        needed = tensor.untyped_storage().nbytes()
        if needed > size:
            raise ValueError(f"a tensor in it claims {needed:,} bytes; the file has {size:,}")


def _said_beside(path: Path) -> str | None:
    """The network that Hugging Face's config.json names, beside the one file it may be about."""
    config = path.with_name("config.json")
    if path.name not in SOLE_FILES or why_no_file(config) is not None:
        return None
    try:
        with config.open("rb") as file:
            found = json.loads(file.read(LARGEST_CONFIG))
    except (OSError, ValueError, RecursionError):
        return None
    return network_name(found)


class _Number:
    """What stands for a NumPy number: it is not wanted, and nothing is made of its bytes."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _encoded(*_: object) -> bytes:
    """What stands for the bytes of a NumPy number."""
    return b""


# What training scripts save beside the weights, and what stands for it. None of it runs code.
_HARMLESS: list[Any] = [
    Namespace,
    (_Number, "numpy.dtype"),
    (_Number, "numpy.core.multiarray.scalar"),
    (_Number, "numpy._core.multiarray.scalar"),
    (_encoded, "_codecs.encode"),
]
