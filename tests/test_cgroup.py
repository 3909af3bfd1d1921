"""Control groups, from texts as the kernel's documents and proc(5) print them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbench.cgroup import Throttling, folders, quota, throttling

# A service under systemd: version 2 alone.
UNIFIED = (
    "0::/user.slice/session.scope\n",
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
)
# Version 1's controllers, and version 2's tree without any beside them.
HYBRID = (
    "4:memory:/a\n3:cpu,cpuacct:/docker/1f\n2:cpuset:/\n1:name=systemd:/x\n0::/\n",
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
)
# In a container that is shown its own group only, though its path is the machine's.
CONTAINER = (
    "3:cpu,cpuacct:/docker/1f/inner\n",
    "32 31 0:29 /docker/1f /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu,cpuacct\n",
)
# The mount shows a group that ours does not lie in.
ELSEWHERE = ("0::/other\n", "30 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (UNIFIED, ["user.slice/session.scope", "user.slice", ""]),
        (HYBRID, ["cpu,cpuacct/docker/1f", "cpu,cpuacct/docker", "cpu,cpuacct", "unified"]),
        (CONTAINER, ["cpu/inner", "cpu"]),
        (ELSEWHERE, [""]),
        (("", UNIFIED[1]), []),
    ],
)
def test_the_folders_of_our_groups(
    texts: tuple[str, str], expected: list[str], tmp_path: Path
) -> None:
    for name, text in zip(("cgroup", "mountinfo"), texts, strict=True):
        (tmp_path / name).write_text(text)
    assert folders(tmp_path) == tuple(Path("/sys/fs/cgroup", name) for name in expected)


def test_no_groups_where_the_system_has_none(tmp_path: Path) -> None:
    assert folders(tmp_path) == ()
    assert quota(()) is None
    assert throttling(()) is None


def group(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_the_tightest_quota_of_all_groups_above_holds(tmp_path: Path) -> None:
    free = group(tmp_path / "slice/free", cpu__max="max 100000\n")
    slice_ = group(tmp_path / "slice-2", cpu__max="150000 100000\n")
    wide = group(tmp_path / "slice-3", cpu__max="400000 100000\n")
    root = group(tmp_path / "root")  # the topmost group has no such file
    assert quota((free, root)) is None
    assert quota((free, slice_, wide, root)) == 1.5


def test_version_1_has_two_files_for_it(tmp_path: Path) -> None:
    period = {"cpu__cfs_period_us": "100000\n"}
    free = group(tmp_path / "free", cpu__cfs_quota_us="-1\n", **period)
    half = group(tmp_path / "half", cpu__cfs_quota_us="50000\n", **period)
    assert quota((free,)) is None
    assert quota((free, half)) == 0.5


def test_throttling_is_summed_over_groups_in_seconds(tmp_path: Path) -> None:
    second = group(
        tmp_path / "v2",
        cpu__stat="usage_usec 99\nnr_periods 20\nnr_throttled 3\nthrottled_usec 250000\n",
    )
    first = group(
        tmp_path / "v1", cpu__stat="nr_periods 5\nnr_throttled 2\nthrottled_time 500000000\n"
    )
    without = group(tmp_path / "root", cpu__stat="usage_usec 99\n")
    assert throttling((second,)) == Throttling(3, 0.25)
    assert throttling((first,)) == Throttling(2, 0.5)
    assert throttling((second, first, without)) == Throttling(5, 0.75)
    assert throttling((without,)) is None
