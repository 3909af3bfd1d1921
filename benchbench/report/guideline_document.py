"""Verdicts on the guidelines as document and rows."""

from __future__ import annotations

from collections import Counter
from math import exp, isfinite
from typing import Any

from benchbench.experiments.guidelines.judge import Cell, Ladder, Result, Verdict, scored
from benchbench.experiments.guidelines.rungs import (
    Rung,
    relative_bytes,
    relative_images,
    relative_speed,
)
from benchbench.records import SCHEMA_VERSION


def guideline_document(result: Result, folder: str | None) -> dict[str, Any]:
    """The whole result: rule, cells, verdicts and rungs."""
    first = result.records[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "guidelines",
        "created": first.created,
        "device": {"type": first.case.device, "name": first.device_name},
        "rule": result.rule.__dict__,
        "cells": [_cell_document(cell, 1 - result.rule.confidence) for cell in result.cells],
        "quality": dict(Counter(str(record.quality.grade) for record in result.records)),
        "environment": first.environment,
        "session": first.session,
        "folder": folder,
        "command": first.command,
    }


def _cell_document(cell: Cell, level: float) -> dict[str, Any]:
    return {
        **cell.conditions,
        "score": scored(cell),
        "verdicts": [
            {"guideline": ladder.guideline, "ladder": ladder.kind, "claim": ladder.claim}
            | _verdict_document(verdict)
            for ladder in cell.ladders
            for verdict in ladder.verdicts
        ],
        "rungs": [
            _rung_document(ladder, rung, level) for ladder in cell.ladders for rung in ladder.rungs
        ],
        "alignment": [one._asdict() for one in cell.alignments],
    }


def _verdict_document(verdict: Verdict) -> dict[str, Any]:
    found = verdict.decision._asdict() | {"answer": str(verdict.decision.answer)}
    noise = verdict.decision.noise
    return {
        "axis": verdict.axis,
        **found,
        "noise": noise if isfinite(noise) else None,
        "delta": verdict.decision.delta if isfinite(verdict.decision.delta) else None,
        "predicted_effect": verdict.predicted,
        "predicted_answer": verdict.predicted_answer and str(verdict.predicted_answer),
        "foreseen": verdict.agrees,
        "padding": verdict.padding,
    }


def _rung_document(ladder: Ladder, rung: Rung, level: float) -> dict[str, Any]:
    speed = relative_speed(rung, level)
    images, moved = relative_images(rung, level), relative_bytes(rung, level)
    latency = rung.record["latency"]
    executed = rung.record.get("executed_kernels")
    rows = executed.details["kernels"] if executed is not None and executed.samples else None
    padded, predicted = (
        rung.record.get(name) for name in ("multiply_adds_padded", "predicted_latency")
    )
    return {
        "guideline": ladder.guideline,
        "ladder": ladder.kind,
        "scale": rung.scale,
        "axis": rung.axis,
        "rung": rung.label,
        "multiply_adds": rung.record["multiply_adds"].value,
        "multiply_adds_padded": padded and padded.value,
        "memory_access_fused": rung.record["memory_access_fused"].value,
        "latency": latency.value,
        "predicted_latency": predicted and predicted.value,
        "images_per_second": rung.images,
        "multiply_adds_per_second": rung.speed,
        "relative_speed": _known(speed.value),
        "relative_speed_ci": speed.bounds,
        "relative_images_per_second": _known(images.value),
        "relative_images_per_second_ci": images.bounds,
        "relative_bytes_per_second": _known(moved.value),
        "relative_bytes_per_second_ci": moved.bounds,
        "predicted_relative_speed": rung.foreseen,
        **_paper(rung),
        "kernels": None if rows is None else dict(Counter(f"{row[1]} x{row[2]}" for row in rows)),
        "quality": rung.record.quality.grade,
        "record": rung.record.id,
    }


def _paper(rung: Rung) -> dict[str, Any]:
    """As printed, and the interval that the digits leave; None where it prints nothing."""
    images = rung.paper
    speed = images and tuple(value * exp(rung.work) for value in images)
    return {
        "paper_relative_speed": speed and speed[0],
        "paper_relative_speed_ci": speed and speed[1:],
        "paper_relative_images_per_second": images and images[0],
        "paper_relative_images_per_second_ci": images and images[1:],
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def guideline_rows(result: Result) -> list[dict[str, Any]]:
    """A row for each rung of each cell."""
    level = 1 - result.rule.confidence
    return [
        cell.conditions | _rung_document(ladder, rung, level)
        for cell in result.cells
        for ladder in cell.ladders
        for rung in ladder.rungs
    ]
