"""Does it cry wolf, and what does it miss? Equal networks and known slowdowns, side by side.

python tests/benchmarks/trust.py --sessions 20 --disturbed 3

Every session is `measure` as task=rank calls it: six networks take turns in each of 5 fresh
processes. Four are the same; two do 3 and 5 % more inside their forward. Afterwards the usual
ways time the same pairs. Raw findings go to results/benchmarks/trust.json after every session, and
`--resume` goes on from them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from statistics import fmean, linear_regression, median, stdev
from time import perf_counter, process_time
from typing import Any

from report import ROOT, Document, Row, child, save_page, table
from slowed import SIDE

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.cores import cores
from benchbench.measure import measure
from benchbench.rounds import log_ratios
from benchbench.statistics.verdicts import Answer, Verdict, paired, smallest_effect, threshold

VARIANT = "mobilenet_v3_small"
EQUAL = 4  # networks: two pairs a session
SLOWDOWNS = (0.03, 0.05)
PROCESSES = 5
SECONDS = 1.2  # of each network in each process
LENGTH = 0.02  # seconds of the busy loop
CALIBRATION = (5, 15, 30, 50)  # products
FILE = ROOT / "results" / "benchmarks" / "trust.json"
BUDGET = BudgetSettings(
    name="trust",
    processes=PROCESSES,
    seconds=SECONDS,
    warm_up_seconds=0.1,
    warm_up_limit_seconds=1.0,
    min_samples=20,
)
LOADS = {0: "nothing else runs", 1: "one of two cores busy", 2: "both cores busy"}


def case(extra: int, name: str) -> Case:
    return Case(
        name=name,
        target="benchmarks.slowed.Slowed",
        arguments={"variant": VARIANT, "extra": extra},
        resolution=224,
        batch_size=1,
        device="cpu",
        device_index=0,
        runtime="eager",
        precision="fp32",
        layout="contiguous",
        threads=1,
        input="random",
        preprocessing="torchvision",
        seed=0,
    )


def timed(cases: Sequence[Case]) -> tuple[list[Any], dict[str, float]]:
    """Latencies of one session, and what it took."""
    started, cpu = perf_counter(), process_time()
    found = measure(cases, ProfilerSettings(latency=True), BUDGET, lambda *_: None)
    took = {"seconds": perf_counter() - started, "parent_cpu_seconds": process_time() - cpu}
    by_name = [{m.metric: m for m in one.measurements} for one in found]
    return [measurements["latency"] for measurements in by_name], took


def calibrate() -> dict[str, Any]:
    """How many products make each slowdown: from what some of them add, measured in turn.

    The first one costs more than the next, so it is a line with an offset.
    """
    (plain, *slow), _ = timed([case(count, f"{count} more") for count in (0, *CALIBRATION)])
    shares = [math.exp(fmean(log_ratios(one, plain))) - 1 for one in slow]
    each, first = linear_regression(CALIBRATION, shares)
    extra = [max(1, round((share - first) / each)) for share in SLOWDOWNS]
    return {"each": each, "first": first, "shares": shares, "extra": extra}


def session(extra: Sequence[int]) -> dict[str, Any]:
    """Per-process log ratios of two equal pairs, and of each slowdown to the first."""
    cases = [case(0, f"equal {n}") for n in range(EQUAL)]
    cases += [case(count, f"{count} more") for count in extra]
    latencies, took = timed(cases)
    equal, slow = latencies[:EQUAL], latencies[EQUAL:]
    return took | {
        "equal": [log_ratios(b, a) for a, b in zip(equal[::2], equal[1::2], strict=True)],
        "slow": [log_ratios(one, equal[0]) for one in slow],
        "milliseconds": [1e3 * value for value in equal[0].medians],
    }


@contextmanager
def load(busy: int) -> Iterator[None]:
    """So many processes that never rest, each on a core of its own."""
    program = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(core)]) for core in cores()[:busy]
    ]
    try:
        yield
    finally:
        for one in children:
            one.kill()
            one.wait()


def selftest() -> list[float]:
    """What task=selftest sees: log ratios of a network to itself, before anything is judged."""
    (one, again), _ = timed([case(0, "one"), case(0, "again")])
    return log_ratios(again, one)


def known_length() -> dict[str, Any]:
    """The busy loop, measured as a network is."""
    loop = case(0, "busy loop")
    values = asdict(loop) | {"target": "benchmarks.slowed.BusyLoop", "resolution": 8}
    values["arguments"] = {"seconds": LENGTH}
    (latency,), took = timed([Case(**values)])
    return {"value": latency.value, "medians": list(latency.medians), "took": took}


def usual_way() -> Document:
    settings = {"pairs": EQUAL // 2, "case": asdict(case(0, VARIANT))}
    return child("usual_way.py", json.dumps(settings))["pairs"]


def begun() -> dict[str, Any]:
    """What comes before any session."""
    return {
        "sessions": {},
        "usual": [],
        "selftest": selftest(),
        "known_length": {"seconds": LENGTH} | known_length(),
        "calibration": calibrate(),
    }


def run(document: dict[str, Any], quiet: int, disturbed: int) -> None:
    """Add sessions until there are so many, and write after each."""
    for busy, count in ((0, quiet), (1, disturbed), (2, disturbed)):
        sessions = document["sessions"].setdefault(str(busy), [])
        with load(busy):
            while len(sessions) < count:
                sessions.append(session(document["calibration"]["extra"]))
                if not busy:
                    document["usual"].append(usual_way())
                FILE.parent.mkdir(parents=True, exist_ok=True)
                FILE.write_text(json.dumps(document) + "\n", encoding="utf-8")
                took = f"{sessions[-1]['seconds']:.0f} s"
                print(f"{LOADS[busy]}: {len(sessions)}/{count}, {took}", file=sys.stderr)


def verdicts(ratios: Sequence[Sequence[float]], theta: float) -> list[Verdict]:
    return [paired(logs, theta=theta) for logs in ratios]


def counted(found: Sequence[Verdict]) -> tuple[str, ...]:
    return tuple(str(sum(one.answer == answer for one in found)) for answer in Answer)


def answers(sessions: Sequence[Document], theta: float) -> list[Row]:
    """How often each answer was given, to equal pairs and to each slowdown."""
    head = ("network / the same one", "comparisons", *Answer, "ratio, all", "spread of a process")
    rows: list[Row] = [head]
    groups = {"nothing added": [logs for one in sessions for logs in one["equal"]]}
    for number, share in enumerate(SLOWDOWNS):
        groups[f"{100 * share:.0f} % added"] = [one["slow"][number] for one in sessions]
    for name, ratios in groups.items():
        found = verdicts(ratios, theta)
        mean = math.exp(fmean(fmean(logs) for logs in ratios))
        spread = math.sqrt(fmean(stdev(logs) ** 2 for logs in ratios))
        row = (name, str(len(found)), *counted(found), f"{mean:.4f}", f"{100 * spread:.2f} %")
        rows.append(row)
    return rows


def usual(document: Document) -> list[Row]:
    """How often the usual ways call equal networks different."""
    rows: list[Row] = [("way", "pairs", "intervals apart", "and by 1 %", "and by 5 %")]
    for way in ("plain loop", "torch.utils.benchmark"):
        beside = [pair for one in document["usual"] for pair in one[way]]
        firsts = [pair[0] for pair in beside]
        seconds = [pair[1] for pair in beside]
        apart = list(zip(firsts, seconds[2:] + seconds[:2], strict=True))
        rows.append((f"{way}, in one process", *_wolves(beside)))
        rows.append((f"{way}, each in its own process", *_wolves(apart)))
    return rows


def _wolves(pairs: Sequence[Sequence[dict[str, float]]]) -> tuple[str, ...]:
    shares = [0.0, 0.01, 0.05]
    return (
        str(len(pairs)),
        *(str(sum(_differ(*pair, share) for pair in pairs)) for share in shares),
    )


def _differ(one: dict[str, float], two: dict[str, float], share: float) -> bool:
    gap = abs(one["value"] - two["value"])
    return gap > one["error"] + two["error"] and gap > share * min(one["value"], two["value"])


def report(document: Document) -> None:
    """The page: verdicts as `paired` gives them, beside what the usual ways would have said."""
    quiet = document["sessions"]["0"]
    ratios = [logs for one in quiet for logs in one["equal"]]
    noise = math.sqrt(fmean(stdev(logs) ** 2 for logs in ratios))
    theta = threshold(stdev(document["selftest"]))
    known = document["known_length"]
    extra, each, first = (document["calibration"][key] for key in ("extra", "each", "first"))
    took = [one["seconds"] / PROCESSES for one in quiet]
    effects = ", ".join(
        f"{100 * smallest_effect(noise, n, theta):.1f} % with {n}" for n in (3, 5, 10)
    )
    parent = sum(one["parent_cpu_seconds"] for one in quiet) / sum(one["seconds"] for one in quiet)
    milliseconds = median(m for one in quiet for m in one["milliseconds"])
    lines = [
        f"{VARIANT}, eager, fp32, batch 1, one pinned thread, {milliseconds:.2f} ms. Six "
        f"networks take turns in each of {PROCESSES} fresh processes, {SECONDS} s each: "
        f"{median(took):.0f} s a process with its start, at most {max(took):.0f} s. Added work: "
        f"{', '.join(map(str, extra))} products of {SIDE} x {SIDE} matrices before the network, "
        f"{100 * each:.3f} % each after {100 * first:.2f} % for the first. Noise "
        f"{100 * noise:.2f} % between processes; in the selftest before it "
        f"{100 * stdev(document['selftest']):.2f} %, so a difference counts from theta = "
        f"{100 * theta:.2f} % on; verdicts are of 99 % intervals.",
        "",
    ]
    for busy, sessions in document["sessions"].items():
        lines += [f"## {LOADS[int(busy)].capitalize()}", "", *table(answers(sessions, theta)), ""]
    lines += [
        f"By that noise a change is found 95 times in 100 from {effects} processes on.",
        "",
        "## The usual ways on the same pairs, nothing else running",
        "",
        "Equal networks that it would call different: intervals that do not overlap (of the mean "
        "of a plain loop's calls 95 %; of torch.utils.benchmark's median McGill's notch), and "
        "means or medians that differ by so much.",
        "",
        *table(usual(document)),
        "",
        "## A loop of known length",
        "",
        f"{1e3 * known['seconds']:.0f} ms by the clock, measured {1e3 * known['value']:.3f} ms: "
        f"{100 * (known['value'] / known['seconds'] - 1):+.3f} %.",
        "",
        "## The parent",
        "",
        f"{100 * parent:.2f} % of a core while a session runs, counting and starting included.",
    ]
    save_page("trust", "Does it cry wolf, and what does it miss?", "make bench-trust", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--disturbed", type=int, default=3)
    parser.add_argument("--resume", action="store_true", help="keep the sessions that are there")
    wanted = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    document = json.loads(FILE.read_text(encoding="utf-8")) if wanted.resume else begun()
    run(document, wanted.sessions, wanted.disturbed)
    report(document)


if __name__ == "__main__":
    main()
