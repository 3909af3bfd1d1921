"""What makes no ladder is refused, with the key and the value."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest

from benchbench import config
from benchbench.errors import UserError
from benchbench.experiments.guidelines.options import check_options


def test_the_packages_own_are_allowed() -> None:
    check_options(config.guideline_settings())


@pytest.mark.parametrize(
    ("guideline", "key", "value", "message"),
    [
        ("g1", "widths", 3, "guideline.g1.widths=3: must be a list of pairs [c1,c2] of channels"),
        ("g1", "widths", [], "guideline.g1.widths=[]: must be a list"),
        ("g1", "widths", [[96]], "guideline.g1.widths: [96] is none of pairs"),
        ("g1", "scales", [0], "guideline.g1.scales: 0 is none of whole numbers from 1"),
        ("g1", "scales", [float("nan")], "guideline.g1.scales: nan is none of"),
        ("g2", "groups", [True], "guideline.g2.groups: True is none of"),
        ("g3", "arrangements", ["ring"], "guideline.g3.arrangements: ring is none of series"),
        ("g4", "extended", ["tanh"], "guideline.g4.extended: tanh is none of none, relu"),
        ("g4", "foo", 1, "guideline.g4 has claim, channels, extended, foo: needs claim"),
    ],
)
def test_what_is_refused(guideline: str, key: str, value: Any, message: str) -> None:
    options = deepcopy(config.guideline_settings())
    options[guideline][key] = value
    with pytest.raises(UserError, match=re.escape(message)):
        check_options(options)


def test_an_unknown_guideline_is_refused() -> None:
    with pytest.raises(UserError, match="foo"):
        check_options({"foo": {}})
    with pytest.raises(UserError, match=re.escape("guideline.g1 has 3: needs claim, widths")):
        check_options({"g1": 3})
