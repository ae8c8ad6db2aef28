"""Experiments: found, listed, tagged and deleted."""

from __future__ import annotations

import pytest

from prefect_experiments.backends import Capabilities
from prefect_experiments.client import Client
from prefect_experiments.errors import AlreadyExists, AmbiguousName, InvalidInput, NotFound
from prefect_experiments.models import Dataset
from prefect_experiments.testing.conditions import EXAMPLES, Conditions, logged


class ExperimentSuite(Conditions):
    """See the module."""

    def test_an_experiment_is_found(self, client: Client, dataset: Dataset, name: str) -> None:
        """By its id, its name, ``latest`` and itself."""
        first, second = logged(client, dataset, f"{name} first"), logged(client, dataset, f"{name} second")
        for key in (first.id, first.name, first):
            found = client.experiments.get(experiment=key)
            assert (found.id, found.name) == (first.id, f"{name} first")
        assert (first.dataset_id, first.dataset_version_id) == (dataset.id, dataset.version_id)
        assert first.dataset_name == dataset.name
        assert client.experiments.get(experiment=first.name, dataset=dataset.name).id == first.id
        assert client.experiments.get(experiment="latest", dataset=dataset.name).id == second.id

    def test_an_experiment_that_is_not_there(self, client: Client, dataset: Dataset, name: str) -> None:
        """The text says what was looked for."""
        logged(client, dataset, name)
        for key in (f"{name}-not", f"tag:{name}-not"):
            with pytest.raises(NotFound, match=f"{name}-not"):
                client.experiments.get(experiment=key, dataset=dataset.name)
        with pytest.raises(NotFound, match=f"{name}-nowhere"):
            client.experiments.list(dataset=f"{name}-nowhere")

    def test_a_name_that_several_have(self, client: Client, dataset: Dataset, name: str, can: Capabilities) -> None:
        """Is of two minds, unless the dataset says which is meant; the ids of all are listed."""
        other = client.datasets.create_dataset(name=f"{name}-other", examples=EXAMPLES[:2])
        made = [logged(client, on, name) for on in (dataset, other)]
        with pytest.raises(AmbiguousName) as caught:
            client.experiments.get(experiment=name)
        assert all(one.id in str(caught.value) for one in made)
        assert client.experiments.get(experiment=name, dataset=other.name).id == made[1].id
        rows = [{"example_id": example.id, "output": "another"} for example in dataset.examples]
        if can.names_unique:
            with pytest.raises(AlreadyExists, match=name):
                logged(client, dataset, name, rows=rows)
            return
        made.append(logged(client, dataset, name, rows=rows))
        with pytest.raises(AmbiguousName):
            client.experiments.get(experiment=name, dataset=dataset.name)
        assert client.experiments.get(experiment=f"latest:{name}", dataset=dataset.name).id == made[2].id
        assert client.experiments.get(experiment=made[2].id).id == made[2].id

    def test_the_newest_of_a_name(self, client: Client, dataset: Dataset, name: str) -> None:
        """Of an experiment's name, or of the dataset's, on whatever dataset; a name that nothing has is said."""
        other = client.datasets.create_dataset(name=f"{name}-other", examples=EXAMPLES[:2])
        made = [logged(client, on, f"{name}-run") for on in (dataset, other)]
        assert client.experiments.get(experiment=f"latest:{name}-run").id == made[1].id
        assert client.experiments.get(experiment=f"latest:{name}-run", dataset=dataset.name).id == made[0].id
        assert client.experiments.get(experiment=f"latest:{other.name}").id == made[1].id
        assert client.experiments.get(experiment=f"latest:{dataset.name}").id == made[0].id
        with pytest.raises(NotFound, match=f"{name}-not"):
            client.experiments.get(experiment=f"latest:{name}-not")

    def test_pages_of_experiments(self, client: Client, dataset: Dataset, name: str) -> None:
        """Newest first, each once; without a dataset, those of all."""
        made = [logged(client, dataset, f"{name}-{n}") for n in range(3)]
        first = client.experiments.list(dataset=dataset.name, limit=2)
        rest = client.experiments.list(dataset=dataset.name, limit=2, cursor=first.pagination.next_cursor)
        assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(made)]
        assert (first.pagination.has_more, rest.pagination.has_more) == (True, False)
        assert rest.pagination.next_cursor is None
        assert made[2].id in {one.id for one in client.experiments.list(limit=50)}
        with pytest.raises(InvalidInput):
            client.experiments.list(dataset=dataset.name, cursor="no cursor at all")

    def test_tags(self, client: Client, dataset: Dataset, name: str) -> None:
        """An experiment of a dataset has a tag: given to another, it goes there."""
        first, second = logged(client, dataset, f"{name} first"), logged(client, dataset, f"{name} second")
        tag = name.lower()
        for one in (first, second, second):
            assert tag in client.experiments.tag(experiment=one.id, tag=tag).tags
            assert client.experiments.get(experiment=f"tag:{tag}", dataset=dataset.name).id == one.id
        assert client.experiments.get(experiment=first.id).tags == ()
        assert client.experiments.untag(experiment=second.id, tag=tag).tags == ()
        with pytest.raises(NotFound, match=tag):
            client.experiments.untag(experiment=second.id, tag=tag)
        with pytest.raises(NotFound, match=tag):
            client.experiments.get(experiment=f"tag:{tag}", dataset=dataset.name)

    def test_a_deleted_experiment_is_gone(self, client: Client, dataset: Dataset, name: str) -> None:
        """And no other with it; a dataset takes its experiments along."""
        first, second = logged(client, dataset, f"{name} first"), logged(client, dataset, f"{name} second")
        client.experiments.delete(experiment=first.id)
        with pytest.raises(NotFound):
            client.experiments.get(experiment=first.name, dataset=dataset.name)
        assert [one.id for one in client.experiments.list(dataset=dataset.name)] == [second.id]
        client.datasets.delete_dataset(dataset=dataset)
        with pytest.raises(NotFound):
            client.experiments.get(experiment=second.id)
