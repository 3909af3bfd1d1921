"""Whose commit a record names: what git itself says of the repository that the code is of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchbench.revision import network_revision, own_revision, revision

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.example")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one committed module, in which the test runs as its user would."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "their_network.py").write_text("raise SystemExit('imported')\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return folder


def test_own_revision_is_not_that_of_the_folder_it_is_called_from(repository: Path) -> None:
    own_revision.cache_clear()
    found = own_revision()
    assert found is None or found["commit"] != git(repository, "rev-parse", "HEAD")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_own_revision_is_what_git_says_of_the_checkout(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under a hook, whose variables point every git at the hook's repository."""
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    own_revision.cache_clear()
    found = own_revision()
    monkeypatch.delenv("GIT_DIR")
    assert found is not None
    assert found["commit"] == git(ROOT, "rev-parse", "HEAD")


def test_a_networks_revision_is_its_own_and_nothing_is_imported(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    expected = {"module": "their_network", "commit": commit, "dirty": False}
    assert network_revision("their_network.Net") == expected
    (repository / "notes.txt").write_text("this is no code of the network")
    assert network_revision("their_network.Net") == expected
    (repository / "their_network.py").write_text("changed = True\n")
    assert network_revision("their_network.Net") == expected | {"dirty": True}


@pytest.mark.parametrize(
    "target", ["architectures.resnet.ResNet", "nosuchmodule.Net", "json.JSONDecoder", "", "a b.C"]
)
def test_other_networks_have_no_revision(repository: Path, target: str) -> None:
    assert network_revision(target) is None


def test_an_environment_inside_a_checkout_is_no_part_of_it(repository: Path) -> None:
    installed = repository / ".venv" / "benchbench" / "__init__.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert revision(installed, [installed.parent]) is None
