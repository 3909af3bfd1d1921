"""Which folder modules come from, by a path that is made up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchbench import search_path
from benchbench.search_path import working_folder_last

STANDARD = "/usr/lib/python3"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The search path, which starts with the working folder as `python -m` makes it."""
    made = [str(tmp_path), STANDARD, str(tmp_path / "venv/site-packages"), str(tmp_path / "other")]
    monkeypatch.setattr(sys, "path", made)
    return made


def test_the_working_folder_comes_last(path: list[str], tmp_path: Path) -> None:
    expected = [*path[1:], str(tmp_path)]
    path.insert(2, "")  # PYTHONPATH may name it once more
    working_folder_last()
    assert sys.path == expected
    working_folder_last()
    assert sys.path == expected


def test_a_path_without_the_working_folder_stays(path: list[str]) -> None:
    del path[0]  # the installed command
    before = [*path]
    working_folder_last()
    assert sys.path == before


@pytest.mark.parametrize(("installed", "place"), [(True, 1), (False, 3)])
def test_a_checkout_comes_before_another_benchbench_that_is_installed(
    installed: bool, place: int, path: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the processes that are started would import the other one."""
    monkeypatch.setattr(search_path, "__file__", str(tmp_path / "benchbench/search_path.py"))
    if installed:
        package = tmp_path / "other/architectures"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    working_folder_last()
    assert sys.path.index(str(tmp_path)) == place
