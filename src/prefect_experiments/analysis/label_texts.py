"""Counts of labels as text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence

from prefect_experiments.texts import ELLIPSIS, shortened

_MOST_SHOWN = 6
_LONGEST = 40
# Others are something else in YAML, such as a number, a truth value or a comment.
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[^\W\d][\w-]*", re.IGNORECASE)
NO_LABEL = "(no label)"
"""Counted for a run that got no label, of an example that has one on the other side: a label lost is a shift, too."""

# What a truth value is called, whose score says the same; as does a score that is not there.
_OF_SCORES = {"True", "False", NO_LABEL}


def say_more_than_scores(labels: Collection[str]) -> bool:
    """Whether labels tell anything that the scores beside them do not."""
    return not _OF_SCORES.issuperset(labels)


def counted(*sides: Mapping[str, int]) -> str:
    """How often each label was given, the commonest first: ``polite 58, rude 2``; of two sides ``polite 60 → 58``."""
    order = sorted(dict.fromkeys(label for side in sides for label in side), key=lambda label: -_total(sides, label))
    said = [
        f"{shortened(label, _LONGEST)} {' → '.join(f'{side.get(label, 0):,}' for side in sides)}" for label in order
    ]
    more = [f"{len(said) - _MOST_SHOWN:,} more labels"] if len(said) > _MOST_SHOWN else []
    return ", ".join([*said[:_MOST_SHOWN], *more])


def quoted(text: str) -> str:
    """A name or a label as YAML writes it, or what stands for one that is too long to show."""
    if len(text) > _LONGEST:
        return ELLIPSIS
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _total(sides: Sequence[Mapping[str, int]], label: str) -> int:
    return sum(side.get(label, 0) for side in sides)
