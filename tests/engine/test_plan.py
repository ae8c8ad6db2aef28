"""What is missing, cut into batches."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.engine import default_batch_size, plan

POSITIONS = st.lists(st.integers(0, 500), unique=True, max_size=60).map(sorted)


@given(data=st.data(), positions=POSITIONS, repetitions=st.integers(1, 4), batch_size=st.integers(1, 70))
def test_every_missing_run_is_in_one_batch(data, positions, repetitions, batch_size):
    every = [(position, repetition) for position in positions for repetition in range(1, repetitions + 1)]
    done = set(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else set()
    # What is done of other positions, or of more repetitions, changes nothing.
    batches = plan(positions, repetitions, done | {(9999, 1), (0, 9999)}, batch_size)
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert [position for batch in batches for position in batch.positions] == positions
    missing = [key for batch in batches for key in batch.missing]
    assert sorted(missing) == sorted(set(every) - done)
    assert len(missing) == len(set(missing))
    for batch in batches:
        assert {position for position, _ in batch.missing} <= set(batch.positions)
        assert (batch.first, batch.last) == (min(batch.positions), max(batch.positions))
        assert len(batch.positions) == batch_size or batch is batches[-1]
    assert len(batches) == math.ceil(len(positions) / batch_size)


@given(positions=POSITIONS, repetitions=st.integers(1, 4), batch_size=st.integers(1, 70))
def test_a_finished_experiment_has_nothing_missing_and_all_its_batches(positions, repetitions, batch_size):
    done = {(position, repetition) for position in positions for repetition in range(1, repetitions + 1)}
    batches = plan(positions, repetitions, done, batch_size)
    assert not any(batch.missing for batch in batches)
    assert [position for batch in batches for position in batch.positions] == positions


@given(positions=POSITIONS, repetitions=st.integers(1, 3), batch_size=st.integers(1, 70))
def test_the_same_plan_twice_is_the_same(positions, repetitions, batch_size):
    assert plan(positions, repetitions, set(), batch_size) == plan(tuple(positions), repetitions, (), batch_size)


@given(examples=st.integers(0, 10**6), repetitions=st.integers(1, 1000), concurrency=st.integers(1, 1000))
def test_batches_are_neither_many_nor_tiny(examples, repetitions, concurrency):
    size = default_batch_size(examples, repetitions, concurrency)
    assert size >= 1
    assert math.ceil(examples / size) <= 50
    assert size * repetitions >= concurrency  # each batch fills the slots
    assert default_batch_size(examples, repetitions, concurrency + 1) >= size
    assert default_batch_size(examples + 1, repetitions, concurrency) >= size
    assert default_batch_size(examples, repetitions + 1, concurrency) <= size


def test_a_small_experiment_has_batches_of_some_rounds_and_a_large_one_has_50():
    rounds = default_batch_size(100, 1, 10)
    assert rounds >= 100
    assert rounds % 10 == 0
    assert default_batch_size(50 * rounds, 1, 10) == rounds
    assert default_batch_size(100, 4, 10) == rounds / 4
    assert default_batch_size(1_000_000, 1, 10) == 20_000
