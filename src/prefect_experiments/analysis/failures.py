"""What failed in an experiment: errors that say the same counted together, the commonest first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prefect_experiments.models import _Record
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.store.failures import CallCount, ErrorCount

Who = Literal["task", "evaluators"]

MOST_KEPT = 50
"""So many of the texts are kept, of the task and of the evaluators."""

# So much of a text is kept, and looked at for whether it says the same as another.
_LONGEST = 2000
# What may differ between texts that say the same: what is quoted, and words with a digit in them, which are numbers
# and ids. A status is no such number.
_VARYING = re.compile(
    r"(?P<status>\b(?:https?(?:/[\d.]+)?|status(?:[ _]code)?|code|error)\W{0,3}[1-5]\d\d\b)"
    r"|(?P<quoted>(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`)"
    r"|(?P<word>[\w.+-]+)",
    re.IGNORECASE,
)
_TYPE = re.compile(r"[^\W\d][\w.]*(?=:|$)")
# How the classes of errors are called: a text that was logged may begin with any word.
_CALLED = re.compile(r"(?:Error|Exception|Timeout|Warning|Exit|Interrupt|Cancelled|NotFound|Refused|Failure)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonError(_Record):
    """Errors that say the same but for numbers, ids and what is quoted.

    Attributes:
        evaluator: whose they are; ``None`` for the task's.
        type: the exception's class; empty where it is not known.
        text: the commonest of their texts, with the type, as the runs keep it but for secrets of ours and its length.
        alike: whether all of them have this text.
        count: how many there are.
        example_id: an example on which the text came.
    """

    evaluator: str | None
    type: str
    text: str
    alike: bool
    count: int
    example_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What failed in an experiment.

    Attributes:
        task: calls of the task, and those that failed.
        evaluators: likewise of each evaluator that was called.
        errors: the task's, then the evaluators', the commonest first; at most `MOST_KEPT` of each.
        types: how often each class of error came, of the task (``None``) and of each evaluator, the commonest first.
    """

    task: CallCount
    evaluators: Mapping[str, CallCount] = field(default_factory=dict)
    errors: tuple[CommonError, ...] = ()
    types: Mapping[str | None, Mapping[str, int]] = field(default_factory=dict)

    @property
    def of_task(self) -> tuple[CommonError, ...]:
        """The task's errors."""
        return tuple(error for error in self.errors if error.evaluator is None)

    @property
    def of_evaluators(self) -> tuple[CommonError, ...]:
        """The evaluators' errors."""
        return tuple(error for error in self.errors if error.evaluator is not None)

    def every_call_of(self, evaluators: Collection[str] | None = None) -> Who | None:
        """Whose calls failed one and all: the task's, or those of every evaluator.

        Args:
            evaluators: those that are asked about; all of them without.
        """
        if self.task.made and self.task.failed == self.task.made:
            return "task"
        calls = [count for name, count in self.evaluators.items() if evaluators is None or name in evaluators]
        return "evaluators" if calls and all(count.failed == count.made for count in calls) else None


def failures_of(store: Store, record: ExperimentRecord, *, runs: CallCount) -> Failures:
    """What failed in an experiment that the store has.

    Args:
        store: where it is.
        record: the experiment.
        runs: how many runs were made, and how many of them failed.
    """
    experiment_id = record.experiment.id
    ours = record.task.fingerprint is not None
    counts = store.failures.errors(experiment_id)
    groups = sorted(_groups(counts), key=_size, reverse=True)
    of_task = [group for group in groups if group[0].evaluator is None][:MOST_KEPT]
    of_evaluators = [group for group in groups if group[0].evaluator is not None][:MOST_KEPT]
    kept = [*of_task, *of_evaluators]
    ids = store.failures.example_ids(experiment_id, {group[0].position for group in kept})
    return Failures(
        task=runs,
        evaluators=store.failures.evaluator_calls(experiment_id),
        errors=tuple(_common(group, ids.get(group[0].position, ""), ours) for group in kept),
        types=_types(counts, ours),
    )


def _types(counts: Iterable[ErrorCount], ours: bool) -> dict[str | None, dict[str, int]]:
    found: dict[str | None, Counter[str]] = {}
    for count in counts:
        found.setdefault(count.evaluator, Counter())[_type(count.error, ours)] += count.times
    return {who: dict(types.most_common()) for who, types in found.items()}


def _groups(counts: Iterable[ErrorCount]) -> list[list[ErrorCount]]:
    """The texts that say the same, each group with its commonest text first."""
    groups: dict[tuple[str | None, str], list[ErrorCount]] = {}
    for count in sorted(counts, key=lambda count: (-count.times, count.position)):
        groups.setdefault((count.evaluator, gist(count.error)), []).append(count)
    return list(groups.values())


def _size(group: Iterable[ErrorCount]) -> int:
    return sum(count.times for count in group)


def _common(group: list[ErrorCount], example_id: str, ours: bool) -> CommonError:
    first = group[0]
    return CommonError(
        evaluator=first.evaluator,
        type=_type(first.error, ours),
        text=without_secrets(first.error)[:_LONGEST],
        alike=len(group) == 1,
        count=_size(group),
        example_id=example_id,
    )


def gist(error: str) -> str:
    """A text without what may differ between errors that say the same.

    >>> gist("KeyError: 'a1'") == gist("KeyError: 'b'")
    True
    >>> gist("HTTPError: status 429 for request 17") == gist("HTTPError: status 500 for request 18")
    False
    """
    return _VARYING.sub(_unvarying, error[:_LONGEST])


def _unvarying(found: re.Match[str]) -> str:
    varies = found["quoted"] or (found["word"] and any(map(str.isdigit, found[0])))
    return "#" if varies else found[0]


def _type(error: str, ours: bool) -> str:
    """The class that an error's text begins with; of a text that others made only what is called like one."""
    found = _TYPE.match(error)
    return found[0] if found and (ours or _CALLED.search(found[0])) else ""
