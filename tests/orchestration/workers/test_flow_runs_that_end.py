"""What becomes of a worker that is a flow run, by what Prefect's server and the store say of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Running, Scheduled

from prefect_experiments.errors import BudgetSpent
from prefect_experiments.experiment.worker_errors import to_text
from prefect_experiments.orchestration.workers import deployments
from prefect_experiments.orchestration.workers.deployments import LEFT_S, _Seen, _Watched

NOW = 1000.0
OPEN, DONE, CRASHED = "it is waited for", "it is done", "flow run 'worker 1' is Crashed: evicted"
OFF = "WorkCalledOff: nothing more is called: the budget is spent"
WON = "BudgetSpent: 5 of 5 dollars"


@pytest.fixture(autouse=True)
def on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is needed here."""
    monkeypatch.setattr(deployments, "time", SimpleNamespace(monotonic=lambda: NOW))


def seen(*at_work: int, stopped: str | None = None, is_done: bool = False, **errors: str) -> _Seen:
    return _Seen(stopped, is_done, {int(name[-1]): text for name, text in errors.items()}, set(at_work))


STOPPED = "the budget is spent"
MET = {"worker_1": to_text(BudgetSpent("5 of 5 dollars"))}


@pytest.mark.parametrize(
    ("state", "before", "now", "found", "begun", "left_at", "gone"),
    [
        (None, {}, seen(), OPEN, False, None, None),
        (Pending(), {}, seen(2), OPEN, False, None, None),
        (Running(), {}, seen(1, 2), OPEN, True, None, None),
        (Running(), {"has_begun": True}, seen(2), OPEN, True, NOW, None),
        (Running(), {"has_begun": True, "left_at": NOW - LEFT_S}, seen(), OPEN, True, NOW - LEFT_S, None),
        (Running(), {"has_begun": True, "left_at": NOW - 99}, seen(1), OPEN, True, None, None),
        (
            Running(), {"has_begun": True, "left_at": NOW - LEFT_S - 0.1}, seen(),
            "WorkerGone: flow run 'worker 1' shows no sign of life", True, NOW - LEFT_S - 0.1,
            "flow run 'worker 1' shows no sign of life",
        ),
        (Scheduled(), {"has_begun": True, "left_at": NOW - 99}, seen(), OPEN, False, None, None),  # as evicted pods are
        (Scheduled(), {"has_begun": True}, seen(1), OPEN, True, None, None),
        (Running(), {}, seen(stopped=STOPPED), OFF, False, None, None),
        (None, {}, seen(stopped=STOPPED), OFF, False, None, None),
        (Running(), {"has_begun": True}, seen(1, stopped=STOPPED), OPEN, True, None, None),
        (Cancelled(), {"has_begun": True}, seen(stopped=STOPPED), OFF, True, None, None),
        (Running(), {}, seen(is_done=True), DONE, False, None, None),
        (Running(), {"has_begun": True}, seen(1, is_done=True), OPEN, True, None, None),
        (Completed(), {"has_begun": True}, seen(is_done=True), DONE, True, None, None),
        (Completed(), {"has_begun": True}, seen(stopped=STOPPED, is_done=True), OFF, True, None, None),
        (
            Completed(message="no part"), {"has_begun": True}, seen(),
            "WorkerGone: flow run 'worker 1' is Completed: no part", True, None, None,
        ),
        (
            Cancelled(), {"has_begun": True}, seen(1),
            "WorkerGone: flow run 'worker 1' is Cancelled: it says nothing more", True, None, None,
        ),
        (Crashed(message="evicted"), {"has_begun": True}, seen(), f"WorkerGone: {CRASHED}", True, None, CRASHED),
        (Crashed(message="evicted"), {"has_begun": True}, seen(is_done=True), DONE, True, None, CRASHED),
        (Running(), {"has_begun": True}, seen(1, **MET), WON, True, None, None),
        (Failed(), {"has_begun": True}, seen(stopped=STOPPED, **MET), WON, True, None, None),
        (Running(), {"has_begun": True}, seen(1, worker_2=MET["worker_1"]), OPEN, True, None, None),
    ],
)  # fmt: skip
def test_what_a_look_at_it_finds(
    state: State[Any] | None,
    before: dict[str, Any],
    now: _Seen,
    found: str,
    begun: bool,
    left_at: float | None,
    gone: str | None,
) -> None:
    async def look() -> tuple[str, bool, float | None, str | None]:
        part: Any = SimpleNamespace(worker=1, spec=SimpleNamespace(experiment_id="exp-1"))
        run: Any = SimpleNamespace(name="worker 1")
        watched = _Watched(part, run, cast("Any", None), state=state, **before)
        watched.judge(now)
        watched.judge(now)  # what has ended stays so
        error = watched.ended.exception() if watched.ended.done() else None
        said = f"{type(error).__name__}: {error}" if error else DONE if watched.ended.done() else OPEN
        return said, watched.has_begun, watched.left_at, watched.gone

    assert asyncio.run(look()) == (found, begun, left_at, gone)
