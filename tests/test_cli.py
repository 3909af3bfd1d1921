"""The command line as a process: what only shows from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import Finished
from PIL import Image
from skimage import data
from variants import NAMES

from benchbench.store import Store

Shell = Callable[..., Finished]
ROOT = Path(__file__).parents[1]
BRIEF = (
    *("budget.processes=2", "budget.seconds=0.1", "budget.min_samples=6"),
    *("budget.warm_up_seconds=0", "budget.warm_up_limit_seconds=0.1"),
)


def bash(script: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script that calls the command line."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | (variables or {})
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment
    )


def test_a_photograph_from_end_to_end(shell: Shell) -> None:
    """Every metric, three pictures, one record; the command repeats the run."""
    Image.fromarray(data.chelsea()).save("it's a cat (1).png")
    finished = shell(
        "model=mobilenet_v2", "input=it's a cat (1).png", "resolution=96", "output=json", *BRIEF
    )
    assert (finished.code, finished.err) == (0, "")
    document = finished.document
    assert document["input"] == "it's a cat (1).png"
    metrics = document["metrics"]
    assert list(metrics) == [
        *("params", "multiply_adds", "multiply_adds_padded", "flops_fvcore"),
        *("activations", "launches"),
        *("memory_access_paper", "memory_access_ops", "memory_access_fused"),
        *("peak_memory", "peak_memory_kernel", "latency", "predicted_latency"),
        *("build_time", "cold_start"),
        *("peak_multiply_adds", "peak_bandwidth", "launch_cost"),
    ]
    latency = metrics["latency"]
    assert latency["ci"][0] <= latency["value"] <= latency["ci"][1]
    assert latency["unit"] == "s"
    assert latency["samples"] >= 6
    assert latency["processes"] == len(latency["medians"]) == 2
    assert latency["min"] <= latency["value"]
    assert document["quality"]["grade"] in ("C", "D")
    assert "latency comes from 2 processes" in document["quality"]["reasons"][0]
    assert document["bound"]["ratio"] > 1
    names = {path.name for path in Path(document["folder"]).iterdir()}
    stems = ("cost_per_stage", "latency_distribution", "multiply_adds_and_memory_access")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    (record,) = Store("sqlite:///results/benchbench.sqlite").records()
    assert record.id == document["record"]
    assert len(record["latency"].flat) == latency["samples"]
    again = subprocess.run(
        document["command"]
        .replace("python", sys.executable, 1)
        .replace("output=json", "plan=true"),
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert again.returncode == 0, again.stderr
    assert "it's a cat (1).png" in again.stdout.replace("\n", "")


def test_help_comes_before_torch(shell: Shell) -> None:
    program = (
        "import sys; from benchbench.__main__ import main; code = main(['--help']); "
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "python -m benchbench model=efficientnet_b0 device=cpu" in done.stdout
    assert "mobilenet_v3_small" in done.stdout


def test_bash_completes_variants(tmp_path: Path) -> None:
    """Hydra's own completion of the installed command, asked as bash asks it."""
    command = tmp_path / "benchbench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m benchbench "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(benchbench -sc install=bash)"
    COMP_LINE="benchbench model=mobilenet_v3"; COMP_POINT=${#COMP_LINE}; COMP_CWORD=1
    hydra_bash_completion
    printf '%s\n' "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = bash(script, {"PATH": path})
    found = done.stdout.split()
    expected = [f"model={name}" for name in NAMES if name.startswith("mobilenet_v3")]
    assert sorted(found) == sorted(expected), done.stderr


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command line in a process group of its own, as a terminal gives it."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchbench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_ctrl_c_keeps_the_counts_and_ends_with_130() -> None:
    process = start("model=mobilenet_v2", "output=json", "budget.seconds=600")
    while not psutil.Process(process.pid).children():
        time.sleep(0.05)  # counting comes before there are workers
    time.sleep(1.5)  # the worker is importing torch or measuring: either must end in order
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    duration, end = err.splitlines()
    assert duration.startswith("benchbench: this run takes about ")
    assert end == "benchbench: interrupted; what was measured until then is kept"
    document = json.loads(out)
    assert document["metrics"]["multiply_adds"]["value"] == 300774272
    assert any("interrupted" in reason for reason in document["quality"]["reasons"])
    (record,) = Store("sqlite:///results/benchbench.sqlite").records()
    assert record.id == document["record"]


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0])
def test_ctrl_c_at_the_start_leaves_nothing(seconds: float) -> None:
    process = start("model=mobilenet_v2", "budget.seconds=600")
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if "Traceback" not in err:  # Python itself may be interrupted before our first line runs
        assert (process.returncode, out) == (130, "")
    assert not Path("results/runs").exists()


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_reader_that_leaves_is_no_error(output: str) -> None:
    """It is gone before anything is written."""
    words = f"{sys.executable} -m benchbench -m model=efficientnet_b7,resnet50"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{words} profiler=complexity output={output} | true; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""
    assert done.stdout == "0\n"


@pytest.mark.parametrize("arguments", ["--help", "--version", "--cfg job model=resnet50"])
def test_a_reader_that_leaves_hydras_answers_is_no_error_either(arguments: str) -> None:
    words = f"{sys.executable} -m benchbench {arguments}"
    done = bash(f"{words} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&-", 0),
        (">&-", 0),
        ("<&-", 0),
        ("<&- >&- 2>&-", 0),
        (">/dev/full", 2),
        ("2>/dev/full batch_size=0", 2),
    ],
)
def test_streams_that_are_closed_or_full(redirection: str, code: int) -> None:
    words = f"{sys.executable} -m benchbench model=resnet50 profiler=complexity plots=false"
    done = bash(f"{words} {redirection}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    if code == 0:
        store = Store("sqlite:///results/benchbench.sqlite")
        assert len(store.records()) == 1


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m benchbench model=resnet50"
    done = bash(script)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("the working folder does not exist any more")
    assert "Traceback" not in done.stderr


@pytest.mark.extended
def test_warnings_as_errors_change_nothing(shell: Shell) -> None:
    finished = shell(
        *("model=mobilenet_v3_small", "resolution=64", "output=json"),
        *("budget.processes=1", *BRIEF[1:]),
        variables={"PYTHONWARNINGS": "error"},
    )
    assert (finished.code, finished.err) == (0, "")
    assert finished.document["metrics"]["flops_fvcore"]["value"] > 0


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | variables


def workers(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children()
    return [child for child in found if "spawn_main" in " ".join(child.cmdline())]


def test_a_killed_run_keeps_the_processes_that_had_ended() -> None:
    """Its worker dies with it, its lock is free, and the next run works."""
    endless = ("budget.processes=1000", "profiler=latency", "resolution=64", *BRIEF[1:])
    process = start("model=mobilenet_v3_small", *endless)
    store = Store("sqlite:///results/benchbench.sqlite")
    while not store.records():
        time.sleep(0.1)
    (worker, *_) = workers(process.pid) or [None]
    process.kill()
    process.communicate(timeout=60)
    if worker is not None:
        worker.wait(timeout=10)
    (record,) = store.records()
    assert 0 < len(record["latency"].samples) < 1000
    assert any("unfinished" in reason for reason in record.quality.reasons)
    again = start("model=mobilenet_v3_small", "profiler=latency", "resolution=64", *BRIEF)
    _, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, "")
    assert len(store.records()) == 2


def test_a_killed_worker_loses_one_process_at_most() -> None:
    endless = ("budget.processes=1000", "profiler=latency", "resolution=64", *BRIEF[1:])
    process = start("model=mobilenet_v3_small", *endless)
    store = Store("sqlite:///results/benchbench.sqlite")
    while not store.records():
        time.sleep(0.1)
    while not workers(process.pid):
        time.sleep(0.01)
    workers(process.pid)[0].kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    (record,) = store.records()
    assert f"kept until then: {record.id}" in err
    assert record["latency"].samples


@pytest.mark.slow
def test_two_runs_measure_one_after_the_other() -> None:
    """The second says whom it waits for, and waits without using its core."""
    words = ("model=mobilenet_v3_small", "profiler=latency", "resolution=64", "plots=false")
    first = start(*words, "budget.processes=1000", *BRIEF[1:])
    store = Store("sqlite:///results/benchbench.sqlite")
    while not store.records():
        time.sleep(0.1)
    second = start(*words, "store.url=sqlite:///other.sqlite", *BRIEF)
    assert second.stderr is not None
    line = second.stderr.readline()
    assert f"waiting for process {first.pid} " in line
    assert not Path("other.sqlite").exists()
    assert not workers(second.pid)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    second.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (130, 0)
    assert len(Store("sqlite:///other.sqlite").records()) == 1


@pytest.mark.extended
def test_rank_selftest_and_compare_from_the_shell(shell: Shell) -> None:
    brief = ("budget.processes=3", *BRIEF[1:])
    ranked = shell(
        *("task=rank", "models=[mobilenet_v3_small,resnet18]", "resolution=64", "output=json"),
        *("tag=both", *brief),
    )
    assert ranked.code == 0, ranked.err
    assert [row["model"] for row in ranked.document["ranking"]] == [
        "mobilenet_v3_small",
        "resnet18",
    ]
    again = shell("task=rank", "records=both", "output=json")
    assert again.document["pairs"] == ranked.document["pairs"]
    itself = shell("task=compare", "baseline=both", "candidate=both", "output=json")
    assert itself.code in (0, 3)  # a spread so wide may be no evidence
    exact = [row for row in itself.document["rows"] if row["verdict"] in ("same", "changed")]
    assert len(exact) == 2 * 8
    assert {row["verdict"] for row in exact} == {"same"}
    tested = shell("task=selftest", "output=json", "resolution=64", *brief)
    assert tested.code == 0, tested.err
    assert tested.document["noise"] > 0
    assert tested.document["theta"] >= 0.01
    known = shell("task=rank", "records=both", "output=json")
    assert "selftest" in known.document["theta_from"]
