"""What is run in which process, and what is kept when one of them does not end; nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from made import record

from benchbench import measure as module
from benchbench import recording, schedule
from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings, Settings, TaskSettings
from benchbench.errors import UserError
from benchbench.jobs import Job
from benchbench.measure import Measured, measure
from benchbench.measurements import Measurement
from benchbench.processes import Interrupted
from benchbench.store import Store
from benchbench.worker import Work

BUDGET = BudgetSettings(processes=3)
VALUES = {
    "latency": 0.02,
    "memory": 1e6,
    "roofs": 1e9,
    "fvcore": 5.0,
    "operators": 0.1,
    "energy": 3.0,
    "device_time": 0.01,
    "graph": 55,
    "kernels": 2,
    "preparation": 3.0,
}
NAMES = {"memory": "peak_memory", "roofs": "launch_cost", "fvcore": "flops_fvcore"}
NAMES |= {"operators": "operator_time", "graph": "graph_nodes"}
NAMES |= {"kernels": "executed_kernels", "preparation": "preparation_time"}


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """The processes that would have been started; each answers with a value a profiler."""
    started: list[Work] = []

    def run(work: Work, progress: Any, received: Callable[[int, Any], None]) -> None:
        started.append(work)
        for index in range(len(work.cases)):
            received(index, {"torch": {"threads": 1}})
            for name in work.profilers:
                metric = NAMES.get(name, name)
                received(index, Measurement(metric, samples=((VALUES[name],),)))

    monkeypatch.setattr(module, "run", run)
    return started


def quiet(*_: object) -> None:
    """No progress bar."""


def test_replicates_take_turns_and_the_rest_is_done_once(
    case: Callable[..., Case], works: list[Work]
) -> None:
    wanted = ProfilerSettings(latency=True, memory=True, fvcore=True, roofs=True)
    (found,) = measure([case()], wanted, BUDGET, quiet)
    assert [(work.number, *work.profilers) for work in works] == [
        *((0, "latency"), (0, "memory"), (0, "fvcore"), (0, "roofs")),
        *((1, "latency"), (1, "memory"), (2, "latency"), (2, "memory")),
    ]
    by_name = {measurement.metric: measurement for measurement in found.measurements}
    assert by_name["latency"].samples == ((0.02,),) * 3
    assert len(by_name["flops_fvcore"].samples) == 1
    assert found.unfinished is None


def test_networks_that_take_turns_share_their_processes_and_others_do_not(
    case: Callable[..., Case], works: list[Work]
) -> None:
    cases = [case(name="a"), case(name="b")]
    wanted = ProfilerSettings(latency=True, memory=True, roofs=True)
    measure(cases, wanted, BudgetSettings(processes=1), quiet)
    assert [(work.names, *work.profilers) for work in works] == [
        ("a, b", "latency"),
        ("a", "memory"),
        ("b", "memory"),
        ("a", "roofs"),  # of the machine, whatever runs on it
    ]


def test_an_experiment_begins_with_the_roofs_and_looks_at_kernels_in_one_process(
    case: Callable[..., Case], works: list[Work]
) -> None:
    """What the roofs let one expect is kept before anything is timed."""
    cases = [case(name=name, turn=turn, seed=int(turn)) for name, turn in (("a", "1"), ("b", "2"))]
    wanted = ProfilerSettings(latency=True, roofs=True, kernels=True)
    told: list[set[str]] = []

    def kept(found: Sequence[Measured]) -> None:
        told.append({measurement.metric for measurement in found[0].measurements})

    measure(cases, wanted, BudgetSettings(processes=2), quiet, kept)
    assert [(work.number, work.names, *work.profilers) for work in works] == [
        (0, "a", "roofs"),
        (0, "a, b", "latency"),
        (0, "a, b", "kernels"),
        (1, "a, b", "latency"),
    ]
    assert "latency" not in told[0]


def test_a_case_may_want_fewer_processes_than_the_budget_has(
    case: Callable[..., Case], works: list[Work]
) -> None:
    cases = [case(name="a"), case(name="b", processes=2)]
    measure(cases, ProfilerSettings(latency=True), BUDGET, quiet)
    assert [work.names for work in works] == ["a, b", "a, b", "a"]


def test_the_small_networks_of_an_experiment_are_exported_in_one_process(
    case: Callable[..., Case], works: list[Work]
) -> None:
    cases = [
        case(name=name, turn="1", seed=seed, runtime="onnxruntime")
        for seed, name in enumerate(("a", "b"))
    ]
    measure([*cases, case(name="c", turn="1")], ProfilerSettings(latency=True), BUDGET, quiet)
    first, second, *_ = works
    assert (first.names, first.profilers) == ("a, b", ("preparation",))
    assert (second.names, second.profilers) == ("a, b, c", ("latency",))
    folders = [one.prepared for one in second.cases]
    assert None not in folders[:2]
    assert folders[2] is None
    works.clear()
    apart = [replace(one, turn="") for one in cases]
    measure(apart, ProfilerSettings(latency=True), BUDGET, quiet)
    assert [work.names for work in works[:2]] == ["a", "b"]


def test_a_network_that_stands_in_several_sets_is_prepared_and_looked_at_once(
    case: Callable[..., Case], works: list[Work]
) -> None:
    first = case(name="a", turn="1", axes={"step": 0}, runtime="onnxruntime")
    again = replace(first, name="a again", turn="2", axes={"step": 1}, processes=1)
    other = replace(first, name="b", turn="2", seed=1)
    wanted = ProfilerSettings(latency=True, kernels=True)
    found = measure([first, again, other], wanted, BudgetSettings(processes=1), quiet)
    assert [(work.names, *work.profilers) for work in works] == [
        ("a, b", "preparation"),
        ("a, a again, b", "latency"),
        ("a, b", "kernels"),
    ]
    folders = [one.prepared for one in works[1].cases]
    assert folders[0] == folders[1] != folders[2]
    for measured in found:
        known = {measurement.metric: measurement.samples for measurement in measured.measurements}
        assert known["preparation_time"] == ((3.0,),)
        assert known["executed_kernels"] == ((2,),)
        assert known["latency"] == ((0.02,),)


def test_counts_need_no_process_and_wait_for_nobody(
    case: Callable[..., Case], works: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "machine_lock", None)  # would fail if it were asked for
    (found,) = measure([case()], ProfilerSettings(complexity=True), BUDGET, quiet)
    assert not works
    assert found.layers


def test_after_every_process_it_is_told_what_is_known(
    case: Callable[..., Case], works: list[Work]
) -> None:
    told: list[tuple[int, str | None]] = []

    def kept(found: Sequence[Measured]) -> None:
        (latency,) = found[0].measurements
        told.append((len(latency.samples), found[0].unfinished))

    measure([case()], ProfilerSettings(latency=True), BUDGET, quiet, kept)
    assert told == [(1, "1 of 3 processes"), (2, "2 of 3 processes"), (3, None)]


def test_roofs_that_are_known_are_not_measured_again(
    case: Callable[..., Case], works: list[Work]
) -> None:
    asked: list[dict[str, Any]] = []

    def lend(measured: Measured) -> list[Measurement]:
        asked.append(dict(measured.environment))
        return [Measurement("launch_cost", samples=((2e-6,),))]

    wanted = ProfilerSettings(latency=True, roofs=True)
    (found,) = measure([case()], wanted, BUDGET, quiet, lend=lend)
    assert "roofs" not in {name for work in works for name in work.profilers}
    assert {m.metric for m in found.measurements} == {"latency", "launch_cost"}
    assert asked[0]["torch"] == {"threads": 1}  # the fingerprint is whole by then


def test_launch_bound_follows_from_each_process(case: Callable[..., Case]) -> None:
    """20 and 30 ms of latency over 10 ms of kernels; joined from two processes."""
    measured = Measured(case(), {})
    for latency in (0.02, 0.03):
        measured.receive(Measurement("latency", samples=((latency,),)))
        measured.receive(Measurement("graph_time", samples=((0.01,),)))
    (found,) = (m for m in measured.measurements if m.metric == "launch_bound")
    assert found.samples == ((pytest.approx(2.0),), (pytest.approx(3.0),))


def settings() -> Settings:
    return Settings(task=TaskSettings("profile"), budget=BUDGET)


LATENCY = ProfilerSettings(latency=True)


def test_a_record_holds_every_process_in_its_place(
    case: Callable[..., Case], works: list[Work]
) -> None:
    (record,), interrupted = recording.recorded([case()], LATENCY, settings(), Job("x", "x"))
    assert not interrupted
    (stored,) = Store(settings().store.url).records()
    assert stored == record
    assert len(stored["latency"].samples) == 3


@pytest.mark.parametrize("ends", [UserError("the measuring process was killed"), Interrupted()])
def test_a_process_that_does_not_end_loses_nothing_of_the_others(
    case: Callable[..., Case],
    works: list[Work],
    monkeypatch: pytest.MonkeyPatch,
    ends: Exception,
) -> None:
    answer = module.run

    def third_one_ends(work: Work, progress: Any, received: Any) -> None:
        if work.number == 2:
            raise ends
        answer(work, progress, received)

    monkeypatch.setattr(module, "run", third_one_ends)
    reasons = "unfinished: this is known after 2 of 3 processes"
    if isinstance(ends, UserError):
        with pytest.raises(UserError, match="was killed; kept until then: 2"):
            recording.recorded([case()], LATENCY, settings(), Job("x", "x"))
    else:
        (_,), interrupted = recording.recorded([case()], LATENCY, settings(), Job("x", "x"))
        assert interrupted
    (stored,) = Store(settings().store.url).records()
    assert len(stored["latency"].samples) == 2
    assert reasons in stored.quality.reasons


@pytest.mark.parametrize("fails_at", [(2,), (0, 1), (2, 3)])
def test_a_store_that_fills_up_never_takes_the_report(
    case: Callable[..., Case],
    works: list[Work],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails_at: tuple[int, ...],
) -> None:
    """Four times is the record written, the last time again as a whole."""
    put, times = Store.put, iter(range(10))

    def fails(store: Store, record: Any) -> None:
        if next(times) in fails_at:
            raise UserError("store.url=...: database or disk is full")
        put(store, record)

    monkeypatch.setattr(Store, "put", fails)
    job = Job("x", "x")
    (found,), _ = recording.recorded([case()], LATENCY, settings(), job)
    assert len(found["latency"].samples) == 3
    assert capsys.readouterr().err.count("disk is full; measuring goes on") == 1
    (stored,) = Store(settings().store.url).records()
    if 3 in fails_at:
        assert len(stored["latency"].samples) == 2
        assert job.problems == [
            "store.url=...: database or disk is full; 1 of 1 records of this run are not kept as "
            "reported"
        ]
    else:
        assert stored == found
        assert not job.problems


def test_what_cannot_be_written_is_found_before_measuring(
    case: Callable[..., Case], works: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Store) -> None:
        raise UserError("store.url=...: database or disk is full")

    monkeypatch.setattr(Store, "try_writing", fails)
    with pytest.raises(UserError, match=r"is full$"):
        recording.recorded([case()], LATENCY, settings(), Job("x", "x"))
    assert not works


def test_cases_that_took_turns_share_a_session(
    case: Callable[..., Case], works: list[Work]
) -> None:
    cases = [case(name="a"), case(name="b")]
    records, _ = recording.recorded(cases, LATENCY, settings(), Job("x", "x"))
    assert records[0].session == records[1].session is not None
    (alone,), _ = recording.recorded(cases[:1], LATENCY, settings(), Job("x", "x"))
    assert alone.session is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"precision": "bf16"}, False), ({"name": "other", "resolution": 32}, True)],
)
def test_roofs_are_of_the_machine_and_how_it_computes(
    case: Callable[..., Case], changes: dict[str, Any], expected: bool
) -> None:
    """Those of a record with the same fingerprint are used again, whatever network it was of."""
    whole = [Measurement(name, samples=((2.0,),)) for name in recording.ROOF_METRICS]
    environment = {"machine": {"cpu": "x"}, "torch": {"threads": 1}}
    store = Store(settings().store.url)
    store.put(record(Measured(case(), dict(environment), whole)))
    asking = Measured(case(**changes), dict(environment))
    found = recording._known_roofs(store, asking)
    assert [item.metric for item in found] == (list(recording.ROOF_METRICS) if expected else [])
    assert all("record" in item.details for item in found)
    elsewhere = Measured(case(), environment | {"python": "3.99"})
    assert recording._known_roofs(store, elsewhere) == []
    store.close()


def test_a_graph_is_read_once_where_there_is_one(
    case: Callable[..., Case], works: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (module, schedule):
        monkeypatch.setattr(place, "needs_preparation", lambda _: False)
    runtimes = ("eager", "onnxruntime", "compiled", "openvino", "cuda_graph")
    cases = [case(name=runtime, runtime=runtime) for runtime in runtimes]
    measure(cases, ProfilerSettings(graph=True), BUDGET, quiet)
    assert [(work.number, work.names, work.profilers) for work in works] == [
        (0, "onnxruntime", ("graph",)),
        (0, "compiled", ("graph",)),  # which says why it has none
        (0, "openvino", ("graph",)),
    ]
