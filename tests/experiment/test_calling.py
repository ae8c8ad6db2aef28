"""What becomes of the other batches when one has failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest

from prefect_experiments.engine import Batch
from prefect_experiments.experiment.calling import make_calls
from prefect_experiments.experiment.session import Session

BATCHES = [Batch(number, (number - 1,)) for number in range(1, 7)]


class BrokenTask(Exception):
    """What a batch fails with."""


class Beginning:
    """A session of batches whose runs are all missing; without evaluators."""

    stopped = None
    evaluators = ()

    def batches(self) -> Iterator[Batch]:
        return iter(BATCHES)

    def with_lifespans(self) -> list[Any]:
        return []

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        yield

    async def lacks_runs(self, batch: Batch) -> bool:
        return True


class OneForUs:
    """Gives one batch; others have the rest, and take their time."""

    def __init__(self) -> None:
        self.left = BATCHES[:1]
        self.asked = asyncio.Event()
        self.times = 0

    async def take(self) -> Batch | None:
        return self.left.pop() if self.left else None

    async def are_over(self) -> bool:
        self.asked.set()
        self.times += 1
        assert self.times < 100, "it waits for others, though its own batch has failed"
        return False

    async def finish(self, batch: Batch) -> None:
        """Nobody else asks."""


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


async def calls(run_task: Callable[[Batch, Callable[[], None]], Any], batches: Any = None) -> None:
    async def evaluate(batch: Batch) -> None:
        """There are no evaluators."""

    await make_calls(cast("Session", cast("Any", Beginning())), run_task, evaluate, batches)


def test_after_a_batch_that_failed_no_other_is_begun() -> None:
    """Its calls would be paid for, and the experiment has failed."""
    begun: list[Batch] = []

    async def fails(batch: Batch, nearly_done: Callable[[], None]) -> None:
        begun.append(batch)
        if batch == BATCHES[1]:
            raise BrokenTask

    with pytest.raises(BrokenTask):
        asyncio.run(calls(fails))
    assert begun == BATCHES[:2]


def test_while_others_have_the_rest_the_failure_of_an_own_batch_is_noticed() -> None:
    async def main() -> None:
        source = OneForUs()

        async def fails(batch: Batch, nearly_done: Callable[[], None]) -> None:
            nearly_done()
            await source.asked.wait()
            raise BrokenTask

        await calls(fails, source)

    with pytest.raises(BrokenTask):
        asyncio.run(main())
