"""Workers of pytest-xdist, where no Prefect server is named: they share one, which is gone when the tests are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from pytest_plugin.conftest import Project
from support.patience import PATIENCE_S

pytest_plugins = ["pytester"]

TESTS = """
import os, pathlib, time

def where(input):
    from prefect.settings import PREFECT_API_URL

    pathlib.Path(f"{os.getpid()}.url").write_text(PREFECT_API_URL.value())
    END
    return PREFECT_API_URL.value()

@pytest.mark.parametrize("n", range(4))
def test_support(n, experiment):
    experiment.run(dataset="tickets.csv", task=where, timeout=None).assert_gate()
"""


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/health", timeout=PATIENCE_S).status == 200
    except (urllib.error.URLError, OSError):
        return False


def urls(project: Project) -> list[str]:
    return [path.read_text() for path in project.path.glob("*.url")]


@pytest.mark.slow
def test_workers_share_one_server_and_one_store(serverless: Project) -> None:
    done = serverless.run(TESTS.replace("END", ""), "-p", "xdist", "-n", "2")
    done.assert_outcomes(passed=4)
    assert len(urls(serverless)) == 2
    [url] = set(urls(serverless))
    assert not answers(url)
    assert sorted(serverless.names()) == [f"test_app.py::test_support[{n}]" for n in range(4)]
    assert not list(serverless.path.glob(".pytest_cache/d/experiments-*"))


@pytest.mark.slow
def test_the_server_ends_with_pytest_even_where_that_is_killed(serverless: Project) -> None:
    serverless.write(TESTS.replace("END", "time.sleep(600)"))
    process = subprocess.Popen(
        serverless.command("-p", "xdist", "-n", "1"), cwd=serverless.path, start_new_session=True
    )
    until = time.monotonic() + PATIENCE_S
    while not urls(serverless) or not urls(serverless)[0]:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    [url] = urls(serverless)
    assert answers(url)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while answers(url) or list(serverless.path.glob(".pytest_cache/d/experiments-*/server.keeper")):
        assert time.monotonic() < until
        time.sleep(0.1)
