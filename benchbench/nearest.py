"""Which network a checkpoint is of, when it is not of the one that was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchbench import weights
from benchbench.cases import Case, build, case_of_variant
from benchbench.config import variants
from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

WORTH_NAMING = 0.5  # of its tensors agree in name and shape


def check_weights(case: Case) -> dict[str, Any] | None:
    """What the record says of a case's weights: file, digest, format and conventions.

    Raises:
        UserError: they cannot be read or do not fit; the network that they fit best is named.
    """
    if case.weights is None:
        return None
    path = weights.weights_path(case.weights)
    tensors = weights.read(path, shapes_only=True)
    network = build(case, "meta", load_weights=False)
    try:
        source = weights.recognise(
            network, case.weights, case.weights_format, case.arguments, tensors
        )
    except UserError as error:
        raise UserError(f"{error}{_hint(case, tensors)}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    eps = source.norm_eps
    return {
        "file": case.weights,
        "sha256": digest,
        "format": source.agreement.format,
        "padding": source.arguments.get("padding", "symmetric"),
        "norm_eps": "the family's own" if eps is None else eps,
    }


def _hint(case: Case, tensors: Mapping[str, Tensor]) -> str:
    """The variant whose tensors agree best, if better than those of the case itself."""
    from architectures.checkpoints import best

    own = best(
        build(case, "meta", load_weights=False), tensors, weights.formats(case.weights_format)
    )
    name, found = "", own
    seen = set()
    for variant in variants():
        candidate = case_of_variant(case, variant.name)
        key = repr((candidate.target, candidate.arguments))
        if key in seen:  # another resolution has the same tensors
            continue
        seen.add(key)
        network = build(candidate, "meta", load_weights=False)
        agreement = best(network, tensors, weights.formats("auto"))
        if agreement and (found is None or agreement.share > found.share):
            name, found = variant.name, agreement
    if not name or found is None or found.share < WORTH_NAMING:
        return ""
    total = found.agreeing + len(found.missing) + len(found.wrong_shape)
    return f"; nearest: {name} ({found.agreeing} of {total} tensors, {found.format})"
