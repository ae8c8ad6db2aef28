"""A slow Phoenix does not slow the task: its calls end when they would have without it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client
from support.fault_proxy import FaultProxy, Pass

from .pushes import assert_whole, double, is_push, options, phoenix, rows


class Timed:
    """A task that takes 20 ms, and notes from when until when it was called."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.began = self.ended = 0.0
        self.calls = 0

    async def __call__(self, input: Any) -> Any:
        self.began = self.began or time.monotonic()
        await asyncio.sleep(0.01)
        try:
            return await double(input)
        finally:
            self.calls += 1
            self.ended = time.monotonic()
            if self.calls == self.count:
                self.last()

    def last(self) -> None:
        """Called behind the last call."""

    @property
    def seconds(self) -> float:
        assert self.calls == self.count
        return self.ended - self.began


@pytest.mark.slow
def test_the_calls_of_a_thousand_end_as_soon_as_without_it(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient
) -> None:
    count = 1000
    local, slow = Timed(count), Timed(count)
    Client(backend="local", store_url=store_url).experiments.run_experiment(
        dataset=rows(count), experiment_name=f"{name} local", **{**options, "task": local}
    )
    with FaultProxy(phoenix_url) as proxy:

        def quick_again() -> None:
            """What comes behind the calls need not take minutes."""
            pushed.append(sum(map(is_push, proxy.passed)))
            proxy.plan = lambda _: None

        pushed: list[int] = []
        slow.last = quick_again  # type: ignore[method-assign]
        proxy.plan = lambda _: Pass(delay=0.5)
        ran = phoenix(proxy.url, store_url).experiments.run_experiment(
            dataset=rows(count), experiment_name=name, **{**options, "task": slow}
        )
        assert 0 < pushed[0] < count, "it was not slow, or nothing was pushed beside the calls"
    assert_whole(official, ran, count)
