"""One server, worker and set of deployments for all tests here: to start them takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.flow_logs import said_in_flows

from .stack import Stack, deployed

__all__ = ["said_in_flows"]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("deployed")) as found:
        yield found


@pytest.fixture(scope="package")
def baseline(stack: Stack) -> str:
    """The nightly run, once: what it makes is the baseline of what follows."""
    run = stack.final(stack.run("regression/nightly"))
    assert (run["state_name"], run["state_type"]) == ("GatePassed", "COMPLETED"), run["state"]
    return stack.client.experiments.get(experiment="tag:baseline", dataset="questions").id
