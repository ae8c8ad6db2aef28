"""Fixtures for all tests. Each has its home in `support`; what stands here is only their names."""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = str(Path(__file__).resolve().parent)
if TESTS not in sys.path:  # so that `support` can be imported, whatever directory pytest starts in
    sys.path.insert(0, TESTS)

from support.environment import make_plain  # noqa: E402
from support.parsing import take_turns  # noqa: E402
from support.phoenix_alone import leave_out_the_server  # noqa: E402

make_plain()  # before anything that reads it is imported
leave_out_the_server()  # before a test module imports its client
take_turns()

from support import coverage_of_processes  # noqa: E402
from support.leftovers import forget_modules_of_tests, left_by, state  # noqa: E402
from support.phoenix_server import phoenix_url  # noqa: E402
from support.postgres import postgres_server, postgres_url  # noqa: E402
from support.prefect_server import prefect_api  # noqa: E402
from support.sharing import servers_for, stop_servers  # noqa: E402

# A machine that does other work beside is no fault of the code: no example has a time to keep.
# Where a test does not say how many examples it takes, the quick suite tries some, and `make test-slow` many.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
settings.register_profile("many", settings.get_profile("any machine"), max_examples=200)
settings.load_profile("any machine")

AX = "tests/backends/arize/"
SERVERS = {"arize_server", "phoenix_url", "postgres_server", "prefect_api", "prefect_server"}
"""The fixtures that start one: `make test-fast` leaves out the tests that have any of them."""

__all__ = ["phoenix_url", "postgres_server", "postgres_url", "prefect_api"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files are given to processes one by one, but for those that would each start a stand-in for AX and its client."""
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class TogetherWhereTheyShare(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return AX if AX in file else file

    return TogetherWhereTheyShare(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the process that starts the others: see `support.sharing`."""
    if "not served" not in node.config.option.markexpr:
        node.workerinput["servers"] = servers_for(node.config)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a job of a shell script has it, and its children
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(getattr(config, "workerinput", {}).get("servers", {}))
    gc.set_threshold(10_000, 10, 20)  # as it is, looking through all that there is takes a tenth of the tests' time


@pytest.hookimpl(tryfirst=True)  # before cases are chosen by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of what is marked ``mostly_slow``, the first cases stay quick: every behaviour has a quick test."""
    seen: Counter[str] = Counter()
    for item in items:
        if not SERVERS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("served")
        if (mark := item.get_closest_marker("mostly_slow")) is not None:
            function = item.nodeid.partition("[")[0]
            seen[function] += 1
            if seen[function] > mark.kwargs.get("quick", 1):
                item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with coverage_of_processes.named(item.nodeid):
        return (yield)  # type: ignore[return-value]


def pytest_collection_finish() -> None:
    """What is there now stays to the end, test modules and what they import: the collector looks at it no more."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_behind() -> Iterator[None]:
    """A module leaves its process as it found it: see `support.leftovers`."""
    forget_modules_of_tests()
    before = state()
    yield
    forget_modules_of_tests()
    left = left_by(before)
    assert not left, "what a test of this module has changed, it has to change back"


def pytest_unconfigure(config: pytest.Config) -> None:
    stop_servers(config)
    gc.freeze()  # pytest looks through all there is, five times, for errors that have no time left to be seen


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was skipped, and for want of what: a run that says nothing of it has looked at less than it seems."""
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped[reason.removeprefix("Skipped: ")] += 1
    if skipped:
        terminalreporter.section("not tested here, and why")
        for reason, count in skipped.most_common():
            terminalreporter.line(f"{count:5} {'test' if count == 1 else 'tests'}: {reason}")
