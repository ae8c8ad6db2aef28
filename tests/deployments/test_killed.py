"""A flow's process, or its whole machine, that is gone: the flow run is started again and repeats nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from .slow import HALTS_AT
from .stack import HEARTBEAT_S, Stack

pytestmark = pytest.mark.slow

NIGHTLY = "regression/nightly"
EXAMPLES = 40
CONCURRENCY = 2


@pytest.fixture(scope="module", autouse=True)
def _automations(stack: Stack) -> None:
    """Those of restart-crashed.yaml, with less patience: it is meant for nights."""
    content = yaml.safe_load((stack.tree / "deployments/automations/restart-crashed.yaml").read_text())
    gone, again = content["automations"]
    gone["trigger"]["within"] = HEARTBEAT_S + 15
    again["trigger"]["within"] = 10
    (stack.tree / "restart.yaml").write_text(yaml.safe_dump(content))
    stack.prefect("automation", "create", "--from-file", "restart.yaml")


class Slow:
    """A nightly run that is half done, and waits to be let go on.

    Args:
        stack: where.
        name: of the dataset, and of the module with the task.
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.name = name
        module = stack.tree / f"flows/{name}.py"
        self._log, self._go = module.with_suffix(".log"), module.with_suffix(".go")
        shutil.copy(Path(__file__).with_name("slow.py"), module)
        rows = [json.dumps({"id": f"e{n}", "input": n}) for n in range(EXAMPLES)]
        (stack.tree / f"{name}.jsonl").write_text("\n".join(rows))
        self.parameters: dict[str, Any] = {
            "dataset": f"{name}.jsonl",
            "columns": None,
            "task": f"flows/{name}.py:slow",
            "evaluators": [f"flows/{name}.py:same"],
            "gate": {"metrics": [{"name": "same", "min": 1.0, "bounds": "point"}]},
            "gate_file": None,
            "promote": False,
            "limits": {"concurrency": CONCURRENCY, "timeout": None},
        }
        self.run_id = stack.run(NIGHTLY, **self.parameters)
        stack.wait_for(lambda: self._log.exists() and len(self.calls()) >= HALTS_AT + CONCURRENCY, "calls")

    def calls(self) -> list[list[int]]:
        return [[int(number) for number in line.split()] for line in self._log.read_text().splitlines()]

    def kill(self) -> None:
        os.kill(self.calls()[-1][0], signal.SIGKILL)

    def let_go_on(self) -> None:
        self._go.touch()

    def check_its_second_life(self) -> None:
        stack = self.stack
        stack.wait_for(lambda: stack.flow_run(self.run_id)["run_count"] == 2, "its second life")
        run = stack.final(self.run_id)
        assert run["state_name"] == "GatePassed", run["state"]["message"]
        lives = list(dict.fromkeys(pid for pid, _ in self.calls()))
        assert len(lives) == 2
        first, second = ([n for pid, n in self.calls() if pid == life] for life in lives)
        assert set(first) | set(second) == set(range(EXAMPLES))
        assert set(first) & set(second) == {HALTS_AT, HALTS_AT + 1}, "what was finished was called for again"
        assert len(second) == len(set(second))
        [experiment] = [e for e in stack.client.experiments.list() if e.dataset_name == self.name]
        assert experiment.metadata["prefect_flow_run_id"] == self.run_id
        ran = stack.client.experiments.get_results(experiment=experiment.id)
        assert [r.output for r in ran.task_runs] == list(range(EXAMPLES))


def test_a_process_that_is_killed(stack: Stack) -> None:
    slow = Slow(stack, "process")
    second = stack.run(NIGHTLY, **slow.parameters)  # while the first is under way
    assert stack.final(second)["state_type"] == "CANCELLED"
    slow.kill()
    slow.let_go_on()
    stack.wait_for(lambda: stack.flow_run(slow.run_id)["state_name"] == "Crashed", "the crash")
    slow.check_its_second_life()


def test_a_machine_that_is_gone(stack: Stack) -> None:
    """Worker and flow are killed at once, so nobody is left to report it; another worker begins later."""
    slow = Slow(stack, "machine")
    # By its heartbeats Prefect sees that a flow is gone, so there must have been one.
    about = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{slow.run_id}"]},
    }
    stack.wait_for(lambda: stack.post("events/filter", filter=about)["events"], "a heartbeat")
    stack.at_work.kill()
    with contextlib.suppress(ProcessLookupError):  # it may be of the worker's process group, and gone with it
        slow.kill()
    slow.let_go_on()
    stack.at_work.start()
    slow.check_its_second_life()
    names = [state["name"] for state in stack.states(slow.run_id)]
    assert "Crashed" in names, "an automation has seen that it is gone"
