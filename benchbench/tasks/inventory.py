"""What there is to choose."""

from __future__ import annotations

from dataclasses import asdict

from benchbench.config import Settings
from benchbench.jobs import Job, Result


def list_(_: Settings, __: Job) -> Result:
    from benchbench.experiments.inventory import inventory
    from benchbench.report.documents import inventory_document
    from benchbench.report.tables import inventory_tables

    found = inventory()
    rows = [asdict(variant) for variant in found.variants]
    return Result(inventory_tables(found), inventory_document(found), rows)
