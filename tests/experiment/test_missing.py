"""What an experiment lacks, asked batch by batch."""

from __future__ import annotations

from pathlib import Path

from prefect_experiments.experiment.missing import Missing
from prefect_experiments.options import CallOptions
from prefect_experiments.store import Store
from tests.store.samples import failed_row, new_experiment, record, run_row


def test_a_batch_that_is_tried_again_lacks_only_what_it_has_not_finished(tmp_path: Path) -> None:
    """A failure makes Prefect begin the batch anew: what was paid for by then is not paid for again."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    made = new_experiment(store, 6)
    missing = Missing(store, made, [])
    first, second = missing.batches(CallOptions(batch_size=3))
    assert [item.position for item in missing.run_items(first)] == [0, 1, 2]
    record(store, made.experiment.id, [run_row(0), failed_row(1)])
    assert [item.position for item in missing.run_items(first)] == [1, 2]
    assert [item.position for item in missing.run_items(second)] == [3, 4, 5]
    record(store, made.experiment.id, [run_row(1), run_row(2)])
    assert not missing.has_runs(first)
    store.close()
