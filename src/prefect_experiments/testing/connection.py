"""How a backend is reached, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from prefect_experiments.backends import BackendSettings, Remote, backend_names, find_backend, open_remote
from prefect_experiments.backends.base import Draft
from prefect_experiments.client import Client
from prefect_experiments.errors import BackendUnavailable, InvalidSetting
from prefect_experiments.models import Dataset
from prefect_experiments.testing.conditions import Conditions, logged
from prefect_experiments.tracing import TraceExport


class ConnectionSuite(Conditions):
    """See the module."""

    def test_it_is_there(self, remote: Remote) -> None:
        """And says so as often as it is asked."""
        remote.check()
        remote.check()

    def test_its_name_and_place(self, remote: Remote) -> None:
        """By them the store knows it again."""
        assert isinstance(remote, Remote)
        name, space, place = remote.target.partition(" ")
        assert (name, space) == (remote.name, " ")
        assert place.strip() == place != ""
        assert Client(backend=remote, store_url="sqlite://").backend == remote.name

    def test_it_is_registered(self, remote: Remote) -> None:
        """By an entry point of its name; each of its options has a docstring."""
        assert remote.name in backend_names()
        found = find_backend(remote.name)
        assert issubclass(found.settings, BackendSettings)
        assert found.address in found.settings.model_fields
        assert all(found.settings.explained().values())

    def test_options_that_it_does_not_have(self, remote: Remote) -> None:
        """Are refused, with what was meant."""
        option = find_backend(remote.name).address
        with pytest.raises(InvalidSetting, match=f"takes no {option}_; did you mean '{option}'"):
            open_remote(remote.name, **{f"{option}_": "somewhere"})

    def test_a_wrong_place_is_said(self, wrong: Remote | None, client: Client, name: str) -> None:
        """In one line, before anything is made."""
        if wrong is None:
            pytest.skip("no fixture `wrong`")
        there = Client(backend=wrong, store_url=client.store.shown_url)
        calls: list[Callable[[], Any]] = [
            wrong.check,
            lambda: there.datasets.list_datasets(limit=1),
            lambda: there.experiments.create(
                name=name, dataset=name, experiment_runs=[{"example_id": "a", "output": 1}]
            ),
        ]
        for call in calls:
            with pytest.raises((InvalidSetting, BackendUnavailable)) as caught:
                call()
            assert str(caught.value).splitlines() == [str(caught.value)]
        assert client.store.experiments.page(dataset=None, limit=10, cursor=None)[0] == []

    def test_no_secret_is_shown(self, remote: Remote, wrong: Remote | None, secrets: Sequence[str]) -> None:
        """Neither by it nor by its errors."""
        shown = [text for one in (remote, wrong) if one is not None for text in (repr(one), str(one), one.target)]
        if wrong is not None:
            with pytest.raises((InvalidSetting, BackendUnavailable)) as caught:
                wrong.check()
            shown += [str(caught.value), repr(caught.value)]
        shown += [repr(remote.trace_export())]
        assert not [text for text in shown for secret in secrets if secret in text]

    def test_pages_for_people_and_traces(self, client: Client, dataset: Dataset, name: str, remote: Remote) -> None:
        """An address, or none."""
        url = remote.page_url(logged(client, dataset, name))
        assert url is None or url.startswith(("http://", "https://"))
        assert isinstance(remote.trace_export(), TraceExport | None)

    def test_it_has_what_it_says(self, remote: Remote) -> None:
        """What a capability promises is there, and nothing else is needed."""
        assert remote.capabilities.spaces == hasattr(remote, "in_space")
        assert remote.capabilities.spans == hasattr(remote, "spans")

    def test_names_that_it_does_not_take_are_refused_early(self, remote: Remote, dataset: Dataset, name: str) -> None:
        """What `check_name` lets pass can be begun."""
        for one in (name, f"{name} Ü 日本 🦊", f"{name}/a?b#c%20&d'", f"{name}{'x' * (255 - len(name))}"):
            remote.experiments.check_name(one)
            begun = remote.begin(Draft(one, dataset.id, dataset.version_id, 1, experiment_id="exp-0"))
            assert begun.name == one
