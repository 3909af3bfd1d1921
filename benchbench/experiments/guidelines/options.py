"""What conf/guideline says of each guideline's ladders, checked before a network is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchbench.errors import UserError, unknown

LARGEST = 65536  # channels, groups or times


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what makes no ladder.

    Raises:
        UserError: an unknown guideline or key, or a value that is none of the allowed.
    """
    for guideline, own in options.items():
        if guideline not in _KEYS:
            raise unknown("guideline", guideline, _KEYS)
        keys = {"claim": None, **_KEYS[guideline]}
        if not isinstance(own, Mapping) or sorted(map(str, own)) != sorted(keys):
            has = ", ".join(map(str, own)) if isinstance(own, Mapping) else own
            raise UserError(f"guideline.{guideline} has {has}: needs {', '.join(keys)}")
        for key, check in _KEYS[guideline].items():
            _check_list(f"guideline.{guideline}.{key}", own[key], *check)


def _check_list(name: str, values: object, allowed: str, fits: Callable[[Any], bool]) -> None:
    if not isinstance(values, list) or not values:
        raise UserError(f"{name}={values}: must be a list of {allowed}, at least one")
    for value in values:
        if not fits(value):
            raise UserError(f"{name}: {value} is none of {allowed}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _is_arrangement(value: object) -> bool:
    from architectures.guideline_stacks import ARRANGEMENTS

    return value in ARRANGEMENTS


def _is_elementwise(value: object) -> bool:
    from architectures.guideline_stacks import ELEMENTWISE

    return value in ELEMENTWISE


_COUNTS = (f"whole numbers from 1 to {LARGEST}", _is_count)
_KEYS: dict[str, dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "g1": {"widths": ("pairs [c1,c2] of channels", _is_pair), "scales": _COUNTS},
    "g2": {"channels": _COUNTS, "groups": _COUNTS},
    "g3": {
        "channels": _COUNTS,
        "fragments": _COUNTS,
        "arrangements": ("series, parallel_add, parallel_concat", _is_arrangement),
    },
    "g4": {
        "channels": _COUNTS,
        "extended": (
            "none, relu, swish, hard_swish, batch_norm, squeeze_excite, channel_shuffle, "
            "split_concat",
            _is_elementwise,
        ),
    },
}
