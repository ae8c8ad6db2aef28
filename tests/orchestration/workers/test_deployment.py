"""Workers that are flow runs of a deployment, started by a process worker of Prefect's, on one store on PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidEvaluator, InvalidSetting, InvalidTask
from support.patience import wait_for
from support.postgres import PostgresServer
from support.prefect_server import prefect_server
from support.servers import running

from .deployed import CREW, Case, Crews

EXAMPLES = 200
NewCase = Callable[..., Case]


@pytest.fixture(scope="module")
def crews(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Crews]:
    stores = [postgres_server.create_database() for _ in range(2)]
    with prefect_server(PREFECT_SERVER_UI_ENABLED="false") as api:
        found = Crews(api, tmp_path_factory.mktemp("crews"), *stores)
        with running(found.worker()) as found.at_work:
            found.deploy()
            yield found
    for url in stores:
        postgres_server.drop_database(url)


@pytest.fixture
def case(crews: Crews) -> Iterator[NewCase]:
    made: list[Case] = []

    def new(name: str, examples: int = EXAMPLES, **more: Any) -> Case:
        made.append(Case(crews, name, examples, **more))
        return made[-1]

    yield new
    for one in made:
        one.end()


def double(input: int) -> int:
    return 2 * input


def test_sqlite_is_refused_before_anything_is_run(client_here: Client) -> None:
    with pytest.raises(InvalidSetting, match=r"is an SQLite file.*deployment:crew.*a PostgreSQL database"):
        client_here.experiments.run_experiment(
            dataset=[{"input": 1}], task=double, evaluators=[], task_runner="deployment:crew"
        )
    assert not len(client_here.experiments.list())


@pytest.fixture
def client_here(tmp_path: Any) -> Client:
    return Client(store_url=f"sqlite:///{tmp_path / 'experiments.db'}")


def test_what_cannot_be_named_is_refused_before_anything_is_run(postgres_url: str) -> None:
    def nested(input: int) -> int:
        return input

    def good(output: int) -> bool:
        return True

    client = Client(store_url=postgres_url)
    run = client.experiments.run_experiment
    with pytest.raises(InvalidTask, match=r"task 'nested' has no reference.*deployment:crew.*put it into"):
        run(dataset=[{"input": 1}], task=nested, evaluators=[], task_runner="deployment:crew")
    with pytest.raises(InvalidEvaluator, match="evaluator 'good' has no reference"):
        run(
            dataset=[{"input": 1}],
            task=double,
            evaluators=[good],
            task_runner="deployment:crew",
        )
    assert not len(client.experiments.list())


@pytest.mark.slow
def test_a_deployment_that_is_none_of_workers_is_refused(case: NewCase) -> None:
    unknown = case("unknown", 1, task_runner="deployment:crow")
    unknown.start()
    assert unknown.ended() == 1
    assert "unknown deployment 'worker/crow'; did you mean 'worker/crew'?" in unknown.output
    other = case("other", 1, task_runner="deployment:compare/other")
    other.start()
    assert other.ended() == 1
    assert "is of 'prefect_experiments.flows.compare.compare', which is no worker's flow" in other.output
    assert not len(unknown.crews.client.experiments.list())


@pytest.mark.slow
def test_two_workers_share_an_experiment(case: NewCase, crews: Crews) -> None:
    shared = case("shared", halts=20)
    leader = shared.start()
    shared.wait_for_processes(2)
    shared.let_go_on()
    assert shared.ended() == 0, shared.output
    assert shared.again() == 0
    assert len(shared.pids()) == 2
    assert leader.pid not in shared.pids()
    shared.check_results()
    assert shared.runs() == ["Completed", "Completed"]
    for run in crews.runs_of(shared.id):
        assert run["parameters"] == {"experiment": shared.id, "worker": int(run["name"].split()[1])}
        assert run["parent_task_run_id"], "it is a part of the experiment's flow run"
    assert crews.open_task_runs() == []
    late = crews.final(crews.run(CREW, experiment=shared.id, worker=1))
    assert late["state_name"] == "Completed"
    assert "nothing to do any more" in late["state"]["message"]


@pytest.mark.slow
def test_a_worker_that_is_killed(case: NewCase, crews: Crews) -> None:
    killed = case("killed", halts=40)
    killed.start()
    killed.wait_for_processes(2)
    # What it has begun waits, so that it is known what it had.
    wait_for(lambda: sum(n >= 40 for _, n in killed.log()) >= 8, "calls that wait")
    os.kill(killed.pids()[0], signal.SIGKILL)
    killed.let_go_on()
    assert killed.ended() == 0, killed.output
    assert killed.again() <= 4, "its share of the concurrency"
    killed.check_results()
    states = killed.runs()
    assert states.count("Crashed") == 1
    assert set(states) <= {"Crashed", "Completed", "Cancelled"}  # the new one may come too late
    assert crews.open_task_runs() == []


@pytest.mark.slow
def test_the_process_that_leads_is_killed_and_another_goes_on(case: NewCase, crews: Crews) -> None:
    left = case("left", halts=40)
    leader = left.start()
    left.wait_for_processes(2)
    wait_for(lambda: sum(n >= 40 for _, n in left.log()) >= 8, "calls that wait")
    leader.kill()
    leader.wait()
    left.start("resume")
    left.wait_for_processes(4)  # those of the first are not wanted any more, and end
    left.let_go_on()
    assert left.ended() == 0, left.output
    assert left.again() <= 8
    left.check_results()
    assert sorted(left.runs()) == ["Cancelled", "Cancelled", "Completed", "Completed"]
    assert crews.open_task_runs() == []


@pytest.mark.slow
def test_an_error_that_stops_the_experiment_is_the_leaders(case: NewCase, crews: Crews) -> None:
    stopped = case("stopped", fails=30, exit_on_error=True)
    stopped.start()
    assert stopped.ended() == 1
    assert "ExperimentStopped" in stopped.output
    assert "ValueError: not 30" in stopped.output, "its text is told to whoever made the call"
    assert f"prefect-experiments resume {stopped.id}" in stopped.output
    assert "Failed" in stopped.runs()
    for run in crews.runs_of(stopped.id):
        assert "not 30" not in str(run), "Prefect is not told it"
    assert crews.open_task_runs() == []


@pytest.mark.slow
def test_a_worker_with_another_store_says_so(case: NewCase, crews: Crews) -> None:
    lost = case("lost", task_runner="deployment:lost")
    lost.start()
    assert lost.ended() == 1
    assert f"experiment {lost.id} is not in the store at postgresql" in lost.output
    assert "PREFECT_EXPERIMENTS_STORE_URL of the process that runs the experiment" in lost.output
    assert lost.log() == []
    assert set(lost.runs()) <= {"Failed", "Cancelled"}
    assert crews.open_task_runs() == []


@pytest.mark.slow
def test_a_pool_that_nobody_serves_is_told_of_and_its_flow_runs_end_with_the_experiment(
    case: NewCase, crews: Crews
) -> None:
    idle = case("idle", task_runner="deployment:idle")
    leader = idle.start()
    wait_for(lambda: "prefect worker start --pool nobody" in idle.output or leader.poll() is not None, "a word")
    assert "2 workers have not started for 30 s: waiting for flow runs" in idle.output
    assert leader.poll() is None, "it goes on waiting"
    leader.send_signal(signal.SIGINT)
    assert idle.ended() != 0
    assert idle.runs() == ["Cancelled", "Cancelled"]
    assert crews.open_task_runs() == []
