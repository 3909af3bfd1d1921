"""Temporary folders: those of killed runs go, nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchbench import folders as module


def test_folders_of_killed_runs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day, of a process that is no more; not one's own, nor what only looks like it."""
    monkeypatch.setattr(module, "gettempdir", lambda: str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = (f"benchbench-{dead.pid}-x", f"{module.temporary_prefix()}x", "benchbench-mine-x")
    yesterday = time.time() - 2 * 86400
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").touch()
        os.utime(tmp_path / name, (yesterday, yesterday))
    (tmp_path / f"benchbench-{dead.pid}-new").mkdir()
    module.remove_abandoned()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([*names[1:], f"benchbench-{dead.pid}-new"])
