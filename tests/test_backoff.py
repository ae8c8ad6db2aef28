"""How long is waited before something is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.backoff import backoff


@given(failures=st.integers(1, 12), first=st.floats(0.01, 5), longest=st.floats(0.01, 1000))
def test_it_doubles_with_each_failure_up_to_the_longest(failures: int, first: float, longest: float) -> None:
    most = first
    for _ in range(failures - 1):
        most += most
    most = min(most, longest)
    assert most / 2 <= backoff(failures, first, longest) <= most


def test_those_who_failed_together_do_not_come_back_together() -> None:
    """From half of the wait to all of it, each moment as likely as another."""
    waits = sorted(backoff(3, 1.0, 60.0) for _ in range(1000))
    assert len(set(waits)) > 900
    assert 2.0 <= waits[0] < 2.1
    assert 3.9 < waits[-1] <= 4.0
    assert 2.8 < waits[500] < 3.2


def test_the_longest_wait_is_reached_and_kept_however_often_it_fails() -> None:
    for failures in (18, 100, 1_000_000):
        assert 43_200 <= backoff(failures, 1.0, 86_400.0) <= 86_400
