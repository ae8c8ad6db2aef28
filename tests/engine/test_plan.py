"""The work on an experiment, cut into batches."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.engine import default_batch_size, in_batches

POSITIONS = st.lists(st.integers(0, 500), unique=True, max_size=60).map(sorted)


@given(positions=POSITIONS, batch_size=st.integers(1, 70))
def test_every_example_is_in_one_batch(positions, batch_size):
    batches = list(in_batches(positions, batch_size))
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert [position for batch in batches for position in batch.positions] == positions
    for batch in batches:
        assert (batch.first, batch.last) == (min(batch.positions), max(batch.positions))
        assert len(batch.positions) == batch_size or batch is batches[-1]
    assert len(batches) == math.ceil(len(positions) / batch_size)
    assert batches == list(in_batches(tuple(positions), batch_size))


@given(examples=st.integers(0, 10**6), repetitions=st.integers(1, 1000), concurrency=st.integers(1, 1000))
def test_batches_are_neither_many_nor_tiny(examples, repetitions, concurrency):
    size = default_batch_size(examples, repetitions, concurrency)
    assert size >= 1
    assert math.ceil(examples / size) <= 50 or size >= 2_000
    assert size * repetitions >= concurrency  # each batch fills the slots
    assert default_batch_size(examples, repetitions, concurrency + 1) >= size
    assert default_batch_size(examples + 1, repetitions, concurrency) >= size
    assert default_batch_size(examples, repetitions + 1, concurrency) <= size


def test_a_small_experiment_has_batches_of_some_rounds_and_a_large_one_has_50_or_more():
    rounds = default_batch_size(100, 1, 10)
    assert rounds >= 100
    assert rounds % 10 == 0
    assert default_batch_size(50 * rounds, 1, 10) == rounds
    assert default_batch_size(100, 4, 10) == rounds / 4
    assert default_batch_size(100_000, 1, 10) == default_batch_size(1_000_000, 1, 10) == 2_000
    assert default_batch_size(1_000_000, 1, 5_000) == 5_000
