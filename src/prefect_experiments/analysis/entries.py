"""Whether each entry of an experiment passes: plain values, made by `analysis.passing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.lazy_items import Items, LazyItems
from prefect_experiments.models import _Record

EntryOutcome = Literal["passed", "failed", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryScore(_Record):
    """What one evaluator says of an entry: in the worst of its repetitions, where there are several.

    Attributes:
        outcome: ``failed`` also where there is no score, and ``pending`` where it is still to be given.
        score: ``None`` where there is none.
        explanation: the evaluator's.
        why: why there is no score; empty where there is one.
        error: the evaluator's, in full; it may hold parts of a row.
        criteria: by what a pending one is to be given.
        repetition_number: which repetition it is of.
        less_is_better: whether the score passes by being low.
    """

    evaluator: str
    outcome: EntryOutcome
    score: float | None = None
    explanation: str | None = None
    why: str = ""
    error: str | None = None
    criteria: str | None = None
    repetition_number: int = 1
    less_is_better: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(_Record):
    """One example, and whether it passes: all scores of the evaluators that are meant for it do, in all repetitions.

    Attributes:
        number: its place in the experiment, from 1.
        description: what the example's metadata say that it is about.
        outcome: ``failed`` where anything fails, else ``pending`` where anything is pending.
        scores: one for each evaluator that is meant for it.
        why: why it fails whatever its scores are: its task failed, or was not run; else empty.
        error: the task's, in full.
    """

    number: int
    example_id: str
    description: str | None = None
    outcome: EntryOutcome
    scores: tuple[EntryScore, ...] = ()
    why: str = ""
    error: str | None = None


class Entries(LazyItems[Entry]):
    """Entries of which the texts are read when one is looked at.

    Args:
        outcomes: of each.
        n_pending: how many evaluations of each are still to be made.
        less_is_better: whether any score passes by being low.
        make: gives entries, by their places here, with their texts.
    """

    def __init__(
        self,
        outcomes: Sequence[EntryOutcome],
        n_pending: Sequence[int],
        less_is_better: bool,
        make: Callable[[Sequence[int]], Iterator[Entry]],
    ) -> None:
        self._outcomes, self._n_pending, self.less_is_better, self._make = outcomes, n_pending, less_is_better, make

    def __len__(self) -> int:
        return len(self._outcomes)

    def made(self, places: Sequence[int]) -> Iterator[Entry]:
        """See `LazyItems`."""
        return self._make(places)

    def places_of(self, outcome: EntryOutcome) -> list[int]:
        """Where the entries are of which that came out."""
        return [place for place, found in enumerate(self._outcomes) if found == outcome]

    @property
    def n_pending(self) -> int:
        """How many evaluations are still to be made."""
        return sum(self._n_pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing(_Record):
    """Which entries of an experiment pass.

    Attributes:
        threshold: the lowest score that passes; where less is better, 1 less this is the highest.
        entries: in the dataset's order; without those that no evaluator is meant for, which are neither. A tuple; of
            more than a thousand a sequence that reads the texts of those that are looked at.
        n_unjudged: how many those are.
        neutral: the evaluators that have no say, as of their scores none is better.
    """

    threshold: float
    entries: Items[Entry] = ()
    n_unjudged: int = 0
    neutral: tuple[str, ...] = ()

    def places_of(self, outcome: EntryOutcome) -> list[int]:
        """Where in `entries` those are of which that came out."""
        if isinstance(self.entries, Entries):
            return self.entries.places_of(outcome)
        return [place for place, entry in enumerate(self.entries) if entry.outcome == outcome]

    def of(self, outcome: EntryOutcome) -> list[Entry]:
        """The entries of which that came out."""
        return [self.entries[place] for place in self.places_of(outcome)]

    @property
    def n_passed(self) -> int:
        """How many entries pass."""
        return len(self.places_of("passed"))

    @property
    def n_pending(self) -> int:
        """How many evaluations are still to be made."""
        if isinstance(self.entries, Entries):
            return self.entries.n_pending
        return sum(score.outcome == "pending" for entry in self.entries for score in entry.scores)

    @property
    def all_pass(self) -> bool:
        """Whether there are entries, and all of them pass."""
        return bool(self.entries) and self.n_passed == len(self.entries)

    def keys(self) -> list[str]:
        """The fields, and the counts."""
        return [*_Record.keys(self), "n_passed", "n_pending", "all_pass"]

    @property
    def lacking(self) -> str:
        """What those have not that are not judged: such as ``evaluators``."""
        if not self.neutral:
            return "evaluators"
        are = "is" if len(self.neutral) == 1 else "are"
        return f"evaluators that say which scores are better ({', '.join(self.neutral)} {are} neutral)"

    @property
    def rule(self) -> str:
        """Such as ``all scores >= 0.5``."""
        text = f"all scores >= {self.threshold:g}"
        if isinstance(self.entries, Entries):
            is_less = self.entries.less_is_better
        else:
            is_less = any(score.less_is_better for entry in self.entries for score in entry.scores)
        return f"{text}, or <= {1 - self.threshold:g} where less is better" if is_less else text

    def written(self, score: EntryScore) -> str:
        """A score as text, which is never on the other side of the threshold than the score itself."""
        if score.score is None:
            return numbers.NOTHING
        return numbers.score_beside(score.score, 1 - self.threshold if score.less_is_better else self.threshold)

    def listed(self, places: Sequence[int], shown: int = 5) -> str:
        """The first ids of the entries at some places, each with what failed it, and how many others there are."""
        entries = [self.entries[place] for place in places[:shown]]
        said = [f"{entry.example_id} ({self.said_of(entry)})" for entry in entries]
        more = len(places) - len(said)
        return ", ".join(said) + (f" and {numbers.count(more, 'other')}" if more else "")

    def said_of(self, entry: Entry) -> str:
        """Why an entry fails: such as ``Factuality 0.4``; nothing of what an error or an explanation says."""
        failed = [score for score in entry.scores if score.outcome == "failed"]
        said = [f"{score.evaluator} {score.why or self.written(score)}" for score in failed]
        return ", ".join([entry.why, *said] if entry.why else said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required(_Record):
    """Whether the examples that a gate requires are right.

    Attributes:
        passing: these examples; one that no metric judges has failed.
        unknown: what is asked for and that no example has, as sentences.
        without_say: the metrics whose scores go beyond 0 and 1, so that nobody knows which are right.
    """

    passing: Passing
    unknown: tuple[str, ...] = ()
    without_say: tuple[str, ...] = ()
