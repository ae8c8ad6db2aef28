"""One server, worker and set of deployments for all tests here: to start them takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .stack import Stack, deployed


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("deployed")) as found:
        yield found
