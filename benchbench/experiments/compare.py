"""Did anything change between two sets of runs? Counts exactly, the rest by its intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from statistics import fmean, variance
from typing import Any, NamedTuple

from benchbench.entries import Entry
from benchbench.environment import differences
from benchbench.metrics import METRICS
from benchbench.statistics.verdicts import Answer, Verdict, apart, corrected

UNCHANGED, CHANGED, MISSING, REFUSED = "same", "changed", "MISSING", "REFUSED"
# What is judged of the metrics that vary; the others say how a figure came about.
JUDGED = (
    *("latency", "forward_time", "backward_time", "optimiser_step_time"),
    *("device_time", "graph_time", "peak_memory", "energy"),
)
TIMED = tuple(name for name in JUDGED if METRICS[name].unit == "s")
NOISE_MULTIPLE = 4  # with 5 processes a side, half the width of an interval is 2.1 spreads
PROBE_DRIFT = 0.05  # of fixed work: worth a remark
SESSIONS_TO_CONFIRM = 2
WORST = "D"


class Row(NamedTuple):
    """One metric of one case: candidate against baseline."""

    case: Mapping[str, Any]
    metric: str
    baseline: float | None
    candidate: float | None
    answer: str
    worse: bool | None  # None: neither better nor worse
    confirmed: bool  # as exact, or seen in more than one session
    note: str
    verdict: Verdict | None = None

    @property
    def exit_code(self) -> int:
        """1 a confirmed regression, 3 no evidence, else 0."""
        if self.answer in (MISSING, REFUSED, Answer.AMBIGUOUS):
            return 3
        if not self.worse:
            return 0
        return 1 if self.confirmed else 3


class Comparison(NamedTuple):
    rows: tuple[Row, ...]
    new: tuple[str, ...]  # cases that only the candidate has

    @property
    def exit_code(self) -> int:
        """A confirmed regression first, then missing evidence."""
        codes = {row.exit_code for row in self.rows}
        return next((code for code in (1, 3) if code in codes), 0 if self.rows else 3)

    @property
    def why_none(self) -> str | None:
        """What stands on stderr where the evidence is missing; None where it is not."""
        if self.exit_code != 3:
            return None
        lacking = [row for row in self.rows if row.exit_code == 3]
        if not lacking:
            return "nothing to compare: the baseline has no metric"
        first = lacking[0]
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        what = f"{first.case['model']} {first.metric}".strip()
        return f"no evidence: {what}: {first.answer}{': ' if first.note else ''}{first.note}{more}"


def judge(
    baseline: Sequence[Entry], candidate: Sequence[Entry], theta: float, *, force: bool = False
) -> Comparison:
    """Every metric of every case that the baseline has.

    `theta` is the least change that counts as one in this machine's selftest. What was measured
    apart also differs by what the machine did meanwhile: four times the spread between processes,
    twice for each side, counts as none, and the control probe's drift on top of it. Worse must
    recur in a second session to be confirmed.
    """
    before, after = _by_case(baseline), _by_case(candidate)
    rows: list[Row] = []
    for key, entries in before.items():
        if key in after:
            rows += _case_rows(entries, after[key], theta, force)
        else:
            rows.append(_missing(entries[0].case, "", None, "the candidate has not this case"))
    rows = _corrected(rows)
    new = [str(entries[0].case["model"]) for key, entries in after.items() if key not in before]
    return Comparison(tuple(rows), tuple(new))


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Of many that are judged at once some differ by chance: what may be chance is AMBIGUOUS."""
    verdicts = [row.verdict for row in rows if row.verdict is not None]
    stands = iter(corrected(verdicts))
    found = []
    for row in rows:
        verdict = None if row.verdict is None else next(stands)
        if verdict is not None and verdict.answer != row.answer:
            note = "; ".join(filter(None, (f"{row.answer} alone, not among so many", row.note)))
            row = row._replace(answer=verdict.answer, worse=None, note=note, verdict=verdict)  # noqa: PLW2901
        found.append(row)
    return found


def _by_case(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    once = {entry.id: entry for entry in entries}  # a record twice is no second session
    for entry in sorted(once.values(), key=lambda entry: entry.created):
        found.setdefault(entry.key, []).append(entry)
    return found


def _case_rows(
    baseline: Sequence[Entry], candidate: Sequence[Entry], theta: float, force: bool
) -> Iterator[Row]:
    for name in METRICS:
        old = [entry for entry in baseline if name in entry.exact]
        if old:
            yield _exact_row(old[-1], candidate, name, force)
        elif name in JUDGED and any(name in entry.medians for entry in baseline):
            yield _timed_row(baseline, candidate, name, theta, force)


def _missing(case: Mapping[str, Any], metric: str, value: float | None, why: str) -> Row:
    return Row(case, metric, value, None, MISSING, None, confirmed=False, note=why)


def _exact_row(old: Entry, candidate: Sequence[Entry], name: str, force: bool) -> Row:
    """The latest that either side counted: it says what is so now."""
    before = old.exact[name]
    found = [entry for entry in candidate if name in entry.exact]
    if not found:
        return _missing(old.case, name, before, "the candidate has not this metric")
    after = found[-1].exact[name]
    unlike = "" if METRICS[name].portable or force else _unlike([old], found[-1:])
    if unlike:
        note = f"unlike fingerprints, {unlike}; force=true compares them all the same"
        return Row(old.case, name, before, after, REFUSED, None, confirmed=False, note=note)
    if before == after:
        return Row(old.case, name, before, after, UNCHANGED, None, confirmed=True, note="")
    worse = (after > before) == METRICS[name].lower_is_better
    return Row(old.case, name, before, after, CHANGED, worse, confirmed=True, note="exact")


def _timed_row(
    baseline: Sequence[Entry], candidate: Sequence[Entry], name: str, theta: float, force: bool
) -> Row:
    before = [entry for entry in baseline if name in entry.medians]
    after = [entry for entry in candidate if name in entry.medians]
    case = before[0].case
    value = _centre(before, name)
    if not after:
        return _missing(case, name, value, "the candidate has not this metric")
    unlike = _unlike(before, after)
    if unlike and not force:
        note = f"unlike fingerprints, {unlike}; force=true compares them all the same"
        return Row(case, name, value, _centre(after, name), REFUSED, None, False, note)
    why_not = _contaminated([*before, *after], name)
    verdicts = [_verdict(before, [entry], name, theta) for entry in after]
    answer, note = _together(verdicts)
    if why_not and answer != Answer.AMBIGUOUS:
        answer, note = Answer.AMBIGUOUS, f"{why_not} (by its figures {answer})"
    verdict = _verdict(before, after, name, theta)._replace(answer=answer)
    drift = _drift(before, after) if name in TIMED else 0.0
    moved = f"the same fixed work took {100 * drift:+.0f} %" if abs(drift) > PROBE_DRIFT else ""
    return Row(
        case,
        name,
        value,
        _centre(after, name),
        answer,
        _is_worse(answer, name),
        confirmed=len(after) >= SESSIONS_TO_CONFIRM,
        note="; ".join(filter(None, (f"forced: {unlike}" if unlike else "", note, moved))),
        verdict=verdict,
    )


def _is_worse(answer: str, name: str) -> bool | None:
    """SLOWER is more of it, whatever it is; more is worse unless METRICS says otherwise."""
    if answer not in (Answer.SLOWER, Answer.FASTER):
        return None
    more = answer == Answer.SLOWER
    return more if METRICS[name].lower_is_better else not more


def _logs(entries: Sequence[Entry], name: str) -> list[float]:
    return [log(max(value, 1e-30)) for entry in entries for value in entry.medians[name]]


def _centre(entries: Sequence[Entry], name: str) -> float:
    return exp(fmean(_logs(entries, name)))


def _verdict(before: Sequence[Entry], after: Sequence[Entry], name: str, theta: float) -> Verdict:
    old, new = _logs(before, name), _logs(after, name)
    spreads = [variance(logs) for logs in (old, new) if len(logs) > 1]
    noise = max(spreads, default=0.0) ** 0.5
    drift = abs(_drift(before, after)) if name in TIMED else 0.0
    return apart(old, new, theta=max(theta, NOISE_MULTIPLE * noise) + drift)


def _drift(before: Sequence[Entry], after: Sequence[Entry]) -> float:
    """By how much the same fixed work took longer beside the candidate; 0 where unknown."""
    old, new = ([value for entry in side for value in entry.probe] for side in (before, after))
    if not old or not new:
        return 0.0
    return exp(fmean(map(log, new)) - fmean(map(log, old))) - 1


def _together(verdicts: Sequence[Verdict]) -> tuple[Answer, str]:
    """The answer that every session of the candidate gives, or that they do not agree."""
    answers = [verdict.answer for verdict in verdicts]
    answer = answers[0] if len(set(answers)) == 1 else Answer.AMBIGUOUS
    if len(set(answers)) > 1:
        return answer, f"the candidate's sessions do not agree: {', '.join(answers)}"
    if answer == Answer.SLOWER and len(answers) < SESSIONS_TO_CONFIRM:
        return answer, "in one session; confirmed when it recurs: run the candidate once more"
    return answer, ""


def _unlike(before: Sequence[Entry], after: Sequence[Entry]) -> str:
    """How the first environments that differ do so."""
    for old in before:
        for new in after:
            found = differences(old.environment, new.environment)
            if found:
                more = f" and {len(found) - 1} more" if len(found) > 1 else ""
                return f"{found[0]}{more}"
    return ""


def _contaminated(entries: Sequence[Entry], name: str) -> str:
    """Why the figures are no evidence, whatever they say."""
    found = [entry.id for entry in entries if entry.grade == WORST]
    return f"record {found[0]} has quality {WORST}" if found and name in TIMED else ""
