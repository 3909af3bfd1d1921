"""Shared fixtures: one torch thread, an empty working folder, the command line in process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from benchbench.__main__ import main
from benchbench.cases import Case

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _empty_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every test runs where nothing is, so that whatever it writes can be seen.

    Its lock is its own as well: tests that run at the same time do not measure anything.
    """
    monkeypatch.chdir(tmp_path)
    locks = tmp_path_factory.mktemp("locks")
    locks.chmod(0o777)
    monkeypatch.setenv("BENCHBENCH_LOCKS", str(locks))


class Finished(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the command line in this process."""

    def run(*arguments: str) -> Finished:
        code = main(arguments)
        out, err = capfd.readouterr()
        return Finished(code, out, err)

    return run


@pytest.fixture
def shell() -> Callable[..., Finished]:
    """Run the command line as people do, in a process of its own."""

    def run(*arguments: str, variables: dict[str, str] | None = None) -> Finished:
        environment = os.environ | {"PYTHONPATH": str(TESTS.parent)} | (variables or {})
        done = subprocess.run(
            [sys.executable, "-m", "benchbench", *arguments],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env=environment,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def case() -> Callable[..., Case]:
    """A small case, with what a test wants different."""

    def make(**changes: Any) -> Case:
        values: dict[str, Any] = {
            "name": "mobilenet_v2",
            "target": "architectures.mobilenet_v2.MobileNetV2",
            "arguments": {},
            "resolution": 64,
            "batch_size": 1,
            "device": "cpu",
            "device_index": 0,
            "runtime": "eager",
            "precision": "fp32",
            "layout": "contiguous",
            "threads": 1,
            "input": "random",
            "preprocessing": "torchvision",
            "seed": 0,
        }
        return Case(**(values | changes))

    return make
