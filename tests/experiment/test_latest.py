"""``latest:NAME``: where it leads, as a side of a comparison and as a baseline; and names that several have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import AmbiguousName, InvalidInput, NotFound
from prefect_experiments.experiment.compare import judging


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'experiments.db'}")
    for name in ("questions", "others"):
        made.datasets.create_dataset(name=name, examples=[{"id": f"e{n}", "input": n} for n in range(4)])
    return made


def log(client: Client, name: str, right: int, dataset: str = "questions") -> str:
    rows: list[dict[str, Any]] = [
        {"example_id": f"e{n}", "output": n, "eval.right.score": float(n < right)} for n in range(4)
    ]
    return client.experiments.create(name=name, dataset=dataset, experiment_runs=rows).id


def test_it_is_the_newest_of_an_experiments_or_a_datasets_name(client: Client) -> None:
    log(client, "nightly", 1)
    second = log(client, "nightly", 2)
    other = log(client, "weekly", 3)
    found = client.experiments.compare(baseline="latest:nightly", candidate="latest:questions", print_summary=False)
    assert not isinstance(found, tuple)
    assert (found.baseline.experiment_id, found.candidate.experiment_id) == (second, other)


def test_a_name_that_several_have_is_refused_with_dates_and_the_way_out(client: Client) -> None:
    ids = [log(client, "nightly", right) for right in (1, 2)]
    with pytest.raises(AmbiguousName) as caught:
        client.experiments.get(experiment="nightly")
    told = re.findall(r"(exp-\w+) \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)", str(caught.value))
    assert told == ids[::-1]
    assert str(caught.value).endswith("or the newest of them as 'latest:nightly'")


def test_a_dataset_s_first_run_has_no_baseline_and_a_slip_is_refused(client: Client) -> None:
    def look_up(baseline: str, *, first_run: bool = False) -> Any:
        return judging(baseline, None, client.store, None, "questions", first_run=first_run)

    for name in ("latest:nightly", "latest:questions"):
        assert look_up(name).baseline is None
    log(client, "nightly", 1)
    assert look_up("latest:nightly").baseline.experiment.name == "nightly"
    with pytest.raises(NotFound, match="nightli"):
        look_up("latest:nightli")
    assert look_up("latest:weekly", first_run=True).baseline is None


@pytest.mark.parametrize("way", ["deleted", "taken away"])
def test_a_tag_that_is_lost_is_no_first_run(client: Client, way: str) -> None:
    """A gate that passed for want of a baseline would pass whatever has become worse."""

    def look_up(*, first_run: bool = False) -> Any:
        return judging("tag:baseline", None, client.store, None, "questions", first_run=first_run)

    first = log(client, "nightly", 1)
    log(client, "nightly", 0)
    assert look_up().baseline is None, "nobody has had it yet"
    assert client.experiments.tag(experiment=first, tag=" baseline ").tags == ("baseline",)
    assert look_up().baseline.experiment.id == first
    if way == "deleted":
        client.experiments.delete(experiment=first)
    else:
        client.experiments.untag(experiment=first, tag="baseline")
    with pytest.raises(NotFound) as caught:
        look_up()
    assert re.fullmatch(
        rf"there is no baseline 'tag:baseline' on dataset 'questions' any more: experiment {first} had the tag from "
        r"[\d-]+ [\d:]+ UTC on, and was deleted or has lost it\. Nothing was run\. Give the tag to another experiment "
        r"\(prefect-experiments tag EXPERIMENT baseline\), or say that this is to be the first run again: "
        r"first_run=True \(--first-run\)",
        str(caught.value),
    )
    assert look_up(first_run=True).baseline is None


def test_no_experiment_can_be_called_so(client: Client) -> None:
    with pytest.raises(InvalidInput, match="leads to the newest experiment of a name"):
        client.experiments.create(
            name="Latest:nightly", dataset="questions", experiment_runs=[{"example_id": "e0", "output": 1}]
        )
