"""What a job is and what comes of it: between the command line and the tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

DONE, FAILED_CHECK, ERROR, NO_EVIDENCE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Job:
    """What Hydra knows of a job beside its settings."""

    model_name: str  # as reports call the network
    command: str  # repeats this job alone
    first_row: bool = True  # of a sweep's CSV: print the header
    sweep: bool = False
    problems: list[str] = field(default_factory=list)  # what kept records from being written


@dataclass(frozen=True)
class Result:
    """What a task hands to the report, in each form that can be asked for."""

    parts: list[RenderableType]  # of the table
    document: dict[str, Any]
    rows: list[dict[str, Any]]
    exit_code: int = DONE
    problem: str | None = None  # what went wrong after the record was kept
