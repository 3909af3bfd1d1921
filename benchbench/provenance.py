"""Where a case's weights come from, for its record; or whose they are, if not the case's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case, case_of_variant, weights_path
from benchbench.config import options
from benchbench.networks import build
from benchbench.weights import WrongCheckpoint, formats, read, recognise

if TYPE_CHECKING:
    from torch import Tensor

WORTH_NAMING = 0.5  # of its tensors agree in name and shape
SMALLEST = 164  # tensors of a MobileNetV1: no variant has fewer


def check_weights(case: Case) -> dict[str, Any] | None:
    """What the record says of a case's weights: file, digest, format and conventions.

    Raises:
        UserError: they cannot be read or do not fit; the network that they fit best is named.
    """
    if case.weights is None:
        return None
    checkpoint = read(case, shapes_only=True)
    try:
        source = recognise(build(replace(case, weights=None), "meta"), case, checkpoint)
    except WrongCheckpoint as error:
        hint = _nearest(case, checkpoint.tensors, better_than=error.agreement.share)
        error.args = (f"{error}{hint}",)
        raise
    with weights_path(case).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    eps = source.norm_eps
    return {
        "file": case.weights,
        "sha256": digest,
        "format": source.agreement.format,
        "padding": source.arguments.get("padding", "symmetric"),
        "norm_eps": "the family's own" if eps is None else eps,
        "entry": checkpoint.entry,
        "other_entries": list(checkpoint.others),
        "remarks": list(checkpoint.remarks),
        "warnings": list(source.warnings),
    }


def _nearest(case: Case, tensors: Mapping[str, Tensor], better_than: float) -> str:
    """The variant whose tensors agree best, if better than those of the case itself."""
    from architectures.checkpoints import best

    if len(tensors) <= SMALLEST * WORTH_NAMING:  # all variants take seconds to build
        return ""
    name, found, share = "", None, max(better_than, WORTH_NAMING)
    seen = set()
    for variant in options("model"):
        candidate = case_of_variant(case, variant)
        key = repr((candidate.target, candidate.arguments))
        if key in seen:  # another resolution has the same tensors
            continue
        seen.add(key)
        agreement = best(build(candidate, "meta"), tensors, formats("auto"))
        if agreement and agreement.share > share:
            name, found, share = variant, agreement, agreement.share
    if found is None:
        return ""
    total = found.agreeing + len(found.missing) + len(found.wrong_shape)
    return f"; nearest: {name} ({found.agreeing} of {total} tensors, {found.format})"
