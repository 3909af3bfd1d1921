"""The orders in which several networks take their turns."""

from __future__ import annotations


def orders(count: int) -> list[list[int]]:
    """Rows in which each of `count` stands equally often at each place and after each other.

    With an odd count both hold over two squares; over the first one, only the places are
    balanced. One alone has one row. Source: E. J. Williams, Australian Journal of Scientific
    Research A 2 (1949), 149.
    """
    zigzag = [(step + 1) // 2 * (1 if step % 2 else -1) % count for step in range(count)]
    square = [[(place + shift) % count for place in zigzag] for shift in range(count)]
    return square if count % 2 == 0 or count == 1 else square + [row[::-1] for row in square]
