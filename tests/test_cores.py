"""Cores, from folders as the kernel's documents describe them, and machines that are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench import cores as cores_module
from benchbench.cores import (
    BINDING_VARIABLES,
    check_spread,
    count_distinct,
    distinct,
    fastest,
    kinds,
    leave_out_binding,
    left_out,
    measured_cores,
    parsed,
    siblings,
    thread_count,
    threads_of,
)
from benchbench.errors import UserError

Machine = Callable[..., Path]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine's /sys/devices: who shares a core, and a file for each logical core."""

    def make(*shared: str, logical: int | None = None, **files: list[int]) -> Path:
        for text in shared:
            for core in parsed(text):
                folder = tmp_path / f"system/cpu/cpu{core}/topology"
                folder.mkdir(parents=True)
                (folder / "thread_siblings_list").write_text(f"{text}\n")
        count = sum(len(parsed(text)) for text in shared)
        for name, values in files.items():
            for core, value in enumerate(values):
                file = tmp_path / f"system/cpu/cpu{core}" / name.replace("__", "/")
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"{value}\n")
        monkeypatch.setattr(
            "psutil.cpu_count",
            lambda logical=True, found=logical or count: found if logical else len(shared),
        )
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-1\n", [0, 1]), ("5,69\n", [5, 69]), ("0-2,9\n", [0, 1, 2, 9]), ("", [])],
)
def test_lists_as_the_kernel_writes_them(text: str, expected: list[int]) -> None:
    assert parsed(text) == expected


def test_siblings_share_a_core(machine: Machine) -> None:
    folder = machine("0,4", "1,5", "2,6", "3,7")
    assert siblings(5, folder) == [1, 5]
    assert siblings(8, folder) == []
    assert distinct(range(8), folder) == [0, 1, 2, 3]
    assert distinct([4, 5, 1], folder) == [4, 5]
    assert distinct([0, 4], folder) == [0]


def test_where_sys_is_of_another_machine_a_share_of_the_cores_is_expected(
    machine: Machine,
) -> None:
    """16 logical cores on 4 of which 2 are described: as in a container that hides the rest."""
    folder = machine("0", "1", logical=4)
    assert distinct([0, 1], folder) is None
    assert count_distinct([0, 1], folder) == 1
    assert count_distinct([0, 1, 2], folder) == 2
    assert measured_cores([0, 1], 1, folder) == [0, 1]
    assert measured_cores([0, 1], 2, folder) == [0, 1]


@pytest.mark.parametrize(
    ("quota", "threads", "expected"),
    [
        (None, "all", 2),
        (None, "4", 4),
        (1.5, "all", 1),
        (0.5, "all", 1),
        (0.5, "1", 1),
        (8.0, "all", 2),
        (2.5, "2", 2),
        (2.5, "3", "quota has time for 2.5 cores"),
        (None, "5", "threads=5: this process may use 4 cores"),
    ],
)
def test_threads(
    quota: float | None,
    threads: str,
    expected: int | str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = machine("0-1", "2-3")
    monkeypatch.setattr(cores_module, "cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(cores_module, "fastest", lambda allowed: allowed)
    monkeypatch.setattr(
        cores_module, "count_distinct", lambda allowed: count_distinct(allowed, folder)
    )
    monkeypatch.setattr(cores_module.cgroup, "quota", lambda _: quota)
    if isinstance(expected, int):
        assert thread_count(threads) == expected
        return
    with pytest.raises(UserError, match=expected) as raised:
        thread_count(threads)
    assert f"threads={threads}" in str(raised.value)


CPUINFO = """\
processor\t: 0
CPU part\t: 0xd05

processor\t: 1
CPU part\t: 0xd05

processor\t: 2
CPU part\t: 0xd0b
"""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {"": [0, 1, 2]}),
        ({"cpu_capacity": [1024, 1024, 1024]}, {"": [0, 1, 2]}),
        # Favoured cores of one kind: Intel's Turbo Boost Max 3.0 gives them 2 to 4 % more.
        ({"cpufreq__cpuinfo_max_freq": [5_300_000, 5_200_000, 5_100_000]}, {"": [0, 1, 2]}),
        # A Cortex-A55 beside an A76 and an X1, as the device trees of phones have them.
        (
            {"cpu_capacity": [160, 498, 1024]},
            {"capacity 1024": [2], "capacity 498": [1], "capacity 160": [0]},
        ),
        (
            {"cpufreq__cpuinfo_max_freq": [3_900_000, 5_300_000, 5_200_000]},
            {"kHz 5300000": [1, 2], "kHz 3900000": [0]},
        ),
        # The clock of one core is not told: nothing is guessed.
        ({"cpufreq__cpuinfo_max_freq": [3_900_000, 5_300_000]}, {"": [0, 1, 2]}),
    ],
)
def test_kinds_of_cores(
    files: dict[str, list[int]], expected: dict[str, list[int]], machine: Machine, tmp_path: Path
) -> None:
    folder = machine("0", "1", "2", **files)
    found = kinds([0, 1, 2], folder, tmp_path / "none")
    assert found == expected
    assert list(found) == list(expected)  # the fastest first
    assert fastest([0, 1, 2], folder, tmp_path / "none") == next(iter(expected.values()))


def test_intel_lists_each_kind(machine: Machine, tmp_path: Path) -> None:
    """As under /sys/devices of an i7-1260P, with less of each."""
    folder = machine("0-1", "2", "3", cpufreq__cpuinfo_max_freq=[47, 46, 34, 34])
    for name, text in (("cpu_core", "0-1\n"), ("cpu_atom", "2-3\n")):
        (folder / name).mkdir()
        (folder / name / "cpus").write_text(text)
    assert kinds(range(4), folder, tmp_path) == {"cpu_core": [0, 1], "cpu_atom": [2, 3]}
    assert kinds([2, 3], folder, tmp_path) == {"": [2, 3]}
    assert measured_cores(range(4), 1, folder) == [0, 1]
    assert measured_cores(range(4), 2, folder) == [0, 2, 3]  # one fast core is not enough
    assert measured_cores(range(4), 4, folder) == [0, 1, 2, 3]


def test_arm_tells_parts_apart(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    assert kinds([0, 1, 2], tmp_path, tmp_path) == {"part 0xd05": [0, 1], "part 0xd0b": [2]}


def status(process: Path, **allowed: str) -> Path:
    for thread, text in allowed.items():
        folder = process / "task" / thread.removeprefix("t")
        folder.mkdir(parents=True)
        (folder / "status").write_text(f"Name:\tpython\nCpus_allowed_list:\t{text}\n")
    return process


@pytest.mark.parametrize(
    ("allowed", "problem"),
    [
        ({"t1": "0-1", "t2": "0-1"}, None),
        ({"t1": "0", "t2": "1"}, None),
        ({"t1": "0", "t2": "0-1"}, None),
        ({"t1": "0", "t2": "0"}, "tied to the same cores"),
        ({"t1": "0-1", "t2": "0-1", "t3": "0-1"}, "tied to the same cores"),
        ({"t1": "0", "t2": "0", "t3": "1-2"}, "tied to the same cores"),
        ({"t1": "0-7"}, "torch started 1"),
    ],
)
def test_threads_that_cannot_run_at_once_are_refused(
    allowed: dict[str, str], problem: str | None, tmp_path: Path
) -> None:
    found = threads_of(status(tmp_path, **allowed))
    assert set(found) == {name.removeprefix("t") for name in allowed}
    threads = max(2, len(allowed))
    if problem is None:
        check_spread(threads, list(found.values()))
        return
    with pytest.raises(UserError, match=problem) as raised:
        check_spread(threads, list(found.values()))
    assert "OMP_PLACES" in str(raised.value)


def test_what_binds_threads_is_taken_away_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores_module, "_left_out", {})
    variables = {"OMP_PROC_BIND": "close", "OMP_NUM_THREADS": "4", "KMP_AFFINITY": "compact"}
    expected = {"OMP_PROC_BIND": "close", "KMP_AFFINITY": "compact"}
    assert left_out(variables) == expected
    leave_out_binding(variables)
    assert variables == {"OMP_NUM_THREADS": "4"}
    assert left_out(variables) == expected
    assert set(expected) <= {*BINDING_VARIABLES}
