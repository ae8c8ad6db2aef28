"""What a comparison says of the experiments since the baseline's: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefect_experiments.models import _Record

# Why a run that was made after the baseline's is no part of the pool, to follow how many of them.
FAILED = "failed by their gate"
NOT_JUDGED = "that no gate has judged"
NOT_WHOLE = "that are not complete"
OTHER_EXAMPLES = "with other examples, splits or repetitions"
UNLIKE = "whose scores are unlike those before them"
TAG_ELSEWHERE = "made while another experiment had the tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled(_Record):
    """What a baseline is pooled of, beside its own run.

    Attributes:
        asked: of how many runs it is to be pooled, its own included; there may be fewer yet.
        runs: the labels of the others, the first one after the baseline's first; with their dates, where several are
            called alike.
        left_out: of the runs of the baseline's task since then, how many are left out and why: `FAILED` and
            what follows it.
        changed_examples: of these, how many examples are left out, as their input or expected output has changed.
        changed_evaluators: of these, the metrics that are left out as their evaluator has changed.
    """

    asked: int
    runs: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    changed_examples: Mapping[str, int] = field(default_factory=dict)
    changed_evaluators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night(_Record):
    """One metric of an experiment since the baseline's, beside those before it.

    Attributes:
        label, date: the experiment's, such as ``2026-11-29``; empty of the candidate.
        worse_by: a score that is standard normal while nothing changes, above 0 where the night is worse than those
            before it since the baseline's; ``None`` of the first one, and of one that its gate failed and that was made
            by other code than the candidate.
        p_better: one-sided, that chance alone makes it so much better than the baseline.
        failed: whether its gate failed it.
    """

    label: str = ""
    date: str = ""
    worse_by: float | None = None
    p_better: float = 1.0
    failed: bool = False
