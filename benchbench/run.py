"""One job from settings to report: does its task and prints what comes of it."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Any

from benchbench.config import Settings, default_profiler, options, unknown_option
from benchbench.errors import NoEvidence, UserError, printable
from benchbench.jobs import NO_EVIDENCE, Job, Result
from benchbench.recording import READ_RECORDS
from benchbench.tasks import TASKS

# What would otherwise be typed in vain.
ONLY_READ_BY = {
    "profiler": ("profile", "audit", "scaling"),
    "labels": ("accuracy",),
    "crops": ("agreement",),
    "models": ("rank", "audit", "explain"),
    "largest_multiply_adds": ("explain",),
    "runtimes": ("rank", "guidelines", "ablation", "explain"),
    "precisions": ("rank", "guidelines", "explain"),
    "records": READ_RECORDS,
    "guideline": ("guidelines",),
    "ladders": ("guidelines",),
    "ablation": ("ablation",),
    "baseline": ("compare",),
    "candidate": ("compare",),
    "force": ("compare",),
}
# They measure networks of their own choice.
NO_MODEL = {
    "rank": "takes models=[...] and not model=",
    "explain": "takes models=[...] and not model=",
    "scaling": "takes no model=: it scales the networks of the EfficientNet paper",
    "selftest": "takes no model=: it measures a network of its own",
    "guidelines": "takes no model=: it measures stacks of its own",
}

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")  # to a spreadsheet


def run(settings: Settings, job: Job) -> int:
    """Do one job and print its report. Returns the exit code.

    Raises:
        UserError: the job cannot be done; nothing was written.
    """
    if settings.task.name not in TASKS:
        raise unknown_option("task", settings.task.name)
    # Networks may print; stdout belongs to the report.
    with _stdout_to_stderr():
        result = TASKS[settings.task.name](settings, job)
    _print(result, settings.output, job)
    if job.problems:
        raise UserError("; ".join(job.problems))
    if result.problem is not None:
        raise (NoEvidence if result.exit_code == NO_EVIDENCE else UserError)(result.problem)
    return result.exit_code


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Whatever writes to stdout, Python or not, writes to stderr for now."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what C has buffered belongs to stderr as well
        os.dup2(before, 1)
        os.close(before)


def _print(result: Result, output: str, job: Job) -> None:
    from benchbench.report.terminal import encodable, terminal_text

    if output == "json":
        layout: dict[str, Any] = {"separators": (",", ":")} if job.sweep else {"indent": 2}
        print(json.dumps(result.document, allow_nan=False, **layout))
    elif output == "csv":
        text = csv_text(result.rows, header=job.first_row)
        print(encodable(text, sys.stdout.encoding), end="")
    else:
        print(terminal_text(result.parts, sys.stdout), end="")
    sys.stdout.flush()


def csv_text(rows: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    """Rows as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    import pandas

    frame = pandas.DataFrame([{key: _cell(item) for key, item in row.items()} for row in rows])
    text: str = frame.to_csv(index=False, header=header)
    return text


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if value.startswith(FORMULA_STARTS) else shown


def check_choices(settings: Settings) -> None:
    """Refuse a choice whose folder has the file but whose content was overridden to nonsense.

    Raises:
        UserError: `device.type=tpu`, `runtime.name=jax` and the like.
    """
    for group, name in (("device", settings.device.type), ("runtime", settings.runtime.name)):
        if name not in options(group):
            raise unknown_option(group, name)
    for name in ("accuracy", "agreement"):
        if getattr(settings.profiler, name):
            raise UserError(f"profiler.{name}=true: it needs other input, so say task={name}")
    if not any(asdict(settings.profiler).values()):
        raise UserError(f"no profiler: allowed are {', '.join(options('profiler'))}")
    _refuse_what_is_not_read(settings)


def _refuse_what_is_not_read(settings: Settings) -> None:
    defaults = Settings(profiler=default_profiler())
    name = settings.task.name
    for key, tasks in ONLY_READ_BY.items():
        value = getattr(settings, key)
        if value != getattr(defaults, key) and name not in tasks:
            readers = " and ".join(f"task={task}" for task in tasks)
            verb = "reads" if len(tasks) == 1 else "read"
            shown = key if key == "profiler" else f"{key}={value}"  # it is many switches
            raise UserError(f"{shown}: only {readers} {verb} {key}")
    for key, one, default in (
        ("runtime", settings.runtime.name, defaults.runtime.name),
        ("precision", settings.precision, defaults.precision),
    ):
        several = getattr(settings, f"{key}s")
        if several and one != default and one not in several:
            raise UserError(f"{key}={one} and {key}s={','.join(several)}: say one of the two")
    if name in NO_MODEL and settings.model.get("_target_"):
        raise UserError(f"task={name} {NO_MODEL[name]}")
