"""The lock, with real processes: the kernel's promises are what it is built on."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchbench import lock
from benchbench.lock import FOLDERS, machine_lock

ROOT = Path(__file__).parents[1]
PROGRAM = """
import subprocess, sys
from pathlib import Path
from benchbench.lock import machine_lock

def say(text):
    print(text, flush=True)

try:
    with machine_lock(sys.argv[1], say, [Path(sys.argv[2])]) as problem:
        if "child" in sys.argv:
            sleeper = subprocess.Popen(["sleep", "600"], close_fds=False, stdout=subprocess.DEVNULL)
            say(str(sleeper.pid))
        say(problem or "locked")
        sys.stdin.readline()
    say("released")
except KeyboardInterrupt:
    say("interrupted")
"""
Holder = subprocess.Popen[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lock"
    made.mkdir()
    made.chmod(0o1777)
    return made


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Holder]]:
    """Start a process that locks, and that lets go when it is told a line."""
    started: list[Holder] = []

    def begin(device: str = "cpu", *more: str) -> Holder:
        program = folder.parent / "holder.py"
        program.write_text(PROGRAM)
        started.append(
            subprocess.Popen(
                [sys.executable, str(program), device, str(folder), *more],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        )
        return started[-1]

    yield begin
    for holder in started:
        holder.kill()
        holder.communicate()


def line(holder: Holder) -> str:
    """What a process says next; nothing once it has been silent for so long that it must hang."""
    assert holder.stdout is not None
    patience = threading.Timer(60, holder.kill)
    patience.start()
    try:
        return holder.stdout.readline().strip()
    finally:
        patience.cancel()


def let_go(holder: Holder) -> None:
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()


def test_two_take_turns_and_the_second_says_for_whom_it_waits(
    start: Callable[..., Holder],
) -> None:
    first = start("cpu", "store.url=postgresql://me:secret@host/db")
    assert line(first) == "locked"
    second = start()
    told = line(second)
    assert told.startswith(f"waiting for process {first.pid} (holder.py cpu ")
    assert told.endswith(") to finish measuring")
    assert ", since 2" in told
    assert "secret" not in told
    let_go(first)
    assert line(first) == "released"
    assert line(second) == "locked"  # and nothing more was said
    let_go(second)
    assert line(second) == "released"


def test_a_waiter_sleeps_in_the_kernel(start: Callable[..., Holder]) -> None:
    """Linux names the system call a process is blocked in: flock is 73 on x86-64, 32 on ARM."""
    first = start()
    assert line(first) == "locked"
    second = start()
    assert line(second).startswith("waiting")
    numbers = {"x86_64": "73", "aarch64": "32"}
    call = Path(f"/proc/{second.pid}/syscall")
    if os.uname().machine not in numbers or not os.access(call, os.R_OK):
        pytest.skip("this system does not tell")
    seen = ""
    while not seen or seen == "running":  # it may still be on its way there
        seen = call.read_text().split()[0]
    assert seen == numbers[os.uname().machine]


def test_other_devices_do_not_wait(start: Callable[..., Holder]) -> None:
    assert [line(start(device)) for device in ("cpu", "GPU-11/22", "GPU-11/23")] == ["locked"] * 3


def test_a_killed_holder_frees_it_though_its_child_lives(start: Callable[..., Holder]) -> None:
    first = start("cpu", "child")
    sleeper = int(line(first))
    try:
        assert line(first) == "locked"
        second = start()
        assert line(second).startswith(f"waiting for process {first.pid} ")
        first.kill()
        assert line(second) == "locked"
    finally:
        os.kill(sleeper, signal.SIGKILL)


def test_ctrl_c_ends_the_wait(start: Callable[..., Holder]) -> None:
    first = start()
    assert line(first) == "locked"
    second = start()
    assert line(second).startswith("waiting")
    second.send_signal(signal.SIGINT)
    assert line(second) == "interrupted"


def test_a_lock_on_a_deleted_file_is_not_taken_for_the_lock(
    start: Callable[..., Holder], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while we wait for its first holder; by then a newcomer holds the new file."""
    first = start()
    assert line(first) == "locked"
    newcomers: list[Holder] = []
    seen: list[bool] = []
    is_still = lock._is_still

    def delete(_: str) -> None:
        (folder / "benchbench-cpu.lock").unlink()
        newcomers.append(start())
        assert line(newcomers[0]) == "locked"
        let_go(first)

    def watch(path: Path, descriptor: int) -> bool:
        seen.append(is_still(path, descriptor))
        if not seen[-1]:
            let_go(newcomers[0])
        return seen[-1]

    monkeypatch.setattr(lock, "_is_still", watch)
    with machine_lock("cpu", delete, [folder]) as problem:
        assert (problem, seen) == (None, [False, True])
        assert line(newcomers[0]) == "released"
        assert line(start()).startswith(f"waiting for process {os.getpid()} ")


def test_everyone_may_open_the_file_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        with machine_lock("cpu", pytest.fail, [folder]) as problem:
            assert problem is None
    finally:
        assert os.umask(before) == 0o077  # and it was put back
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    assert file.read_bytes() == b""  # nobody holds it


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    targets = [tmp_path / "soft", tmp_path / "hard"]
    for target in targets:
        target.write_text("text")
    (folder / "benchbench-cpu.lock").symlink_to(targets[0])
    (folder / "benchbench-1.lock").hardlink_to(targets[1])
    os.mkfifo(folder / "benchbench-2.lock")
    for device in ("cpu", "1", "2"):
        with machine_lock(device, pytest.fail, [folder]) as problem:
            assert problem is not None
            assert f"no lock for {device}" in problem
    assert [target.read_text() for target in targets] == ["text", "text"]


def test_without_a_folder_it_goes_on_and_says_so(folder: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o755)
    with machine_lock("cpu", pytest.fail, [tmp_path / "none", private]) as problem:
        assert problem is not None
        assert problem.startswith("others may measure at the same time: no lock for cpu")
        assert "private is writable for everyone" in problem
    assert not list(private.iterdir())
    with machine_lock("cpu", pytest.fail, [private, folder]) as problem:
        assert problem is None
    assert list(folder.iterdir())


def test_what_the_body_raises_comes_through_and_frees_the_lock(folder: Path) -> None:
    with pytest.raises(OSError, match="of the body"), machine_lock("cpu", pytest.fail, [folder]):
        raise OSError("of the body")
    with machine_lock("cpu", pytest.fail, [folder]) as problem:
        assert problem is None


def test_a_note_of_somebody_else_moves_no_cursor(
    start: Callable[..., Holder], folder: Path
) -> None:
    first = start()
    assert line(first) == "locked"
    for text, expected in (
        ("12\nnow\n\x1b[2J", "waiting for process 12 (\\x1b[2J, since now) to finish measuring"),
        ("", "waiting for another process to finish measuring"),
        ("\x1b", "waiting for another process to finish measuring"),
    ):
        (folder / "benchbench-cpu.lock").write_text(text)
        second = start()
        assert line(second) == expected
        second.kill()


def test_the_usual_folders_are_the_same_for_every_user() -> None:
    """A Linux system without one of them writable for everyone is broken in other ways too."""
    if sys.platform == "linux":
        assert any(f.is_dir() and f.stat().st_mode & stat.S_IWOTH for f in FOLDERS)
