"""Networks that misbehave: a report or one line with their name, and nothing of them is left."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from conftest import Finished

HERE = Path(__file__).parent
MARK = "BENCHBENCH_TEST_MARK"
BRIEF = (
    *("model.resolution=32", "budget.processes=1", "budget.seconds=0.05", "plots=false"),
    *("budget.warm_up_seconds=0.05", "budget.warm_up_limit_seconds=0.1", "output=json"),
)
Shell = Callable[..., Finished]

# What the line has to say, beside the network's name.
REFUSED = {
    "InterruptsItself": "KeyboardInterrupt",
    "EndsAGenerator": "GeneratorExit",
    "ExitsWith0": "tried to end the program with 0",
    "ExitsWithText": "tried to end the program with enough",
    "RaisesNoException": "NoException: a class of its own",
    "RaisesNoExceptionLater": "NoException: a class of its own",
    "RaisesUnsayable": "Unsayable: its text cannot be read",
    "RaisesUnsayableLater": "Unsayable: its text cannot be read",
    "RaisesInterrupting": "InterruptsWhenAsked: its text cannot be read",
    "RaisesANumber": "SaysANumber: its text cannot be read",
    "RaisesUnshowable": "Unshowable: its text cannot be read",
    "RaisesNameless": "Nameless",
    "RaisesALongText": "characters left out",
    "RaisesManyLines": "ValueError: first",
    "Recurses": "RecursionError",
    "RecursesLater": "RecursionError",
    "QuitsWith0": "ended with exit code 0",
    "QuitsWith1": "ended with exit code 1",
    "QuitsWith3Later": "ended with exit code 3",
    "Aborts": "SIGABRT",
    "SegfaultsLater": "SIGSEGV",
    "KillsItself": "memory ran out",
    "TerminatesItself": "SIGTERM",
    "HangsUp": "SIGHUP",
    "Alarms": "SIGALRM",
    "KillsItsParent": "killed",
    "LeavesADaemonAndQuits": "ended with exit code 0",
    "ClosesEverything": "ended with exit code 1",
    "ClosesEverythingLater": "ended with exit code 1",
    "ClosesItsStreams": "Bad file descriptor",
    "GoesAway": "No such file",
    "SetsThreads": "sets torch's number of threads to 2",
    "SetsThreadsLater": "sets torch's number of threads to 2",
    "SetsDefaultDevice": "meta tensor",
    "BreaksTorch": "'NoneType' object is not callable",
    "BreaksBuiltins": "its process",
    "DeletesItself": "no module 'misbehaving'",
    "AllocatesTooMuch": "not enough memory",
    "AllocatesTooMuchAtOnce": "MemoryError",
    "ReturnsALoop": "recursion",
    "CannotBeCopied": "NoException: no copies",
    "EvaluatesToNothing": "NoneType",
    "MovesToNothing": "NoneType",
    "HasNoParameters": "NoException: no parameters",
    "HasNoStride": "NoException: no stride",
    "HasAnEndlessStride": "resolution=32",
    "TakesTwo": "missing 1 required positional argument: 'y'",
    "NeedsAnArgument": "missing 1 required positional argument: 'width'",
    "HasNoForward": "forward",
    "IsBuiltAsAnother": "'int' object",
    "CannotBeBuilt": "signature",
    "HidesItsSignature": "signature",
}
MEASURED = (
    *("Net", "LeavesAThread", "LeavesAThreadLater", "LeavesADaemonThread", "ExitsInAThread"),
    *("SleepsAtExit", "LeavesAProcess", "LeavesAStubbornProcess", "LeavesADaemon"),
    *("LeavesAChild", "Forks", "CopiesItself", "ReplacesStreams", "IgnoresSignals"),
    *("CatchesSignals", "ClearsTheEnvironment", "ChangesTheLocale", "DisablesCollection"),
    *("SetsDefaultType", "EnablesGradients", "StopsTheClock", "MakesWarningsErrors"),
    *("LimitsItsRecursion", "ModifiesItsInput", "ReturnsNothing", "ReturnsText", "ReturnsItself"),
    "ReturnsAGenerator",
)
# They are measured, and what failed beside it is told in lines of their own.
TOLD = {
    "FailsInAThread": "in a thread: RecursionError",
    "FailsAtExit": "NoException: at exit",
    "FailsWhenDeleted": "NoException: deleted",
}
NOISY = {"PrintsMegabytes": "noisenoise", "WritesMegabytes": "noise\n", "Warns": "look here"}


@pytest.fixture
def mark() -> str:
    return uuid4().hex


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    for name in ("misbehaving.py", "mischief.py"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


@pytest.fixture
def profile(
    networks: Path, shell: Shell, mark: str, tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    """Profile networks as a user does, and see that no process and no file of them is left."""
    temporary = tmp_path_factory.mktemp("temporary")

    def run(names: str, *arguments: str) -> Finished:
        finished = shell(
            *arguments,
            f"model._target_={names}",
            *BRIEF,
            variables={MARK: mark, "TMPDIR": str(temporary)},
        )
        assert not marked(mark)
        # torch makes that of its compiler's cache, also where nothing is compiled.
        assert {path.name.partition("_")[0] for path in temporary.iterdir()} <= {"torchinductor"}
        return finished

    return run


def marked(mark: str) -> list[str]:
    """The command lines of the processes that inherited the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"misbehaving.py", "mischief.py"}


def test_a_sweep_over_networks_that_misbehave_goes_on(profile: Shell, networks: Path) -> None:
    names = ("RaisesUnsayable", "QuitsWith0", "LeavesADaemonAndQuits", "Net")
    targets = ",".join(f"misbehaving.{name}" for name in names)
    finished = profile(targets, "-m", "profiler=complexity")
    assert finished.code == 2
    lines = finished.err.splitlines()
    assert len(lines) == 4
    for name, line in zip(names[:3], lines, strict=False):
        assert f"model={name}" in line
        assert REFUSED[name] in line
    assert "1 of 4 jobs done" in lines[3]
    assert json.loads(finished.out)["model"] == "Net"


def test_a_network_that_leaves_everything_it_can(profile: Shell, networks: Path) -> None:
    finished = profile("misbehaving.LeavesEverything", "profiler=latency")
    assert (finished.code, finished.err) == (0, "")
    assert finished.document["metrics"]["latency"]["value"] > 0
    assert left(networks) == {"results"}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_network_that_fails_is_one_line(name: str, profile: Shell, networks: Path) -> None:
    finished = profile(f"misbehaving.{name}", "profiler=latency")
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert line.startswith("benchbench: ")
    assert name in line
    assert REFUSED[name] in line
    assert len(line) < 600
    assert not left(networks)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MEASURED, *TOLD])
def test_a_network_that_can_be_measured_is(name: str, profile: Shell, networks: Path) -> None:
    finished = profile(f"misbehaving.{name}", "profiler=latency")
    assert finished.code == 0, finished.err
    assert finished.document["metrics"]["latency"]["value"] > 0
    lines = finished.err.splitlines()
    assert all(f"model={name}" in line and TOLD[name] in line for line in lines)
    assert bool(lines) == (name in TOLD)
    assert left(networks) == {"results"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISY)
def test_what_a_network_prints_stays_out_of_the_report(name: str, profile: Shell) -> None:
    finished = profile(f"misbehaving.{name}", "profiler=latency")
    assert finished.code == 0
    assert finished.document["metrics"]["latency"]["value"] > 0
    assert NOISY[name] in finished.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        *("raise KeyboardInterrupt", "raise SystemExit(0)", "raise GeneratorExit", "1 / 0"),
        *("import os; os._exit(0)", "import os; os.abort()", "import os; os._exit(130)"),
        *("import os; os.kill(os.getpid(), 9)", "class No(BaseException): pass\nraise No"),
        *("import nosuchmodule", "def f(: pass", "x = '\\ud800'.encode()", "\x00"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(
    statement: str, profile: Shell, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(f"{statement}\n")
    finished = profile("own.Net", "profiler=complexity")
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert "Net" in line


# Python itself looks these up before the first line of ours runs, in one version or another.
BEFORE_US = {
    *("types", "warnings", "collections", "contextlib", "functools", "keyword", "operator"),
    *("reprlib", "importlib", "encodings", "sitecustomize", "usercustomize"),
}
OTHER_SYSTEMS = {"nt", "msvcrt", "winreg", "winsound"}  # the real ones do not exist here
OTHERS = (
    *("torch", "hydra", "numpy", "omegaconf", "psutil", "yaml", "antlr4", "scipy", "pandas"),
    *("sqlalchemy", "rich", "matplotlib", "PIL", "fvcore", "memory_profiler", "architectures"),
)


def test_names_of_modules_in_the_working_folder_shadow_none(profile: Shell, tmp_path: Path) -> None:
    """Every module of the standard library, and what benchbench imports; one's own is found."""
    for name in {*sys.stdlib_module_names, *OTHERS} - BEFORE_US - OTHER_SYSTEMS:
        if not name.startswith("_"):
            (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was shadowed')")
    (tmp_path / "own.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x): return x * 2\n"
    )
    finished = profile("own.Net", "profiler=complexity")
    assert (finished.code, finished.err) == (0, "")
