"""Williams's squares: balanced in places and in neighbours."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchbench.statistics.orders import orders


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_orders_balance_places_and_neighbours(count: int) -> None:
    rows = orders(count)
    for place in range(count):
        column = [row[place] for row in rows]
        assert all(column.count(label) == len(rows) // count for label in range(count))
    following = [pair for row in rows for pair in pairwise(row)]
    every = [(a, b) for a in range(count) for b in range(count) if a != b]
    assert {following.count(pair) for pair in every} == {len(rows) // count}
    first_square = rows[:count]
    assert all(len({row[place] for row in first_square}) == count for place in range(count))


@pytest.mark.parametrize(("count", "rows"), [(1, [[0]]), (2, [[0, 1], [1, 0]])])
def test_one_alone_and_two(count: int, rows: list[list[int]]) -> None:
    assert orders(count) == rows
