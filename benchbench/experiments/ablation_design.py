"""The networks of an ablation: edited one way and another, each with its base's multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.compensation import Compensated, compensated, multiply_adds
from benchbench.config import ProfilerSettings
from benchbench.errors import UserError

PROFILERS = ProfilerSettings(complexity=True, latency=True, roofs=True)
EDITS, FACTORIAL = "edits", "factorial"
# Unless others are asked for: one that starts every operator by itself, and one that does not.
RUNTIMES = {"cpu": ("eager", "onnxruntime"), "cuda": ("eager", "cuda_graph")}
FACTORS = ("no_se", "relu6", "expansion_3", "dw3", "no_residual")
REPEATED = "expansion_3"  # with each compensator
BASE, AGAIN, EDIT = "base", "again", "edit"
TARGET = "architectures.edited_mbconv.EditedMBConv"


class Variant(NamedTuple):
    """One network of the design: how it differs from the base, and what makes up for that."""

    compensated: Compensated
    label: str
    axes: Mapping[str, Any]


def cases(case: Case, others: Sequence[Case], design: str) -> list[Case]:
    """The networks of a design, executed as `case` and then as each of `others` is.

    One runtime's take turns with each other. The base comes twice: what the second says of the
    first is what is seen where there is nothing.

    Raises:
        UserError: the network is of no family of MBConv blocks, or has weights.
    """
    found = list(_variants(case, design))
    return [
        replace(
            way,
            name=f"{case.name}, {variant.label}",
            target=TARGET,
            arguments=variant.compensated.case.arguments,
            resolution=variant.compensated.case.resolution,
            turn=way.runtime,
            axes=variant.axes,
        )
        for way in (case, *others)
        for variant in found
    ]


def _variants(case: Case, design: str) -> Iterator[Variant]:
    from architectures.mbconv_edits import EDITS as KNOWN
    from architectures.mbconv_edits import applicable
    from architectures.mbconv_table import family_network, table_of

    base = _as_edited(case)
    target = multiply_adds(base)
    unedited = Compensated(base, "none", 1.0, 0.0, 0.0)
    allowed = applicable(
        table_of(family_network(base.arguments["base"], base.arguments["options"]))
    )
    factors = [name for name in FACTORS if name in allowed]
    shared = {"design": design, "network": case.name, "factors": factors}
    yield _variant(unedited, BASE, shared, role=BASE)
    yield _variant(unedited, "base again", shared, role=AGAIN)
    known: dict[float, float] = {}
    for edits, by in _edits(design, allowed, factors):
        own = replace(base, arguments={**base.arguments, "edits": edits})
        # Half of a factorial's edits change no count: the factor without them is theirs as well.
        found = compensated(own, target, by, known if design == FACTORIAL else None)
        known |= {found.moved: found.factor} if found.compensator == by else {}
        label = " + ".join(edits) + ("" if by == "width" else f", by {by}")
        yield _variant(
            found,
            label,
            shared,
            role=EDIT,
            edits=edits,
            text="; ".join(KNOWN[name].text for name in edits),
            note="; ".join(_notes([KNOWN[name].note for name in edits], found)),
        )


def _edits(
    design: str, allowed: Sequence[str], factors: Sequence[str]
) -> Iterator[tuple[list[str], str]]:
    """The edits of each network but the base, and by what they are made up for."""
    if design == FACTORIAL:
        if len(factors) < 2:
            raise UserError(f"ablation={design}: of {', '.join(FACTORS)} fewer than two apply here")
        for cell in range(1, 2 ** len(factors)):
            yield [name for bit, name in enumerate(factors) if cell >> bit & 1], "width"
        return
    for name in allowed:
        yield [name], "width"
    if REPEATED in allowed:
        yield from (([REPEATED], by) for by in ("depth", "resolution"))


def _variant(found: Compensated, label: str, shared: Mapping[str, Any], **axes: Any) -> Variant:
    how = {name: value for name, value in found._asdict().items() if name != "case"}
    defaults = {"edits": [], "text": "", "note": ""}
    return Variant(found, label, {**shared, "label": label, **defaults, **axes, **how})


def _notes(notes: Sequence[str], found: Compensated) -> Iterator[str]:
    """What must be known; that a network is narrower only where it is."""
    from architectures.mbconv_edits import NARROWER

    for note in dict.fromkeys(filter(None, notes)):
        if note != NARROWER or found.factor < 1:
            yield note


def _as_edited(case: Case) -> Case:
    """The same network as one that can be edited.

    Raises:
        UserError: it is of no family of MBConv blocks, or has a checkpoint's weights.
    """
    from architectures.mbconv_table import FAMILIES

    targets = {f"{kind.__module__}.{kind.__qualname__}": name for name, kind in FAMILIES.items()}
    if case.target not in targets:
        raise UserError(f"model={case.name}: allowed are variants of {', '.join(FAMILIES)}")
    if case.weights is not None:
        raise UserError(f"weights={case.weights}: an edited network has no trained weights")
    arguments = {"base": targets[case.target], "options": dict(case.arguments), "edits": []}
    return replace(case, target=TARGET, arguments=arguments)
