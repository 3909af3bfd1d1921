"""Layouts as the CPU plugin writes them, and how long a node takes from means that it rounds."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from benchbench.runtimes.graph import Operand, Unreadable
from benchbench.runtimes.openvino_graph import _as_computed, _order, _padded, _timed


@pytest.mark.parametrize(
    ("shape", "layout", "stored"),
    [
        ((1, 20, 7, 7), "abcd", (1, 20, 7, 7)),
        ((1, 20, 7, 7), "acdb", (1, 20, 7, 7)),
        ((1, 20, 7, 7), "aBcd8b", (1, 24, 7, 7)),
        ((1, 20, 7, 7), "aBcd16b", (1, 32, 7, 7)),
        ((20, 3, 3, 3), "ABcd16b8a2b", (24, 32, 3, 3)),  # 16 x 2 of b
        ((1, 20), "undef", (1, 20)),
    ],
)
def test_blocks_are_filled_up(shape: tuple[int, ...], layout: str, stored: tuple[int, ...]) -> None:
    assert _padded(shape, layout) == stored


def test_a_block_of_no_dimension() -> None:
    with pytest.raises(Unreadable, match="aBcd16e"):
        _padded((1, 20, 7, 7), "aBcd16e")


def test_channels_last_of_one_pixel_are_channels_first() -> None:
    assert _order("abcd", [1, 20, 1, 1]) == _order("acdb", [1, 20, 1, 1]) == ["b"]
    assert _order("abcd", [1, 20, 7, 7]) == ["b", "c", "d"]
    assert _order("acdb", [1, 20, 7, 7]) == ["c", "d", "b"]
    assert _order("aBcd16b", [1, 20, 1, 1]) is None


@pytest.mark.parametrize(
    ("kept", "computed", "size"),
    [("f32", "bf16", 2), ("f32", "f32", 4), ("f32", "i8", 4), ("i8", "f32", 1)],
)
def test_float_weights_are_read_in_the_precision_of_their_layer(
    kept: str, computed: str, size: int
) -> None:
    weight = Operand("w", (8, 3), kept, 24 * (4 if kept == "f32" else 1))
    assert _as_computed(weight, computed).bytes == 24 * size


def test_the_first_call_is_taken_off_a_mean() -> None:
    """Eleven calls, the first of 210 us and ten of 20: 410 / 11 is 37.3, read as 37."""
    mean = SimpleNamespace(
        node_name="n", node_type="t", exec_type="k", real_time=timedelta(microseconds=37)
    )
    found = _timed(mean, first=210, calls=11)
    assert found.seconds == pytest.approx(20e-6, abs=0.6e-6)
    assert found[:3] == ("n", "t", "k")
