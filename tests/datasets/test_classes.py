"""Which class a label is: against timm's list, and indices that other projects publish."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchbench.datasets.classes import class_index, imagenet_indices


def test_the_list_is_timms() -> None:
    """Its file is read, and nothing of it imported: that would want torchvision's operators."""
    timm = find_spec("timm")
    if timm is None or timm.origin is None:
        pytest.skip("timm is not installed")
    theirs = Path(timm.origin).parent / "data" / "_info" / "imagenet_synsets.txt"
    assert list(imagenet_indices()) == theirs.read_text().split()


# Imagenette's ten classes and Caffe's cats, with the indices that their users quote.
@pytest.mark.parametrize(
    ("identifier", "index"),
    [
        ("n01440764", 0),  # tench
        ("n02102040", 217),  # English springer
        ("n02979186", 482),  # cassette player
        ("n03000684", 491),  # chain saw
        ("n03028079", 497),  # church
        ("n03394916", 566),  # French horn
        ("n03417042", 569),  # garbage truck
        ("n03425413", 571),  # gas pump
        ("n03445777", 574),  # golf ball
        ("n03888257", 701),  # parachute
        ("n02123045", 281),  # tabby
        ("n02124075", 285),  # Egyptian cat
        ("n07920052", 967),  # espresso
        ("n15075141", 999),  # toilet tissue
    ],
)
def test_known_indices(identifier: str, index: int) -> None:
    assert class_index(identifier, 1000) == index


def test_a_thousand_identifiers_in_sorted_order() -> None:
    identifiers = list(imagenet_indices())
    assert len(identifiers) == 1000
    assert identifiers == sorted(set(identifiers))
    assert all(re.fullmatch(r"n\d{8}", identifier) for identifier in identifiers)


@pytest.mark.parametrize(
    ("label", "classes", "index"),
    [
        ("0", 10, 0),
        ("9", 10, 9),
        ("007", 10, 7),
        ("10", 10, None),
        ("-1", 10, None),
        ("1.0", 10, None),
        ("٣", 10, None),  # a digit, in Arabic
        ("9" * 5000, 10, None),  # more than Python reads at once
        ("cat", 1000, None),
        ("n01440764", 10, None),  # another network's order is unknown
        ("n01440764", 21841, None),
        ("n00000001", 1000, None),
    ],
)
def test_numbers_and_identifiers(label: str, classes: int, index: int | None) -> None:
    assert class_index(label, classes) == index
