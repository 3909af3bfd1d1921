"""The documents of `output=json` and `output=csv`: a contract, one a job."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median, quantiles
from typing import Any

from benchbench.experiments.accuracy import Accuracy
from benchbench.experiments.agreement import Agreement
from benchbench.experiments.crosscheck import Crosscheck
from benchbench.experiments.inventory import Inventory
from benchbench.measurements import Measurement
from benchbench.metrics import METRICS
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.graph import graph_document
from benchbench.statistics.intervals import percentiles


def profile_document(record: Record, folder: str | None) -> dict[str, Any]:
    """The document of a profile. Raw samples stay in the store, under `record`."""
    layers = [asdict(layer) for layer in record.layers]
    graph = {"graph": graph_document(record)}
    return _document(record) | {"layers": layers, "folder": folder} | graph


def accuracy_document(record: Record, result: Accuracy) -> dict[str, Any]:
    """The document of an accuracy: that of a profile, with images for layers."""
    return _document(record) | {
        "images": result.images,
        "corrupt": {"count": len(result.corrupt), "files": list(result.corrupt)},
        "labels": {"file": record.case.labels, "from": result.labels},
    }


def agreement_document(record: Record, result: Agreement) -> dict[str, Any]:
    """The document of an agreement: that of a profile, with crops for layers."""
    crops = {"asked": record.case.crops, "seed": record.case.seed, **result.crops}
    return _document(record) | {
        "images": result.images,
        "crops": crops,
        "confident": {"count": result.confident, "probability": result.sure},
        "calibration": result.calibration,
    }


def _document(record: Record) -> dict[str, Any]:
    case = record.case
    return {
        "schema_version": record.schema_version,
        "task": record.task,
        "model": case.name,
        "target": case.target,
        "arguments": dict(case.arguments),
        "device": {"type": case.device, "index": case.device_index, "name": record.device_name},
        "runtime": case.runtime,
        "runtime_options": dict(case.runtime_options),
        "calibration": case.calibration,
        "precision": case.precision,
        "layout": case.layout,
        "cache": case.cache,
        "mode": case.mode,
        "batch_size": case.batch_size,
        "input_shape": list(case.input_shape),
        "input": case.input,
        "preprocessing": case.preprocessing,
        "weights": record.environment.get("weights"),
        "threads": case.threads,
        "metrics": {item.metric: _metric(item) for name in METRICS if (item := record.get(name))},
        "quality": asdict(record.quality),
        "environment": dict(record.environment),
        "record": record.id,
        "created": record.created,
        "tag": record.tag,
        "command": record.command,
    }


def _metric(measurement: Measurement) -> dict[str, Any]:
    metric = METRICS[measurement.metric]
    document: dict[str, Any] = {"value": measurement.value, "unit": metric.unit}
    if measurement.reason is not None:
        document["reason"] = measurement.reason
    if not metric.exact and measurement.samples:
        document |= _spread(measurement)
    return document


def _spread(measurement: Measurement) -> dict[str, Any]:
    """How far a figure is to be trusted: interval, extremes, and what each process found."""
    interval = measurement.interval
    found: dict[str, Any] = {
        "ci": None if interval is None else [interval.low, interval.high],
        "samples": len(measurement.flat),
        "processes": len(measurement.samples),
    }
    if METRICS[measurement.metric].estimator == "proportion":
        return found
    found["medians"] = list(measurement.medians)
    if len(measurement.flat) > len(measurement.samples):
        low, _, high = quantiles(measurement.flat, n=4, method="inclusive")
        found |= {"min": min(measurement.flat), "iqr": high - low}
        found |= percentiles(measurement.flat)
    probes = [median(known["probe"]) for known in measurement.processes if known.get("probe")]
    return found | ({"probe": probes} if probes else {})


def crosscheck_document(record: Record, result: Crosscheck) -> dict[str, Any]:
    """The document of a crosscheck."""
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "crosscheck",
        "model": record.case.name,
        "input_shape": list(record.case.input_shape),
        "agrees": result.agrees,
        "multiply_adds": record["multiply_adds"].value,
        "flops_fvcore": record["flops_fvcore"].value,
        "operators": [row._asdict() | {"difference": row.difference} for row in result.rows],
        "record": record.id,
        "command": record.command,
    }


def inventory_document(found: Inventory) -> dict[str, Any]:
    """The document of a list."""
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "list",
        "variants": [asdict(variant) for variant in found.variants],
        "families": [family._asdict() for family in found.families],
        "devices": found.devices,
        "choices": found.choices,
    }


def profile_row(record: Record) -> dict[str, Any]:
    """A profile as one flat row. Every row has the same columns, so rows of jobs line up."""
    case = record.case
    row: dict[str, Any] = {
        "record": record.id,
        "created": record.created,
        "tag": record.tag,
        "task": record.task,
        "model": case.name,
        "device": case.device_name,
        "device_name": record.device_name,
        "runtime": case.runtime,
        "precision": case.precision,
        "layout": case.layout,
        "cache": case.cache,
        "mode": case.mode,
        "batch_size": case.batch_size,
        "resolution": case.resolution,
        "threads": case.threads,
        "input": case.input,
        "preprocessing": case.preprocessing,
        "weights": case.weights,
        "weights_format": record.environment.get("weights", {}).get("format"),
    }
    for name, metric in METRICS.items():
        column = f"{name}_{metric.unit}" if metric.unit else name
        measurement = record.get(name)
        row[column] = measurement.value if measurement else None
        if not metric.exact:
            interval = measurement.interval if measurement else None
            row[f"{column}_low"] = interval.low if interval else None
            row[f"{column}_high"] = interval.high if interval else None
    return row | {"quality": record.quality.grade, "fingerprint": record.environment["fingerprint"]}


def accuracy_row(record: Record, result: Accuracy) -> dict[str, Any]:
    """An accuracy as one flat row: that of a profile, and its images."""
    counts = {"images": result.images, "corrupt": len(result.corrupt)}
    return profile_row(record) | counts | {"labels": record.case.labels}


def agreement_row(record: Record, result: Agreement) -> dict[str, Any]:
    """An agreement as one flat row: that of a profile, and its crops."""
    counts = {"images": result.images, "crops": result.crops.get("count")}
    calibration = {"calibration": result.calibration}
    return profile_row(record) | counts | {"confident": result.confident} | calibration
