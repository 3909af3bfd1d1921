"""The networks of conf/model as cases, for tests that go through all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from benchbench.cases import Case, from_settings
from benchbench.config import (
    Settings,
    conf_dir,
    model_settings,
    register,
    settings,
    variants,
)

NAMES = [variant.name for variant in variants()]
# Resolution changes no layer: one name a network.
NETWORKS = [name for name in NAMES if not re.search(r"_r\d+$", name)]
GIANTS = (
    *("efficientnet_b6", "efficientnet_b7", "efficientnet_b8", "efficientnet_l2"),
    *("efficientnet_v2_l", "efficientnet_v2_xl", "shufflenet_v2_164_se"),
    *(name for name in NETWORKS if name.startswith("amoebanet")),
)


def marked(names: Iterable[str]) -> list[Any]:
    """Names as parameters of a test, the giants' marked slow."""
    slow = [pytest.mark.slow]
    return [pytest.param(name, marks=slow if name in GIANTS else []) for name in names]


def variant(name: str, *overrides: str) -> Case:
    """The case that `model=name` and further overrides make."""
    if not overrides:
        return _cases()[name]
    return from_settings(composed(name, *overrides), name)


@cache
def _cases() -> dict[str, Case]:
    return {case.name: case for case in every_variant()}


def composed(name: str, *overrides: str) -> Settings:
    """The settings of that case."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings(compose("config", [f"model={name}", *overrides]))


def every_variant() -> list[Case]:
    """All of them, in order. Hydra composes the first only: it takes 0.1 s for each."""
    first = composed(NAMES[0])
    return [from_settings(replace(first, model=model_settings(name)), name) for name in NAMES]
