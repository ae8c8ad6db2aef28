"""Which runs AX has taken already: read back after a request of which it is not known whether it was carried out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prefect_experiments.backends.arize.api import ArizeApi, Row
from prefect_experiments.backends.arize.run_rows import Print, repetition_of, row_print, same_print
from prefect_experiments.errors import BackendRefused

SHORTEST_DOUBT_S, LONGEST_DOUBT_S = 1.0, 60.0

RowKey = tuple[str, int | None]


def key_of(row: Row) -> RowKey:
    """What a row is a run of: its example and repetition."""
    return str(row.get("example_id")), repetition_of(row)


class TakenRuns:
    """The runs of one experiment that AX has, each claimed once by the row that it came of."""

    def __init__(self, api: ArizeApi) -> None:
        self._api = api
        # Whoever pushed before may have been killed before it took note of what AX had taken.
        self.unsure = True
        self._doubtful: set[RowKey] = set()
        self._doubt_until = 0.0
        self._unclaimed: dict[RowKey, list[tuple[Print, str]]] = {}
        self._seen: set[str] = set()
        self._cursor: str | None = None  # of the page that was the last one when AX was last read

    def doubt(self, rows: Sequence[Row], waited: float) -> None:
        """Take note that these rows may be there. A request that got no answer in time may even be under way still."""
        self.unsure = True
        self._doubtful |= {key_of(row) for row in rows}
        doubt = min(max(waited / 2, SHORTEST_DOUBT_S), LONGEST_DOUBT_S)
        self._doubt_until = max(self._doubt_until, time.monotonic() + doubt)

    def doubt_s(self, row: Row) -> float | None:
        """The seconds that a row may still turn up in; None where there is no doubt about it."""
        if not self.unsure or key_of(row) not in self._doubtful:
            return None
        return max(0.0, self._doubt_until - time.monotonic())

    async def look(self, experiment_id: str) -> None:
        """Read what AX has, if that is unsure; what is not there now is not there, once the time of doubt is over."""
        if not self.unsure:
            return
        is_over = time.monotonic() >= self._doubt_until
        if self._api.searches:  # then the order is not that in which runs came
            self._cursor = None
        try:
            await self._read_on(experiment_id)
        except BackendRefused:  # the cursor
            self._cursor = None
            await self._read_on(experiment_id)
        if is_over:
            self.unsure = False
            self._doubtful.clear()

    async def _read_on(self, experiment_id: str) -> None:
        async for rows, cursor in self._api.run_pages(experiment_id, self._cursor):
            self._cursor = cursor
            for row in rows:
                if (run_id := str(row.get("id"))) not in self._seen:
                    self._seen.add(run_id)
                    self._unclaimed.setdefault(key_of(row), []).append((row_print(row), run_id))

    def claim(self, row: Row) -> str | None:
        """The id of a row that AX has already, each once."""
        candidates = self._unclaimed.get(key_of(row), [])
        mine = row_print(row)
        for place, (found, run_id) in enumerate(candidates):
            if same_print(mine, found):
                del candidates[place]
                return run_id
        return None
