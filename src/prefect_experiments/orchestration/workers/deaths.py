"""Workers that are gone: whether starting others is worth it, and what they have done without having told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from prefect_experiments.display import some
from prefect_experiments.engine import Batch
from prefect_experiments.errors import WorkersLost
from prefect_experiments.experiment.session import Session
from prefect_experiments.store.shared_work import Done, Range

MOST_DEATHS = 3
"""So often workers end at the same calls, or before they have begun any, until no other one is started."""

_SHOWN = 8


class Deaths:
    """The deaths among the workers of one experiment.

    Args:
        session: of the experiment.

    Attributes:
        any: whether there were some.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._store, self._id = session, session.store, session.spec.experiment_id
        self._at_calls: Counter[tuple[Range, int]] = Counter()  # by what was left of a range
        self._at_none: Counter[int] = Counter()  # by worker, those in a row
        self.any = False

    def another(self, worker: int, how: str) -> WorkersLost | None:
        """Take note of one; gives the error where no other one is to be started.

        Args:
            worker: its number.
            how: how it ended.
        """
        self.any = True
        ranges = self._store.shared_work.under_way(self._id)
        left = {found: self._left(found) for found, whose in ranges.items() if whose == worker}
        counts = {(found, len(runs) + len(evaluations)) for found, (runs, evaluations) in left.items()}
        self._at_none[worker] = 0 if left else self._at_none[worker] + 1
        self._at_calls.update(counts)
        if self._at_none[worker] >= MOST_DEATHS:
            # Whoever is at work still may have taken over what killed this one.
            return self._lost(worker, how, list(map(self._left, ranges)))
        if any(self._at_calls[count] >= MOST_DEATHS for count in counts):
            return self._lost(worker, how, list(left.values()))
        return None

    def _left(self, found: Range) -> tuple[list[str], list[str]]:
        """Of which examples of a range runs are left, and of which evaluations."""
        missing = self._session.missing
        return missing.left(Batch(0, tuple(missing.positions[found.first : found.after])))

    def _lost(self, worker: int, how: str, left: list[tuple[list[str], list[str]]]) -> WorkersLost:
        # Runs first: what evaluates them may have raised, which is no death.
        at = list(dict.fromkeys([id_ for kind in (0, 1) for one in left for id_ in one[kind]]))
        where = f"; what it had begun, and may have ended it: {some(at, _SHOWN)}" if at else ""
        return WorkersLost(
            f"worker {worker} of experiment {self._id} ended {MOST_DEATHS} times before anything was done "
            f"({how.rstrip('.')}){where}. What had finished is kept: see to the reason, which may be memory, or a "
            "module that ends its process, and resume the experiment"
        )

    def corrected(self, told: Done) -> Done:
        """What was done, where some were gone before they had told all of it: the store has it."""
        session = self._session
        finished = self._store.results.count_finished(self._id, session.record.experiment.repetitions)
        runs = min(session.to_run, max(told.runs, finished - session.reused + told.run_errors))
        if not self._store.shared_work.is_done(self._id):
            return replace(told, runs=runs)
        failed = session.to_run - (finished - session.reused) if session.to_run else 0
        done = replace(told, runs=session.to_run, run_errors=failed)
        expected = session.evaluations_after(done)
        return replace(done, evaluations=max(expected, told.evaluations))
