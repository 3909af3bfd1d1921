"""What a label may say: a class's index, or its WordNet id."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

IMAGENET_CLASSES = 1000


@cache
def imagenet_indices() -> dict[str, int]:
    """The index of each WordNet id of ILSVRC2012: 0 for n01440764, 999 for n15075141."""
    lines = Path(__file__).with_name("imagenet_wordnet_ids.txt").read_text("utf-8").splitlines()
    identifiers = [line for line in lines if not line.startswith("#")]
    return {identifier: index for index, identifier in enumerate(identifiers)}


def class_index(label: str, classes: int) -> int | None:
    """The index that a label stands for in a network of so many classes; None if it is none.

    WordNet ids have an order only for a network of ImageNet's 1000 classes.
    """
    if re.fullmatch("[0-9]{1,18}", label):
        return int(label) if int(label) < classes else None
    return imagenet_indices().get(label) if classes == IMAGENET_CLASSES else None


def allowed_labels(classes: int) -> str:
    """What `class_index` knows, for errors."""
    numbers = f"numbers from 0 to {classes - 1}"
    if classes != IMAGENET_CLASSES:
        return numbers
    return f"{numbers} and ImageNet's WordNet ids (n01440764)"
