"""Several networks under the guidelines: all scores, and what people say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.experiments.audit import GUIDELINES, Audit, Score
from benchbench.experiments.sayings import Claim, Judged, Standing, judge_sayings
from benchbench.report.tables import plain_table

FAMILY = "efficientnet"  # where it stands is what this suite is for
LEDGER = (
    "G1 and G2 by memory_access_paper; convolutions on maps of one pixel (squeeze-excite's) are\n"
    "left out, depthwise ones reported apart. G3's block is the unit that repeats; its operations\n"
    "are convolutions and pools, with squeeze-excite's two convolutions, without its mean. G4 by\n"
    "memory_access_fused: kernels that move data, and that nothing which computes could take in"
)


def several_tables(audits: Sequence[Audit]) -> list[RenderableType]:
    """Every network's scores, the sayings, and where EfficientNet stands."""
    heading = f"{len(audits)} networks under ShuffleNetV2's guidelines"
    sayings = judge_sayings(audits)
    return [
        Text.assemble((heading, "bold")),
        _matrix(audits),
        _sayings(sayings, audits),
        *(Text(_standing(audit)) for audit in audits if _is_of_family(audit)),
        Text(f"\nthresholds: {_thresholds(audits[0])}\n{LEDGER}\n"),
        Text("costs are timed for one network at a time: model=NAME"),
        Text(f"records {audits[0].record.id} and the others of its session"),
        Text(f"repeat  {audits[0].record.command}"),
    ]


def _matrix(audits: Iterable[Audit]) -> Table:
    table = plain_table("excess and measures; ! above the threshold")
    table.add_column("network", overflow="fold")
    for heading in (
        *("G1,\nwidths", "G2,\ngroups", "depth-\nwise", "G3, opera-\ntions a block", "most"),
        *("with\nmeans", "G3, work\n/ path", "G4,\nmoving"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("breaks")
    for audit in audits:
        g1, g2, operations, path, g4 = (_flagged(score) for score in audit.scores)
        table.add_row(
            audit.record.case.name,
            *(g1, g2, _depthwise(audit), operations, *_largest(audit), path, g4),
            _broken(audit),
        )
    return table


def _broken(audit: Audit) -> str:
    """The guidelines that are violated; what is not known is not "nothing"."""
    if audit.broken or audit.known:
        return ", ".join(audit.broken) or "nothing"
    return "not known"


def _flagged(score: Score) -> str:
    return shown(score, score.value) + ("!" if score.violated else " ")


def _depthwise(audit: Audit) -> str:
    excess = audit.depthwise.g1 + audit.depthwise.g2
    return f"{100 * excess / audit.scored_bytes:.1f} %" if audit.scored_bytes else ""


def _largest(audit: Audit) -> tuple[str, str]:
    if not audit.blocks:
        return "", ""
    return str(max(block.operations for block in audit.blocks)), f"{with_means(audit):.2f}"


def _sayings(sayings: Iterable[Judged], audits: Sequence[Audit]) -> Table:
    table = plain_table("sayings in circulation")
    table.add_column("they say", overflow="fold")
    table.add_column("", no_wrap=True)
    for heading in ("because", "source"):
        table.add_column(heading, overflow="fold")
    for judged in sayings:
        because = "\n".join(_because(judged, audits))
        table.add_row(judged.saying.text, str(judged.standing), because, judged.saying.source or "")
    return table


def _because(judged: Judged, audits: Sequence[Audit]) -> Iterator[str]:
    by_name = {audit.record.case.name: audit for audit in audits}
    if judged.standing is Standing.NO_EVIDENCE:
        missing = dict.fromkeys(claim.network for claim in judged.missing)
        yield f"not audited: {', '.join(missing)}"
        return
    for claim in judged.against or judged.saying.claims:
        yield _figures(claim, by_name[claim.network])


def _figures(claim: Claim, audit: Audit) -> str:
    """ "mobilenet_v2: G1 12.0 % > 5.0 %"."""
    if claim.guideline is None:
        return f"{claim.network} breaks {_broken(audit)}"
    scores = [score for score in audit.scores if score.guideline == claim.guideline]
    found = ", ".join(
        f"{shown(score, score.value)} {'>' if score.violated else '<='} "
        f"{shown(score, score.threshold)}"
        for score in scores
        if score.value is not None
    )
    beside = ""
    if claim.guideline == "G3" and audit.blocks:
        most, with_means = _largest(audit)
        beside = f" (in one block {most}; with means as pools {with_means})"
    return f"{claim.network}: {claim.guideline} {found}{beside}"


def _is_of_family(audit: Audit) -> bool:
    return FAMILY in audit.record.case.target


def _standing(audit: Audit) -> str:
    obeyed = [name for name in GUIDELINES if audit.violates(name) is False]
    return (
        f"{audit.record.case.name} breaks {_broken(audit)} and obeys "
        f"{', '.join(obeyed) or 'nothing'}"
    )


def _thresholds(audit: Audit) -> str:
    g1, g2, operations, path, g4 = (shown(score, score.threshold) for score in audit.scores)
    return f"G1 {g1}, G2 {g2}, G3 {operations} operations a block and {path} work / path, G4 {g4}"


def shown(score: Score, value: float | None) -> str:
    """A value of a score, or its threshold, as its unit wants it."""
    if value is None:
        return "not known"
    return f"{100 * value:.1f} %" if score.unit == "%" else f"{value:.3f}"


def with_means(audit: Audit) -> float:
    """Operations a block, a mean over the map taken for a pool; the audit has blocks."""
    return sum(b.operations + b.means for b in audit.blocks) / len(audit.blocks)


def saying_document(judged: Judged, audits: Sequence[Audit]) -> dict[str, Any]:
    """A saying, its standing and the figures that make it."""
    return {
        "saying": judged.saying.text,
        "source": judged.saying.source,
        "standing": str(judged.standing),
        "because": list(_because(judged, audits)),
    }
