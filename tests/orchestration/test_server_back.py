"""A Prefect server that was away and answers again is one that is there: asked at once, and waited for as before."""

from __future__ import annotations

import asyncio

from prefect_experiments.orchestration.patience import KNOWN_TO_BE_AWAY_S, new_line


async def refused() -> str:
    raise ConnectionRefusedError


async def answered() -> str:
    return "told"


def test_a_server_that_answers_again_is_told_the_rest() -> None:
    async def tell() -> None:
        with new_line() as line:
            before = line.patience
            assert before > KNOWN_TO_BE_AWAY_S
            assert await line.tell("the first", refused()) is None
            assert line.patience == KNOWN_TO_BE_AWAY_S
            assert await line.tell("the second", answered()) is None, "a server that is away is not asked all the time"
            assert await line.tell("the third", answered(), in_any_case=True) == "told"
            assert await line.tell("the fourth", answered()) == "told"
            assert line.patience > KNOWN_TO_BE_AWAY_S
            assert line.missing == ["the first", "the second"]

    asyncio.run(tell())
