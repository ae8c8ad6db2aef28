"""Who needs OpenTelemetry, and who does not."""

import pytest

from .harness import script


@pytest.mark.thorough
def test_importing_the_package_and_the_engine_loads_no_opentelemetry():
    found = script(
        """
import sys, threading
import prefect_experiments, prefect_experiments.engine, prefect_experiments.evaluators
report(loaded=sorted(m for m in sys.modules if m.startswith("opentelemetry")))
"""
    )
    assert found["loaded"] == []


@pytest.mark.slow
def test_where_spans_go_can_be_said_without_the_sdk():
    found = script(
        """
import sys, threading
from prefect_experiments.tracing import TraceExport
TraceExport("http://localhost:6006/v1/traces")
report(loaded=sorted(m for m in sys.modules if m.startswith(("opentelemetry", "requests"))))
from prefect_experiments.tracing import ExperimentTracer
report(threads=threading.active_count())
"""
    )
    assert (found["loaded"], found["threads"]) == ([], 1)
