"""What a backend calls the versions that are kept here."""

from __future__ import annotations

from prefect_experiments.store import Store
from prefect_experiments.store.links import RemoteVersion

from .samples import examples

HERE, THERE = "phoenix http://here", "phoenix http://there"


def test_a_version_is_known_at_each_backend_by_its_newest_link(store: Store) -> None:
    version, other = (store.datasets.put(name, examples(1)) for name in ("mine", "other"))
    assert store.links.remote_version(HERE, version) is None
    for number in (1, 2):
        store.links.link_version(HERE, version, RemoteVersion("D", f"V{number}", None))
    store.links.link_version(THERE, version, RemoteVersion("E", "W", None))
    assert store.links.remote_version(HERE, version) == RemoteVersion("D", "V2", None)
    assert store.links.remote_version(THERE, version) == RemoteVersion("E", "W", None)
    assert store.links.remote_version(HERE, other) is None
    assert store.links.local_version(HERE, RemoteVersion("D", "V1", None)) == (version.dataset_id, version.id)
