"""The processes that make an experiment's calls together keep to each provider's limit together.

Once a second, and at once when a provider has refused a call, each tells the store what is new and hears what the
others know. So a ``Retry-After`` that one was given stops them all within about a second, a cut halves the rate of all
of them once, and each starts its part of the calls: one half where there are two, a third where there are three. Who
ends, or is not heard of for some seconds, has no part any more. Experiments of one store that have met the same
provider share its limit, too.

While the store does not answer, each goes on with what it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import AsyncIterator

from prefect_experiments.engine.known_limits import ALONE, HEARD_WITHIN_S, Known, Share
from prefect_experiments.engine.limits import ActiveLimits
from prefect_experiments.errors import ExperimentsError, traceback_text
from prefect_experiments.store import Store
from prefect_experiments.store.provider_limits import Heard, Met, Sharer

BEAT_S = HEARD_WITHIN_S / 2
SHOWN_EVERY_S = 3.0  # where no provider has refused anything, so that most rounds only read
AT_MOST_EVERY_S = 0.1
SAID_AFTER_S = 5.0  # the store may be busy for a moment
LEAVE_S = 5.0

logger = logging.getLogger("prefect_experiments")


@contextlib.asynccontextmanager
async def limits_in_step(
    store: Store, experiment_id: str, limits: ActiveLimits, *, shared: bool = True
) -> AsyncIterator[None]:
    """Keep an experiment's limits in step with those of other processes, from before its first call on.

    Args:
        store: where the experiment is.
        experiment_id: the experiment.
        limits: those that its calls in this process keep to.
        shared: whether others make calls of it, too. Where not, nothing is done.
    """
    if not shared:
        yield
        return
    in_step = InStep(store, experiment_id, limits)
    try:
        await asyncio.to_thread(in_step.start)
        yield
    finally:
        await asyncio.to_thread(in_step.stop)


class InStep:
    """One experiment's limits in this process, and what other processes know of them."""

    def __init__(self, store: Store, experiment_id: str, limits: ActiveLimits) -> None:
        self._store, self._experiment_id, self._limits = store.provider_limits, experiment_id, limits
        self._process = self._store.this_process()
        self._others: list[Sharer] = []
        self._shown_at = self._answered_at = -math.inf
        self._has_said = False
        self._wake, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="limits-in-step", daemon=True)

    def start(self) -> None:
        """Hear what is known already, and go on with that in a thread of its own."""
        self._answered_at = time.monotonic()
        self._limits.share_of, self._limits.heard = self._share, self._wake.set
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Take no part any more. Where the store cannot be told now, the others find out."""
        self._limits.share_of, self._limits.heard = None, lambda: None
        self._is_over.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(LEAVE_S)
        if not any(one.process == self._process for one in self._others):  # another experiment in this process
            for limit in self._limits.met:
                limit.learn(Known(), ALONE)

    def _keep(self) -> None:
        while not self._is_over.is_set():
            self._wake.wait(BEAT_S)
            self._wake.clear()
            if not self._is_over.is_set():
                self.beat()
                self._is_over.wait(AT_MOST_EVERY_S)
        try:
            self._store.leave(self._me())
        except ExperimentsError as error:
            logger.debug("leaving the limits of experiment %s\n%s", self._experiment_id, traceback_text(error))

    def beat(self) -> None:
        """Tell what is new, and keep to what others know."""
        try:
            heard = self._exchanged()
        except Exception as error:  # noqa: BLE001 - whatever it is, the calls go on
            self._failed(error)
            return
        self._answered_at, self._has_said = time.monotonic(), False
        self._others = [one for one in heard.sharers if (one.experiment_id, one.process) != self._key]
        for provider, targets in self._met_by_the_experiment().items():
            limit = self._limits.meet(provider)
            for target in targets:
                if limit not in (met := self._limits.of_target(target)):
                    met.append(limit)
        # Asking took a moment, which counts: what others have heard must not grow longer from one to the next.
        for limit in self._limits.met:
            limit.learn(self._known(heard, limit.name).after(time.monotonic() - heard.at), self._share(limit.name))

    def _exchanged(self) -> Heard:
        now = time.monotonic()
        if not self._limits.met and now - self._shown_at < SHOWN_EVERY_S:
            return self._store.look()
        new = {limit.name: limit for limit in list(self._limits.met) if limit.has_news}

        def news() -> dict[str, Known]:
            return {name: said for name, limit in new.items() if (said := limit.news()) is not None}

        try:
            heard = self._store.exchange(self._me(), new, news)
        except BaseException:
            for limit in new.values():
                limit.untold()
            raise
        self._shown_at = now
        return heard

    @property
    def _key(self) -> tuple[str, str]:
        return self._experiment_id, self._process

    def _me(self) -> Sharer:
        met = {}
        for limit in list(self._limits.met):
            known = limit.known()
            targets = [name for name, limits in list(self._limits.met_by.items()) if limit in limits]
            never = known.since_success == math.inf
            met[limit.name] = Met(targets, known.refused_for, None if never else known.since_success)
        return Sharer(*self._key, self._limits.observed(), met)

    def _met_by_the_experiment(self) -> dict[str, set[str]]:
        """The providers that have refused the experiment's calls in any process, and whose calls these were."""
        found: dict[str, set[str]] = {}
        for one in self._others:
            if one.experiment_id == self._experiment_id:
                for provider, met in one.met.items():
                    found.setdefault(provider, set()).update(met.targets)
        return found

    def _known(self, heard: Heard, provider: str) -> Known:
        known = heard.limits.get(provider, Known())
        for one in self._others:
            if provider in one.met:
                known = known.merged(one.met[provider].known(one.age))
        return known

    def _share(self, provider: str) -> Share:
        """This process's part of a provider's limit, as far as is known."""
        with_it = {one.experiment_id for one in self._others if provider in one.met} | {self._experiment_id}
        others = [one for one in self._others if one.experiment_id in with_it]
        processes = sorted({one.process for one in others} | {self._process})
        return Share(processes.index(self._process), len(processes), tuple(one.observed for one in others))

    def _failed(self, error: Exception) -> None:
        logger.debug("limits of experiment %s\n%s", self._experiment_id, traceback_text(error))
        if self._has_said or time.monotonic() - self._answered_at < SAID_AFTER_S:
            return
        self._has_said = True
        logger.warning(
            "The rate limits of experiment %s are kept to by this process alone, at its last share of them, while "
            "the store does not answer: %s",
            self._experiment_id,
            error,
        )
