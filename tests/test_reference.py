"""The copies of the reference figures agree with where they came from, where that is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

COPIES = Path(__file__).parent / "reference"
ORIGINALS = Path(__file__).parents[2] / "shared" / "reference"


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the originals are not beside this checkout")
@pytest.mark.parametrize("path", sorted(COPIES.iterdir()), ids=lambda path: path.name)
def test_a_copy_is_its_original(path: Path) -> None:
    assert path.read_bytes() == (ORIGINALS / path.name).read_bytes()
