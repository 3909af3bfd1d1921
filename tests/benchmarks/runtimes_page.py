"""What the report on runtimes says beside its own measurement: committed rankings, agreements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from report import Row, table

from benchbench.metrics import show

Document = dict[str, Any]


def ranking_lines(path: Path, title: str) -> Iterator[str]:
    """A row a network, a column a way: latency, its interval, and times its bound."""
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    yield from ("", f"## {title}", "", f"`{document['command']}`", "")
    ways = document["ways"]
    cells = {(row["model"], row["runtime"], row["precision"]): row for row in document["ranking"]}
    models = list(dict.fromkeys(row["model"] for row in document["ranking"]))
    rows: list[Row] = [("network", *(way["way"] for way in ways))]
    for model in models:
        own = [cells[model, way["runtime"], way["precision"]] for way in ways]
        rows.append((model, *map(_cell, own)))
    yield from table(rows)
    grades = [row["quality"] for row in document["ranking"]]
    count = ", ".join(f"{grade} {grades.count(grade)}" for grade in sorted(set(grades)))
    yield from ("", f"Latency [95 % interval], times the lower bound. Quality grades: {count}.")
    if document["kendall_tau_between"]:
        yield from ("", *table(list(_taus(document))))


def _cell(row: Document) -> str:
    interval = ""
    if row["latency_low"] is not None:
        low, high = (1e3 * row[f"latency_{end}"] for end in ("low", "high"))
        interval = f" [{low:.2f}, {high:.2f}]"
    bound = "" if row["over_bound"] is None else f", {row['over_bound']:.1f} x"
    return f"{1e3 * row['latency']:.2f} ms{interval}{bound}"


def _taus(document: Document) -> Iterator[Row]:
    yield ("way", "and way", "Kendall's tau", "95 % interval")
    for between in document["kendall_tau_between"]:
        interval = between["ci"]
        ends = "" if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f}"
        yield (between["first"], between["second"], f"{between['value']:+.2f}", ends)


def pair_lines(path: Path, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """How much faster the second of two is, as the ranking judged it."""
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    rows: list[Row] = [("", "over", "ratio", "99 % interval", "verdict")]
    for first, second in pairs:
        rows.append((second, first, *_ratio(document, first, second)))
    yield from ("", *table(rows))


def _ratio(document: Document, first: str, second: str) -> tuple[str, str, str]:
    for pair in document["pairs"]:
        if {pair["baseline"], pair["candidate"]} != {first, second}:
            continue
        turned = pair["baseline"] != first
        ratio = 1 / pair["ratio"] if turned else pair["ratio"]
        low, high = pair["ci"] or (ratio, ratio)
        ends = (1 / high, 1 / low) if turned else (low, high)
        words = {"FASTER": "SLOWER", "SLOWER": "FASTER"} if turned else {}
        verdict = words.get(pair["verdict"], pair["verdict"])
        return f"{ratio:.3f}", f"{ends[0]:.3f} to {ends[1]:.3f}", verdict
    raise KeyError(f"{first} and {second} were not compared")


def agreement_lines(paths: Sequence[Path]) -> Iterator[str]:
    """Top-1 agreement with fp32, over all crops and over those fp32 is sure of."""
    metrics = ("agreement", "agreement_confident", "error_maximum", "error_mean")
    heads = ("top-1 agreement", "where fp32 is sure", "largest error", "mean error")
    rows: list[Row] = [("network", "runtime", "precision", *heads)]
    commands = []
    for path in paths:
        document: Document = json.loads(path.read_text(encoding="utf-8"))
        commands.append(f"`{document['command']}`")
        found = [_metric(name, document["metrics"][name]) for name in metrics]
        rows.append((document["model"], document["runtime"], document["precision"], *found))
    yield from ("", "## Agreement with eager fp32", "", "<br>".join(commands), "", *table(rows))


def _metric(name: str, metric: Document) -> str:
    if metric["value"] is None:
        return str(metric["reason"])
    shown = show(name, metric["value"])
    if not name.startswith("agreement"):
        return shown
    low, high = (show(name, end) for end in metric["ci"])
    return f"{shown} of {metric['samples']} [{low}, {high}]"
