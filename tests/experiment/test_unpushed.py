"""What is said at the end where a backend lacks results, or had to be waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prefect_experiments.backends.pusher import PushOutcome
from prefect_experiments.experiment.work import Plan, Work
from prefect_experiments.store import Store
from prefect_experiments.store.outbox import Waiting
from tests.store.samples import new_experiment

PUSH_THEM = "push them with `prefect-experiments push ID --to phoenix`"
BACKEND: Any = SimpleNamespace(name="phoenix")


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


def outcome(runs: int = 0, evaluations: int = 0, refused: int = 0, **more: Any) -> PushOutcome:
    return PushOutcome(pushed=5, waiting=Waiting(runs, evaluations, refused), **more)


@pytest.mark.parametrize(
    ("remote", "ended", "said", "waiting"),
    [
        (None, None, None, 0),
        (BACKEND, None, None, 0),  # nothing was pushed: there is no counterpart yet
        (None, outcome(1), None, 1),
        (BACKEND, outcome(), None, 0),
        (
            BACKEND,
            outcome(2, 3),
            "5 results wait for phoenix; push them with `prefect-experiments push ID --to phoenix`",
            5,
        ),
        (
            BACKEND,
            outcome(0, 3, trouble="it does not answer", waited_for="status 503", waited_s=70.4),
            f"3 results wait for phoenix (it does not answer); {PUSH_THEM}",
            3,
        ),
        (
            BACKEND,
            outcome(waited_for="status 503", waited_s=70.4),
            "The push waited 70 s for phoenix (status 503) and went on then",
            0,
        ),
        (
            BACKEND,
            outcome(1, 1, 2, refusals=("too long", "no such run")),
            f"2 results wait for phoenix; {PUSH_THEM}. phoenix refused 2 results: too long; no such run",
            2,
        ),
        (BACKEND, outcome(refused=2, refusals=("too long",)), "phoenix refused 2 results: too long", 0),
    ],
)
def test_what_a_backend_lacks_is_said_with_the_way_to_push_it(
    store: Store, remote: Any, ended: PushOutcome | None, said: str | None, waiting: int
) -> None:
    work = Work(Plan("night", "dataset", store, remote))
    work._record = new_experiment(store)
    work.outcome = ended
    told = said and said.replace("ID", work.record.experiment.id)
    assert (work.unpushed, work.waiting) == (told, waiting)
