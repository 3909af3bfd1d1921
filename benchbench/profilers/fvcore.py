"""What fvcore counts, by its own conventions: a cross-check of our `multiply_adds`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

from benchbench.cases import Case, build
from benchbench.config import BudgetSettings
from benchbench.inputs import make_input
from benchbench.measurements import Measurement, exact
from benchbench.profilers.beat import Beat

# Above this a forward on the CPU takes minutes, for a number that only checks another one.
LARGEST_MULTIPLY_ADDS = 50e9
TOO_LARGE = "fvcore needs a real forward on the CPU, which is left out above 50 G multiply-adds"


def fvcore(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`flops_fvcore`, with what it counts by operator and which operators it skips.

    It traces a forward in fp32 on the CPU, whatever the case's device: on `meta` it fails.
    """
    from fvcore.nn import FlopCountAnalysis

    beat(0.0)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(build(case, "cpu"), make_input(case))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {name: round(flops) for name, flops in analysis.by_operator().items()}
        skipped = dict(analysis.unsupported_ops())
    yield exact("flops_fvcore", sum(by_operator.values()), operators=by_operator, skipped=skipped)
