"""A client that travels to another process, as tasks on Dask and Ray take it along."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

from prefect_experiments import Client
from prefect_experiments.client.datasets import dataset_key
from prefect_experiments.models import Dataset
from support.patience import PATIENCE_S

THERE = """
import pickle, sys
client = pickle.loads(sys.stdin.buffer.read())
print(client.backend, client.remote.target, client.store.shown_url)
"""


def test_it_is_opened_again_in_another_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    client = Client(backend="phoenix", base_url="http://phoenix.test:6006", store_url=url)
    done = subprocess.run(
        [sys.executable, "-c", THERE], input=pickle.dumps(client), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (done.stdout.decode(), done.stderr) == (f"phoenix phoenix http://phoenix.test:6006 {url}\n", b"")


def test_a_dataset_is_found_by_its_id_and_one_that_was_never_kept_by_its_name() -> None:
    assert dataset_key(Dataset(name="questions", examples=(), id="ds-1")) == "ds-1"
    assert dataset_key(Dataset(name="questions", examples=())) == "questions"
