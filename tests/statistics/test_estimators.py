"""What stands for a block: which estimator holds still under which noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchbench.statistics.estimators import BLOCK_VALUES, block_value

Array = NDArray[np.float64]


def test_known_values() -> None:
    samples = [3.0, 1.0, 2.0, 10.0]
    assert block_value(samples) == block_value(samples, "median") == 2.5
    assert block_value(samples, "minimum") == 1.0


def test_an_unknown_estimator_is_named_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"'mean'; one of median, minimum"):
        block_value([1.0], "mean")


def spread(blocks: Array, estimator: str) -> float:
    """Of the log ratios of one block to the next."""
    logs = np.log([block_value(block.tolist(), estimator) for block in blocks])
    return float(np.std(logs[::2] - logs[1::2]))


def test_minima_hold_still_under_interruptions() -> None:
    """Half the calls interrupted for as long as they take: medians jump, minima stay."""
    random = np.random.default_rng(2)
    calls = 1 + random.normal(0, 0.005, (2000, 20))
    busy = calls + (random.random(calls.shape) < 0.5) * random.exponential(1.0, calls.shape)
    assert spread(busy, "minimum") < 0.005
    assert spread(busy, "median") > 0.1


def test_medians_use_more_of_undisturbed_samples() -> None:
    """Of 20 normal samples: standard deviations 0.27 (median) and 0.53 (minimum).

    Source: Teichroew 1956, Annals of Mathematical Statistics 27:410 (order statistics, n = 20).
    """
    calls = 1 + np.random.default_rng(2).normal(0, 0.005, (4000, 20))
    found = {name: spread(calls, name) / 0.005 / np.sqrt(2) for name in BLOCK_VALUES}
    assert found == pytest.approx({"median": 0.273, "minimum": 0.525}, rel=0.05)
