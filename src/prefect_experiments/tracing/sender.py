"""The queue of spans to one collector, and the thread that empties it.

Ending a span costs an append here, and nothing that happens on the way to the collector is ever
waited for. The queue is bounded: what cannot be delivered for long gives way, oldest first.

Why not the SDK's `BatchSpanProcessor`: it drops what comes faster than it sends, all of a batch that holds one span
which the collector refuses or that is too large for one body, and what it could not deliver within its exporter's few
attempts. Of 5,000 spans it delivers 2,048 at best, and 1,024 where the collector is away for 15 seconds, where this
delivers all (`tests/benchmarks/trace_senders.py`). Nor can it be held, or say what became of the spans.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from opentelemetry.sdk.trace import ReadableSpan

from prefect_experiments.backoff import backoff
from prefect_experiments.tracing.delivery import Delivery, Outcome, keep_quiet_here
from prefect_experiments.tracing.destination import TraceExport

logger = logging.getLogger("prefect_experiments")

BATCH_SPANS, BATCH_CHARACTERS = 512, 4_000_000
HELD_SPANS, HELD_CHARACTERS = 20_000, 50_000_000  # beyond these, holding does not keep spans from being sent
KEPT_SPANS, KEPT_CHARACTERS = 50_000, 200_000_000  # beyond these, the oldest are dropped
LINGER_S = 1.0  # how long spans wait for others to share a request with
IDLE_S = 10.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0
DISTRUST_S = 1.0  # so long at most it is left alone for longer than it asks to
BUSY_S = 30.0  # a collector may be busy for so long before that is worth a word
MOST_FAULTS = 3  # that often the same spans may break the collector before they are tried apart
MOST_ALONE = 10  # refused one by one, before they are refused all together
EXIT_S = 10.0  # at the process's end, while the collector answers
EXIT_SILENT_S = 2.0  # when it does not


class _Waiting(NamedTuple):
    span: ReadableSpan
    characters: int
    since: float


class Sender:
    """Sends spans to one collector, from a thread of its own that lives while there are any."""

    def __init__(self, export: TraceExport) -> None:
        self._where = export.shown
        self._export = export
        self._context: contextvars.Context | None = None
        self.reset()

    def reset(self) -> None:
        """Begin anew; in a forked process, where locks may be taken for ever and threads are gone."""
        self._lock = threading.RLock()  # a span may be ended by a destructor, in the midst of `put`
        self._news = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._queue: deque[_Waiting] = deque()
        self._characters = 0
        self._batch_spans, self._batch_characters = BATCH_SPANS, BATCH_CHARACTERS
        self._given = self._gone = self._dropped = self._dropped_said = 0
        self._refusal_said = self._outage_said = False
        self._failing_since = 0.0
        self._holds = self._flushing = 0
        self._failures = self._faults = self._alone = 0
        self._retry_at = 0.0
        self._answered_at = self._answered_in = 0.0

    @property
    def waiting(self) -> int:
        """How many spans are neither delivered nor dropped."""
        return self._given - self._gone

    def speak_in(self, context: contextvars.Context) -> None:
        """Log in this context from now on, so that a flow's log has what concerns its traces."""
        self._context = context

    def put(self, span: ReadableSpan) -> None:
        """Queue an ended span. Never waits for the network."""
        entry = _Waiting(span, _characters(span), time.monotonic())
        with self._lock:
            self._queue.append(entry)
            self._characters += entry.characters
            self._given += 1
            self._drop_excess()
            if self._thread is None:
                self._start()
            elif len(self._queue) % BATCH_SPANS == 0:
                self._news.notify()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """While entered, spans wait, unless very many do."""
        with self._lock:
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                self._news.notify()

    def flush(self, timeout: float) -> bool:
        """Send what waits now, held or not.

        Returns:
            Whether all of it is gone: delivered, or given up as what the collector refuses.
        """
        with self._lock:
            upto = self._given
            self._hurry()
            try:
                return self._settled.wait_for(lambda: self._gone >= upto, timeout)
            finally:
                self._flushing -= 1

    def _hurry(self) -> None:
        self._flushing += 1
        self._failures, self._retry_at = 0, 0.0
        if self._thread is None and self._queue:
            self._start()
        self._news.notify()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="experiment-traces", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._thread = None

    def _drop_excess(self) -> None:
        while len(self._queue) > KEPT_SPANS or (self._characters > KEPT_CHARACTERS and len(self._queue) > 1):
            self._characters -= self._queue.popleft().characters
            self._gone += 1
            self._dropped += 1

    def _work(self) -> None:
        keep_quiet_here()
        # Our requests make no spans of their own. There is no public name for it: by this one the SDK's exporters tell
        # the packages that instrument libraries, so it is the same from version to version.
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        delivery = Delivery(self._export)
        try:
            while (batch := self._next()) is not None:
                began = time.monotonic()
                outcome = delivery.send([entry.span for entry in batch])
                with self._lock:
                    if outcome.kind != "failed" or outcome.busy:
                        self._answered_at, self._answered_in = time.monotonic(), time.monotonic() - began
                    news = self._settle(batch, outcome)
                if news is not None:
                    self._say(*news)
                with self._lock:
                    self._settled.notify_all()
                del batch  # or the spans would live on while this waits for the next ones
        finally:
            with self._lock:
                if self._thread is threading.current_thread():  # this ends by an error: the next span starts another
                    self._thread = None
            delivery.close()

    def _next(self) -> list[_Waiting] | None:
        """The next batch, once it may be sent; ``None`` when there was nothing for a while."""
        with self._lock:
            idle_since = time.monotonic()
            while True:
                now = time.monotonic()
                if self._may_send(now):
                    return self._take()
                if self._queue:
                    idle_since = now
                elif now - idle_since > IDLE_S:
                    self._thread = None
                    return None
                self._news.wait(min(LINGER_S, self._retry_at - now) if self._retry_at > now else LINGER_S)

    def _may_send(self, now: float) -> bool:
        if not self._queue or now < self._retry_at:
            return False
        if self._flushing:
            return True
        if self._holds:
            return len(self._queue) > HELD_SPANS or self._characters > HELD_CHARACTERS
        return len(self._queue) >= BATCH_SPANS or now - self._queue[0].since >= LINGER_S

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        characters = 0
        while self._queue and len(batch) < self._batch_spans:
            if batch and characters + self._queue[0].characters > self._batch_characters:
                break
            batch.append(self._queue.popleft())
            characters += batch[-1].characters
        self._characters -= characters
        return batch

    def _settle(self, batch: list[_Waiting], outcome: Outcome) -> tuple[int, str] | None:
        """Note what became of a batch; what is to be said about it, with its level."""
        self._faults = self._faults + 1 if outcome.fault else 0
        if outcome.kind == "delivered":
            self._gone += len(batch)
            self._alone = 0
            self._batch_spans = min(2 * self._batch_spans, BATCH_SPANS)
            self._failures = 0
            return self._recovered() if self._outage_said else None
        if outcome.kind != "failed" or self._faults >= MOST_FAULTS:  # it is these spans, or one of them
            if len(batch) == 1 or self._alone >= MOST_ALONE:
                return self._refused(batch, outcome)
            if outcome.kind == "too_large":
                self._batch_characters = sum(entry.characters for entry in batch) // 2
            else:
                self._batch_spans = len(batch) // 2
        self._put_back(batch)
        return self._failed(outcome) if outcome.kind == "failed" else None

    def _failed(self, outcome: Outcome) -> tuple[int, str] | None:
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        pause = backoff(self._failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
        if outcome.retry_after is not None:  # it knows: one that is back soon is found back soon
            pause = max(min(pause, DISTRUST_S), min(outcome.retry_after, LONGEST_BACKOFF_S))
        self._retry_at = now + pause
        if self._outage_said or (outcome.busy and now - self._failing_since < BUSY_S):
            return None
        self._outage_said = True
        return logging.WARNING, (
            f"Traces cannot be delivered to {self._where}: {outcome.reason}. The experiment goes on without waiting "
            f"for them; up to {KEPT_SPANS:,} spans are kept and sent when it takes them."
        )

    def _put_back(self, batch: list[_Waiting]) -> None:
        self._queue.extendleft(reversed(batch))
        self._characters += sum(entry.characters for entry in batch)
        self._drop_excess()

    def _recovered(self) -> tuple[int, str]:
        self._outage_said = False
        lost, self._dropped_said = self._dropped - self._dropped_said, self._dropped
        text = f"Traces are being delivered to {self._where} again"
        return (logging.WARNING, f"{text}; {lost:,} spans were lost.") if lost else (logging.INFO, f"{text}.")

    def _refused(self, batch: list[_Waiting], outcome: Outcome) -> tuple[int, str] | None:
        self._faults = 0
        if not outcome.fault:  # one that breaks now may be whole again soon; one that refuses everything means it
            self._alone += 1
        self._batch_spans = BATCH_SPANS if self._alone >= MOST_ALONE else 1
        self._gone += len(batch)
        self._dropped += len(batch)
        if self._refusal_said:
            return None
        self._refusal_said = True
        return logging.WARNING, (
            f"{self._where} does not take some spans ({outcome.reason}). They are left out of the traces; results are "
            "not concerned. Said once; how many is said at the end."
        )

    def _say(self, level: int, text: str) -> None:
        context = contextvars.Context() if self._context is None else self._context.copy()
        with contextlib.suppress(Exception):  # a log handler of somebody's must not end this thread
            context.run(logger.log, level, text)

    def begin_exit(self) -> None:
        """Send all that waits, at the process's end."""
        with self._lock:
            self._hurry()

    def is_through(self, began: float) -> bool:
        """Whether waiting on at the process's end is pointless: all is gone, or the collector is silent."""
        silent = time.monotonic() - max(began, self._answered_at)
        return not self.waiting or silent > max(EXIT_SILENT_S, 2 * self._answered_in)

    def end_exit(self) -> None:
        """Say what is lost with the process."""
        if (lost := self.waiting + self._dropped - self._dropped_said) > 0:
            self._say(logging.WARNING, f"{lost:,} spans of traces could not be delivered to {self._where}.")


def _characters(span: ReadableSpan) -> int:
    """About how much text a span holds."""
    total = 500
    for value in (span.attributes or {}).values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, tuple):  # numbers, or texts: a list of tools, a vector
            total += sum(len(item) if isinstance(item, str) else 20 for item in value)
    return total


_senders: dict[tuple[object, ...], Sender] = {}
_senders_lock = threading.Lock()


def sender_for(export: TraceExport) -> Sender:
    """The sender to that collector, one for the process: experiments share it."""
    with _senders_lock:
        if not _senders:
            atexit.register(_flush_at_exit)
        return _senders.setdefault(export.key, Sender(export))


def _flush_at_exit() -> None:
    under_way = [sender for sender in _senders.values() if sender.waiting]
    began = time.monotonic()
    for sender in under_way:
        sender.begin_exit()
    while time.monotonic() - began < EXIT_S and not all(sender.is_through(began) for sender in under_way):
        time.sleep(0.02)
    logging.raiseExceptions = False  # where standard error is closed by now, a traceback says no more than nothing
    for sender in _senders.values():
        sender.end_exit()


def _after_fork() -> None:
    global _senders_lock
    _senders_lock = threading.Lock()
    for sender in _senders.values():
        sender.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
