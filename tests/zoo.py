"""docs/zoo.md, which compares every network's counts with what is printed: `make readme`."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from conventions import total
from explanations import Difference, Reason, explain
from notes import NONE_PUBLISHED, NOT_IN_THE_FILE
from published import Figure, figures
from variants import every_variant

from benchbench.cases import Case
from benchbench.counting.cost import Cost
from benchbench.profilers.complexity import complexity

ZOO = Path(__file__).parents[1] / "docs" / "zoo.md"
QUANTITIES = {"params": "parameters", "multiply_adds": "multiply-adds"}
INTRODUCTION = """\
# The zoo

What every network of `conf/model` costs, what others print about it, and why the two differ.
`make readme` writes this page; a test fails when it is out of date.

**Counted** are parameters and multiply-adds, to the unit, for one square image, as many pixels a
side as the network was made for. Multiply-adds are what papers call FLOPs, MAdds or MACs: one for
each multiplication and its addition in convolutions and linear layers, nothing else. The network is
walked once on torch's `meta` device and every executed operator looked up in one table of formulas;
a test compares the counts with those of other implementations.

**Published** is what a source prints, to the digits it prints, from
[models.csv](../tests/reference/models.csv); the [sources](#sources) are below. Beside it stands by
how many per cent it is above our count. From 1 % on the last column says why and, if the reason is
another way of counting, what our count then is. Beneath each table the reasons are explained. They
are checked against the exact numbers, except notes, which say what evidence there is."""
HEADER = """\
| network | pixels | parameters | published | multiply-adds | published | source | why |
| --- | --: | --: | --: | --: | --: | --- | --- |"""

Reasons = dict[tuple[str, str, Figure], Reason]


class Entry(NamedTuple):
    """A variant with our counts and everybody's figures."""

    case: Case
    cost: Cost
    figures: list[Figure]

    @property
    def family(self) -> str:
        """The module that has the network."""
        return self.case.target.rpartition(".")[0]

    def differences(self) -> list[Difference]:
        """One for each figure and quantity that is printed."""
        return [
            Difference(self.case.name, self.family, quantity, figure, self.cost)
            for figure in self.figures
            for quantity in QUANTITIES
            if getattr(figure, quantity) is not None
        ]


@cache
def entries() -> tuple[Entry, ...]:
    """Every variant, counted anew."""
    return tuple(Entry(case, complexity(case), figures(case.name)) for case in every_variant())


def page(found: Sequence[Entry]) -> str:
    """The whole page.

    Raises:
        ValueError: a figure that is off by more than 1 % has no reason.
    """
    differences = [difference for entry in found for difference in entry.differences()]
    reasons = {d.key: explain(d, differences) for d in differences if d.needs_a_reason}
    by_family = groupby(sorted(found, key=lambda e: (e.family, e.case.name)), lambda e: e.family)
    parts = [INTRODUCTION, summary(found, differences, reasons)]
    parts += [section(family, list(members), reasons) for family, members in by_family]
    return "\n\n".join([*parts, sources(found)]) + "\n"


def summary(found: Sequence[Entry], differences: list[Difference], reasons: Reasons) -> str:
    """How much agrees, and what the rest is put down to."""
    counts = Counter(reason.short for reason in reasons.values()).most_common()
    silent = sum(not entry.figures for entry in found)
    return wrapped(
        f"Of {len(differences)} printed figures of {len(found) - silent} networks, "
        f"{len(differences) - len(reasons)} are less than 1 % from ours. The others: "
        f"{', '.join(f'{short} ({count})' for short, count in counts)}. "
        f"About {silent} more networks nothing is printed."
    )


def section(family: str, members: Sequence[Entry], reasons: Reasons) -> str:
    """A family's table and what its reasons mean."""
    title, _, rest = str(importlib.import_module(family).__doc__).splitlines()[0].partition(": ")
    lines = [f"## {title}", "", rest[:1].upper() + rest[1:], "", HEADER]
    lines += [f"| {' | '.join(row)} |" for entry in members for row in rows(entry, reasons)]
    names = {entry.case.name for entry in members}
    used = [reason for key, reason in reasons.items() if key[0] in names and reason.text]
    lines += ["", *dict.fromkeys(explanation(reason) for reason in used)]
    return "\n".join(lines).rstrip()


def explanation(reason: Reason) -> str:
    """The line beneath the table."""
    note = f" (note on `{reason.noted}`)" if reason.noted else ""
    return wrapped(f"- **{reason.short}**{note}: {reason.text}.")


def wrapped(text: str) -> str:
    """A paragraph or an item of a list, in lines of at most 100."""
    indent = "  " if text.startswith("- ") else ""
    return fill(text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def rows(entry: Entry, reasons: Reasons) -> list[list[str]]:
    """A variant's cells, a row for each source; what we count stands in the first only."""
    head = [f"`{entry.case.name}`", str(entry.case.resolution)]
    counted = [f"{total(entry.cost, quantity):,}" for quantity in QUANTITIES]
    if not entry.figures:
        return [[*head, counted[0], "", counted[1], "", "none", silence(entry.case.name)]]
    found = []
    for figure in entry.figures:
        of_figure = {d.quantity: d for d in entry.differences() if d.figure == figure}
        params, multiply_adds = (compared(of_figure.get(quantity)) for quantity in QUANTITIES)
        label = figure.source.label + (" (unverified)" if figure.unverified else "")
        reason = why(list(of_figure.values()), reasons)
        found.append([*head, counted[0], params, counted[1], multiply_adds, label, reason])
        head, counted = ["", ""], ["", ""]
    return found


def compared(difference: Difference | None) -> str:
    """A printed figure and how far it is above ours."""
    if difference is None:
        return ""
    percent = f"{100 * difference.relative:+.2f} %".replace("-0.00", "+0.00")
    return f"{difference.printed} {f'**{percent}**' if difference.needs_a_reason else percent}"


def why(differences: list[Difference], reasons: Reasons) -> str:
    """The reasons of a row, with the quantity where they differ."""
    found = {QUANTITIES[d.quantity]: str(reasons[d.key]) for d in differences if d.key in reasons}
    if len(set(found.values())) > 1:
        return "; ".join(f"{quantity}: {reason}" for quantity, reason in found.items())
    return next(iter(found.values()), "")


def silence(name: str) -> str:
    """Why nothing is published about a variant."""
    found = (why for pattern, why in NONE_PUBLISHED.items() if fnmatch(name, pattern))
    return next(found, NOT_IN_THE_FILE)


def sources(found: Sequence[Entry]) -> str:
    """Those that the page names, in alphabetical order."""
    used = {figure.source for entry in found for figure in entry.figures}
    lines = sorted((f"- **{source.label}**: {source.citation}" for source in used), key=str.lower)
    return "\n".join(["## Sources", "", *map(wrapped, lines)])


if __name__ == "__main__":
    ZOO.parent.mkdir(exist_ok=True)
    ZOO.write_text(page(entries()), "utf-8")
