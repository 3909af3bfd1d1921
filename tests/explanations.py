"""Why a printed figure is not what we count, by checks on exact numbers; notes are the last resort.

Checks are tried in order, the more particular first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import NamedTuple

from conventions import CONVENTIONS, total
from notes import NOTES
from published import Figure, namesakes
from sources import Printed, with_digits

from benchbench.counting.cost import Cost

WORTH_A_REASON = 0.01
NOMINAL = 3  # so many networks with one figure: it belongs to none of them
HABIT = 3  # so many figures show how a column is printed


class Difference(NamedTuple):
    """A printed figure beside ours."""

    variant: str
    family: str
    quantity: str  # "params" or "multiply_adds"
    figure: Figure
    cost: Cost

    @property
    def printed(self) -> Printed:
        found: Printed = getattr(self.figure, self.quantity)
        return found

    @property
    def exact(self) -> int:
        return total(self.cost, self.quantity)

    @property
    def relative(self) -> float:
        """How far the printed figure is above ours."""
        return self.printed.value / self.exact - 1

    @property
    def needs_a_reason(self) -> bool:
        """Whether a table that shows hundredths of a per cent shows 1 % or more."""
        return round(abs(self.relative), 4) >= WORTH_A_REASON

    @property
    def key(self) -> tuple[str, str, Figure]:
        return (self.variant, self.quantity, self.figure)

    @property
    def column(self) -> tuple[str, str, str]:
        """What was presumably printed by the same hand."""
        return (self.figure.source.label, self.family, self.quantity)


class Reason(NamedTuple):
    short: str  # for the table
    text: str = ""  # for the line beneath it, where `short` does not say it all
    result: str = ""  # what the reason makes of our count
    noted: str = ""  # for which networks somebody wrote it down; "" where a check found it

    def __str__(self) -> str:
        return f"{self.short}: {self.result}" if self.result else self.short


Check = Callable[[Difference, Sequence[Difference]], Reason | None]


def explain(difference: Difference, everything: Sequence[Difference]) -> Reason:
    """Why a figure is off; `everything` is all that is compared, which shows a source's habits.

    Raises:
        ValueError: nothing explains it.
    """
    for check in CHECKS:
        reason = check(difference, everything)
        if reason is not None:
            return reason
    raise ValueError(
        f"{difference.variant}: {difference.figure.source.label} prints {difference.printed} "
        f"{difference.quantity}, {difference.relative:+.2%} from {difference.exact:,}, "
        "and nothing explains it"
    )


def nominal(difference: Difference, _: Sequence[Difference]) -> Reason | None:
    """The source prints one figure for several networks."""
    if difference.quantity != "multiply_adds" or len(namesakes(difference.figure)) < NOMINAL:
        return None
    return Reason("nominal", "the table prints one complexity whatever the number of groups")


def cut(difference: Difference, everything: Sequence[Difference]) -> Reason | None:
    """The whole column is cut."""
    count = _habit(difference, everything, lambda exact, digit: exact // digit * digit)
    text = f"cut to the digits printed, not rounded, as all {count} figures of this column are"
    return Reason("cut", text) if count else None


def rounded_up(difference: Difference, everything: Sequence[Difference]) -> Reason | None:
    """The whole column is rounded up."""
    count = _habit(difference, everything, lambda exact, digit: -(-exact // digit) * digit)
    text = f"to the next digit printed, as all {count} figures of this column are"
    return Reason("rounded up", text) if count else None


def _habit(
    difference: Difference,
    everything: Sequence[Difference],
    shorten: Callable[[int, int], int],
) -> int:
    """How many figures the column has if `shorten` and not rounding makes them all, else 0."""
    column = [other for other in everything if other.column == difference.column]
    made = all(shorten(d.exact, d.printed.digit) == d.printed.value for d in column)
    rounded = all(d.printed.holds(d.exact) for d in column)
    return len(column) if made and not rounded and len(column) >= HABIT else 0


def rounding(difference: Difference, _: Sequence[Difference]) -> Reason | None:
    """Our count, rounded to the digits printed, is the figure."""
    return Reason("rounding") if difference.printed.holds(difference.exact) else None


def convention(difference: Difference, _: Sequence[Difference]) -> Reason | None:
    """Counted the source's own way, our figure is its figure, or within what needs no reason."""
    for known in CONVENTIONS:
        if known[:2] != (difference.figure.source.label, difference.quantity):
            continue
        counted = known.count(difference.cost)
        off = abs(difference.printed.value / counted - 1)
        agrees = difference.printed.holds(counted) or off <= WORTH_A_REASON
        if agrees and fnmatch(difference.variant, known.variants):
            result = with_digits(counted, difference.printed.digit, more=1)
            return Reason(known.short, known.text, result)
    return None


def noted(difference: Difference, _: Sequence[Difference]) -> Reason | None:
    """Somebody looked into it."""
    for note in NOTES:
        if (note.source, note.quantity) == difference.column[::2] and fnmatch(
            difference.variant, note.variants
        ):
            return Reason(note.short, note.text, noted=note.variants)
    return None


CHECKS: tuple[Check, ...] = (nominal, cut, rounded_up, rounding, convention, noted)
