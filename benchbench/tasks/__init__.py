"""The tasks: each lists its cases, has them measured or read, judged, and put into a report."""

from __future__ import annotations

from collections.abc import Callable

from benchbench.config import Settings
from benchbench.jobs import Job, Result
from benchbench.tasks.ablation import ablation
from benchbench.tasks.audit import audit
from benchbench.tasks.explain import explain
from benchbench.tasks.guidelines import guidelines
from benchbench.tasks.inventory import list_
from benchbench.tasks.scaling import scaling
from benchbench.tasks.several import compare, rank, selftest
from benchbench.tasks.single import accuracy, agreement, crosscheck, profile

TASKS: dict[str, Callable[[Settings, Job], Result]] = {
    "profile": profile,
    "crosscheck": crosscheck,
    "accuracy": accuracy,
    "agreement": agreement,
    "rank": rank,
    "selftest": selftest,
    "compare": compare,
    "audit": audit,
    "ablation": ablation,
    "guidelines": guidelines,
    "explain": explain,
    "scaling": scaling,
    "list": list_,
}
