"""What a failed run says of the records that it kept, typed again as it says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Finished
from made import in_turn

from benchbench import measure, schedule
from benchbench.config import Settings
from benchbench.errors import UserError
from benchbench.measurements import Measurement, exact
from benchbench.store import Store
from benchbench.tasks.shared import latest_session
from benchbench.worker import Work

BROKEN = "the measuring process was killed"
PROCESSES = 2  # that end before one does not
SMALL = ("plots=false", "budget.processes=5", "output=json")
MODELS = "models=[mobilenet_v3_small_x0_75,shufflenet_v2_x0_5,mnasnet_small]"
OTHERS = {
    "operators": Measurement("operator_time", ((0.01,),), details={"operators": []}),
    "memory": Measurement("peak_memory", ((1e6,),)),
    "kernels": exact("executed_kernels", 1, kernels=[["0", "brgemm", 1]]),
}
ROOFS = {"peak_multiply_adds": 8e10, "peak_bandwidth": 5e10, "launch_cost": 1e-6}


def answers(work: Work, number: int) -> Any:
    """What a process of this number sends for one of its cases."""
    for name in work.profilers:
        if name == "latency":
            seconds = 0.01 * (1 + number)
            yield in_turn([[seconds] * 40], epoch_rounds=[20, 20], probe=[0.001] * 40)
        elif name == "roofs":
            yield from (Measurement(metric, ((value,),)) for metric, value in ROOFS.items())
        elif name in OTHERS:
            yield OTHERS[name]


@pytest.fixture(autouse=True)
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are made up, and the third process that takes any ends without a word."""
    timed: list[Work] = []

    def run(work: Work, progress: Any, received: Callable[[int, Any], None]) -> None:
        if "latency" in work.profilers:
            timed.append(work)
            if len(timed) > PROCESSES:
                raise UserError(BROKEN)
        for index in range(len(work.cases)):
            received(index, {"torch": {"threads": 1}})
            for found in answers(work, index):
                received(index, found)

    monkeypatch.setattr(measure, "run", run)
    for place in (measure, schedule):
        monkeypatch.setattr(place, "needs_preparation", lambda _: False)
    monkeypatch.setattr(measure, "WORTH_SAYING_SECONDS", float("inf"))


def kept() -> list[str]:
    store = Store("sqlite:///results/benchbench.sqlite")
    records = store.records()
    store.close()
    return [record.id for record in records]


@pytest.mark.parametrize(
    "words",
    [
        ("task=rank", MODELS, "tag=mine"),
        ("task=guidelines", "guideline=[g1]", "runtimes=[eager]"),
        ("task=explain", MODELS, "plots=true"),
    ],
)
def test_records_of_a_failed_run_are_found_as_it_says(
    cli: Callable[..., Finished], words: tuple[str, ...]
) -> None:
    done = cli(*SMALL, *words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    said = re.fullmatch(
        rf"benchbench: {BROKEN}; kept until then: (\d+) records; "
        r"(task=\w+) (records=\S+) finds them",
        line,
    )
    assert said is not None, line
    assert int(said[1]) == len(kept())
    again = cli("output=json", "plots=false", said[2], said[3])
    assert again.code in (0, 3)
    assert f'"task": "{said[2].removeprefix("task=")}"' in again.out
    named = Settings(records=said[3].removeprefix("records="))
    assert [record.id for record in latest_session(named)] == kept()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task=selftest",), "2 records; {0} is the first of them"),
        (("model=mobilenet_v2", "resolution=64", "profiler=latency"), "{0}"),
    ],
)
def test_what_no_records_option_finds_is_told_by_its_id(
    cli: Callable[..., Finished], words: tuple[str, ...], said: str
) -> None:
    """`task=selftest` judges no stored records, and a profile has one record."""
    done = cli(*SMALL, *words)
    assert done.err == f"benchbench: {BROKEN}; kept until then: {said.format(*kept())}\n"


@pytest.mark.parametrize("room", [1, 0])
def test_only_what_the_store_has_is_said_to_be_kept(
    cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """A disk that is full at the second of three records, or at the first: measuring goes on."""
    left, put = iter(range(room)), Store.put

    def full(store: Store, record: Any) -> None:
        if next(left, None) is None:
            raise UserError("store.url: database or disk is full")
        put(store, record)

    monkeypatch.setattr(Store, "put", full)
    done = cli(*SMALL, "task=rank", MODELS)
    assert done.code == 2
    said = f"; kept until then: {kept()[-1]}" if room else ""
    full_disk, end = done.err.splitlines()
    assert full_disk.startswith("benchbench: store.url: database or disk is full; measuring")
    assert end == f"benchbench: {BROKEN}{said}"
