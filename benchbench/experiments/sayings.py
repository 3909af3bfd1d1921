"""What people say of networks and guidelines, and whether counting bears it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from benchbench.experiments.audit import Audit

PAPER = "arXiv:1807.11164, section 2"


class Claim(NamedTuple):
    """That a network breaks a guideline, or, without one, any of them."""

    network: str
    guideline: str | None = None
    breaks: bool = True


class Saying(NamedTuple):
    """It holds where all of its claims do."""

    text: str
    claims: tuple[Claim, ...]
    source: str | None = None


V1, V2, V3 = "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large"
MNASNET, SHUFFLENET_V1, SHUFFLENET_V2 = "mnasnet_a1", "shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0"
OTHERS = (V1, V2, V3, MNASNET, SHUFFLENET_V1)

SAYINGS = (
    Saying("MobileNetV2 breaks G1", (Claim(V2, "G1"),), PAPER),
    Saying("MnasNet breaks G3", (Claim(MNASNET, "G3"),), f"{PAPER}: of networks found by search"),
    Saying("MobileNetV3 breaks G1 and G3", (Claim(V3, "G1"), Claim(V3, "G3"))),
    Saying("ShuffleNetV1 breaks G2", (Claim(SHUFFLENET_V1, "G2"),), PAPER),
    Saying(
        "all but ShuffleNetV2 break something",
        (*(Claim(name) for name in OTHERS), Claim(SHUFFLENET_V2, breaks=False)),
    ),
    Saying("all break G4", tuple(Claim(name, "G4") for name in (*OTHERS, SHUFFLENET_V2))),
)


class Standing(StrEnum):
    CONFIRMED = "CONFIRMED"
    OVERTURNED = "OVERTURNED"
    NO_EVIDENCE = "no evidence"


class Judged(NamedTuple):
    """`against`: the claims that do not hold; `missing`: those that nothing is known of."""

    saying: Saying
    standing: Standing
    against: tuple[Claim, ...]
    missing: tuple[Claim, ...]


def judge_sayings(audits: Sequence[Audit], sayings: Sequence[Saying] = SAYINGS) -> list[Judged]:
    """Each saying beside the audits of the networks that it names.

    One claim that does not hold overturns a saying, whatever is not known of the others.
    """
    by_name = {audit.record.case.name: audit for audit in audits}
    return [_judged(saying, by_name) for saying in sayings]


def _judged(saying: Saying, audits: Mapping[str, Audit]) -> Judged:
    holds = {claim: _holds(claim, audits.get(claim.network)) for claim in saying.claims}
    against = tuple(claim for claim, answer in holds.items() if answer is False)
    missing = tuple(claim for claim, answer in holds.items() if answer is None)
    standing = Standing.CONFIRMED
    if against or missing:
        standing = Standing.OVERTURNED if against else Standing.NO_EVIDENCE
    return Judged(saying, standing, against, missing)


def _holds(claim: Claim, audit: Audit | None) -> bool | None:
    found = None if audit is None else audit.violates(claim.guideline)
    return None if found is None else found == claim.breaks
