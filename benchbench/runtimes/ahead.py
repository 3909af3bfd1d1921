"""What a case's runtime makes of the network beforehand, and what it will be compared with."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.folders import temporary_prefix
from benchbench.inputs import judged_input, make_input
from benchbench.networks import build
from benchbench.runtimes.activity import activity
from benchbench.runtimes.equality import keep_reference
from benchbench.runtimes.formats import feed, set_flags, tensors_of
from benchbench.runtimes.running import make_of

ACTIVATIONS = "activations.json"


def make(case: Case, folder: Path, begin: Callable[[], None] = lambda: None) -> Mapping[str, float]:
    """Fill a folder: eager fp32's answer, and what the runtime loads. Seconds of its steps.

    `begin` is called when the runtime's own work is about to begin.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    import torch

    network = build(case, case.device_name)
    fp32 = replace(case, precision="fp32")
    set_flags(fp32)  # also where the case multiplies in TF32
    with torch.inference_mode():
        answers = [network(feed(images.clone(), fp32)) for images in judged_input(case)]
    set_flags(case)
    reference = [tensor.clone() for answer in answers for tensor in tensors_of(answer)]
    if not reference:
        raise UserError(f"model={case.name} returns no tensor: there is nothing to compare")
    keep_reference(reference, folder)
    runtime_makes = make_of(case)
    if runtime_makes is None:
        return {}
    (folder / ACTIVATIONS).write_text(
        json.dumps(activity(network, feed(make_input(case).clone(), fp32)))
    )
    del reference, answers
    begin()
    return runtime_makes(case, network, folder)


def activations_from(folder: Path) -> dict[str, Any]:
    """What was found of the network's activations, in eager fp32, when it was made."""
    found: dict[str, Any] = json.loads((folder / ACTIVATIONS).read_text())
    return found


def made(case: Case) -> Path:
    """The folder of what was made of a case: its own, or one that is filled now.

    The latter goes when the process ends: sessions are opened from it again and again.
    """
    if case.prepared is not None:
        return Path(case.prepared)
    folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(case, folder)
    return folder
