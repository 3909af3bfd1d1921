"""Processes as they behave, with a known truth: for tests of the statistics.

Logs throughout, so that what a process or a call does is a factor. Each way of varying within a
process has the median 0, each effect of a process the mean 0 or, Gaussian on the linear scale,
the median 0.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

SAMPLES = 41
SLOW_SHARE = 0.3  # of calls in the slow mode


def quiet(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.normal(0, 0.01, shape)


def bimodal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Three in ten calls 10 % slower. The median lies in the fast mode, at 0.5 / 0.7 of it."""
    median = 0.005 * NormalDist().inv_cdf(0.5 / (1 - SLOW_SHARE))
    slow = 0.10 * (random.random(shape) < SLOW_SHARE)
    return random.normal(0, 0.005, shape) + slow - median


def drifting(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """6 % slower from the first call to the last."""
    return random.normal(0, 0.01, shape) + np.linspace(-0.03, 0.03, shape[-1])


def autocorrelated(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Each call 0.9 of what disturbed the one before it."""
    noise = random.normal(0, 0.01, shape)
    for place in range(1, shape[-1]):
        noise[..., place] = 0.9 * noise[..., place - 1] + 0.19**0.5 * noise[..., place]
    return noise


WITHIN: dict[str, Draw] = {
    "quiet": quiet,
    "bimodal": bimodal,
    "drifting": drifting,
    "autocorrelated": autocorrelated,
}


def gaussian(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    logs: Array = np.log1p(random.normal(0, 0.05, shape))
    return logs


def lognormal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.normal(0, 0.10, shape)


def two_modes(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Half the processes 10 % slower than the others: memory laid out well or badly."""
    return np.where(random.random(shape) < 0.5, -0.05, 0.05) + random.normal(0, 0.02, shape)


def log_samples(effect: Draw, within: Draw, trials: int, processes: int, seed: int) -> Array:
    """(trials, processes, samples)."""
    random = np.random.default_rng(seed)
    luck = effect(random, (trials, processes, 1))
    return luck + within(random, (trials, processes, SAMPLES))
