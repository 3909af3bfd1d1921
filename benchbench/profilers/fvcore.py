"""What fvcore counts, by its own conventions: a cross-check of our `multiply_adds`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.errors import UserError, described, is_out_of_memory
from benchbench.inputs import make_input
from benchbench.measurements import Measurement, absent, exact
from benchbench.networks import build
from benchbench.profilers.beat import Beat

# Above this a forward on the CPU takes minutes, for a number that only checks another one.
LARGEST_MULTIPLY_ADDS = 50e9
TOO_LARGE = "fvcore needs a real forward on the CPU, which is left out above 50 G multiply-adds"


def fvcore(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`flops_fvcore`, with what it counts by operator and which operators it skips.

    It traces a forward in fp32 on the CPU, whatever the case's device: on `meta` it fails.
    """
    beat(0.0)
    try:
        by_operator, skipped = _count(case)
    except Exception as error:
        if isinstance(error, UserError) or is_out_of_memory(error):
            raise
        yield absent("flops_fvcore", f"fvcore failed: {described(error)}")
        return
    yield exact("flops_fvcore", sum(by_operator.values()), operators=by_operator, skipped=skipped)


def _count(case: Case) -> tuple[dict[str, int], dict[str, int]]:
    """FLOPs by operator, and how often each operator without a formula was skipped."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(build(case, "cpu", calibrated=False).float(), make_input(case))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {name: round(flops) for name, flops in analysis.by_operator().items()}
        return by_operator, dict(analysis.unsupported_ops())
