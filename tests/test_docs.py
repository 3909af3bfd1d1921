"""The documents say what the program does."""

from __future__ import annotations

from pathlib import Path

import pytest
from readme import README, ROOT, written

from benchbench import __version__
from benchbench.config import options


def test_generated_parts_of_the_readme_are_current(tmp_path: Path) -> None:
    """`make readme` writes them."""
    text = README.read_text(encoding="utf-8")
    assert text == written(text, tmp_path)


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("group", ["device", "profiler", "budget", "task"])
def test_every_option_of_a_choice_is_in_the_readme(group: str) -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in options(group) if name not in text] == []


def test_what_the_readme_points_to_exists() -> None:
    text = README.read_text(encoding="utf-8")
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_changelog_has_a_place_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{__version__}]" in text
