"""A budget: calls stop when it is spent, all that has finished is kept, and a bigger one goes on."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import openai
import pytest
from prefect import flow

from prefect_experiments import Client, create_evaluator, report_usage, resume_experiment, run_experiment
from prefect_experiments.errors import BudgetSpent, ExperimentStopped, InvalidSetting
from prefect_experiments.tracing import instruments
from support.openai_stand_in import OpenAIStandIn
from support.patience import PATIENCE_S
from support.prices import no_table_of_prices

QUESTIONS = [{"id": f"q{n:02}", "input": n} for n in range(40)]
CALL = (1000 * 0.15 + 100 * 0.6) / 1e6  # of gpt-4o-mini, with the tokens below


@pytest.fixture
def server() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn(tokens=(1000, 100)) as running:
        yield running


@pytest.fixture
def ask(server: OpenAIStandIn):
    client = openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)

    def ask(model: str = "gpt-4o-mini") -> str:
        said = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
        return said.choices[0].message.content

    return ask


def stopped(client: Client, task, *, dataset=QUESTIONS, **options) -> BudgetSpent:
    with pytest.raises(BudgetSpent) as raised:
        run_experiment(client=client, dataset=dataset, task=task, print_summary=False, retries=0, **options)
    return raised.value


def kept(client: Client, error: ExperimentStopped):
    return client.experiments.get_results(experiment=error.experiment_id)


def test_calls_stop_when_it_is_spent_and_what_is_in_flight_finishes(client, server, ask):
    error = stopped(client, lambda given: ask(), budget=9.5 * CALL, concurrency=4)
    assert "stopped: the budget of $" in str(error)
    assert f"resume {error.experiment_id} --budget DOLLARS" in str(error)
    summary = kept(client, error).summary
    assert 10 <= len(server.requests) <= 13  # the tenth call spends it; three more may be under way then
    assert (summary.n_runs, summary.n_errors) == (len(server.requests), 0)  # every call that was paid for is kept
    assert summary.total_cost == pytest.approx(len(server.requests) * CALL)


@pytest.mark.thorough
def test_a_bigger_one_goes_on_and_earlier_sessions_count(client, server, ask):
    first = stopped(client, lambda given: ask(), budget=9.5 * CALL, concurrency=1)
    made = len(server.requests)
    with pytest.raises(BudgetSpent, match="is spent"):
        resume_experiment(client=client, experiment=first.experiment_id, task=lambda given: ask(), budget=5 * CALL)
    assert len(server.requests) == made  # nothing was left of it
    with pytest.raises(BudgetSpent):
        resume_experiment(
            client=client, experiment=first.experiment_id, task=lambda given: ask(), budget=19.5 * CALL, concurrency=1
        )
    assert len(server.requests) == 20  # of both sessions together
    ran = resume_experiment(client=client, experiment=first.experiment_id, task=lambda given: ask(), budget=1)
    assert (ran.summary.n_runs, len(server.requests)) == (40, 40)


@pytest.mark.thorough
def test_what_failed_and_is_made_again_was_paid_for_too(client, server, ask):
    def failing(input):
        ask()
        raise ValueError("after the call")

    ran = run_experiment(
        client=client, dataset=QUESTIONS[:6], task=failing, print_summary=False, retries=0, concurrency=1
    )
    assert ran.summary.total_cost == pytest.approx(6 * CALL)
    with pytest.raises(BudgetSpent):
        resume_experiment(
            client=client, experiment=ran.experiment_id, task=lambda given: ask(), budget=8.5 * CALL, concurrency=1
        )
    assert len(server.requests) == 9
    with pytest.raises(BudgetSpent):  # three of the six rows have been replaced: what they had cost counts all the same
        resume_experiment(
            client=client, experiment=ran.experiment_id, task=lambda given: ask(), budget=9 * CALL, concurrency=1
        )
    assert len(server.requests) == 9


def test_no_call_is_tried_again_when_it_is_spent(client, server, ask):
    def failing(input):
        ask()
        raise ValueError("after the call")

    with pytest.raises(BudgetSpent) as raised:
        run_experiment(
            client=client, dataset=QUESTIONS[:2], task=failing, print_summary=False, retries=2, concurrency=1,
            budget=2.5 * CALL,
        )  # fmt: skip
    summary = kept(client, raised.value).summary
    assert (len(server.requests), summary.n_runs, summary.n_errors) == (3, 1, 1)


@pytest.mark.thorough
def test_each_attempt_counts_when_it_ends_and_all_of_them_stay_known(client, server, ask):
    def failing(input):
        ask()
        raise ValueError("after the call")

    options = {"print_summary": False, "retries": 5, "concurrency": 10}
    with pytest.raises(BudgetSpent) as raised:
        run_experiment(client=client, dataset=QUESTIONS, task=failing, budget=10 * CALL, **options)
    made = len(server.requests)
    assert 10 <= made <= 19  # the tenth attempt spends it; nine more may be under way then
    assert f"is spent (${made * CALL:,.4g})" in str(raised.value)
    stopped_there = kept(client, raised.value)
    assert stopped_there.summary.overall_cost == pytest.approx(made * CALL)
    assert sum(run.total_cost for run in stopped_there.task_runs) == pytest.approx(made * CALL)
    assert sum(run.attempts for run in stopped_there.task_runs) == made
    ran = resume_experiment(
        client=client, experiment=raised.value.experiment_id, task=lambda given: ask(), budget=1, print_summary=False
    )
    assert ran.summary.total_cost == pytest.approx(40 * CALL)  # of the results as they are
    assert ran.summary.replaced_cost == pytest.approx(made * CALL)
    assert ran.summary.overall_cost == pytest.approx((made + 40) * CALL)
    assert len(server.requests) == made + 40


def test_each_attempt_of_a_judge_counts_when_it_ends(client, server, ask):
    @create_evaluator(kind="LLM")
    def judge(output):
        ask()
        raise ValueError("after the call")

    with pytest.raises(BudgetSpent) as raised:
        run_experiment(
            client=client, dataset=QUESTIONS[:3], task=lambda given: given, evaluators=[judge], budget=3 * CALL,
            print_summary=False, retries=5, concurrency=2,
        )  # fmt: skip
    assert 3 <= len(server.requests) <= 4
    assert kept(client, raised.value).summary.overall_cost == pytest.approx(len(server.requests) * CALL)


@pytest.mark.thorough
def test_task_and_judges_spend_of_one_and_retries_of_both_count(client, server, ask):
    tried = set()

    def task(given):
        ask()
        if given % 2 and given not in tried:
            tried.add(given)
            raise ValueError("after the call")
        return given

    def judge(output):
        ask()
        raise ValueError("after the call")

    judges = [create_evaluator(kind="LLM", name=name)(judge) for name in ("first", "second")]
    with pytest.raises(BudgetSpent) as raised:
        run_experiment(
            client=client, dataset=QUESTIONS[:4], task=task, evaluators=judges, budget=10 * CALL, print_summary=False,
            retries=3, concurrency=3,
        )  # fmt: skip
    made = len(server.requests)
    assert 10 <= made <= 12
    summary = kept(client, raised.value).summary
    assert summary.total_cost == pytest.approx(6 * CALL)  # four runs, and two attempts that failed
    assert summary.judge_cost == pytest.approx((made - 6) * CALL)
    assert f"is spent (${made * CALL:,.4g})" in str(raised.value)


def test_what_is_said_to_be_spent_is_all_that_was_in_flight(client):
    under_way = threading.Barrier(4)

    def task(given):
        under_way.wait(PATIENCE_S)
        report_usage(cost=0.25)

    error = stopped(client, task, budget=0.2, concurrency=4)
    assert "the budget of $0.2 is spent ($1)" in str(error)
    assert kept(client, error).summary.total_cost == 1


def test_binary_fractions_neither_show_nor_spend(client):
    error = stopped(client, lambda given: report_usage(cost=0.1), budget=1, concurrency=1)
    summary = kept(client, error).summary
    assert (summary.n_runs, summary.total_cost) == (10, 1)  # added one by one, they are a little less
    thirds = run_experiment(
        client=client, dataset=QUESTIONS[:3], task=lambda given: report_usage(cost=0.1), print_summary=False
    )
    assert (thirds.summary.total_cost, thirds.summary.overall_cost) == (0.3, 0.3)


@pytest.mark.thorough
def test_judges_spend_of_it_and_plain_evaluators_go_on(client, server, ask):
    @create_evaluator(kind="LLM")
    def judge(output):
        ask()
        return 1.0

    error = stopped(
        client, lambda given: ask(), evaluators=[judge, lambda output: len(output) > 0], budget=15.5 * CALL,
        concurrency=1, batch_size=4,
    )  # fmt: skip
    ran = kept(client, error)
    assert len(server.requests) in (16, 17)  # beside the call that spends it, one of the task's or the judge's
    assert ran.summary.overall_cost == pytest.approx(len(server.requests) * CALL)
    assert ran.summary.judge_cost == pytest.approx(ran.summary.metrics["judge"].n * CALL)
    assert ran.summary.metrics["lambda"].n == ran.summary.n_runs  # it costs nothing, and the outputs are there


def test_it_is_enough_where_all_is_done(client, ask):
    ran = run_experiment(
        client=client, dataset=QUESTIONS[:3], task=lambda given: ask(), print_summary=False, budget=2.5 * CALL,
        concurrency=1,
    )  # fmt: skip
    assert ran.summary.n_runs == 3  # the third call has spent it, and nothing was left to do


def test_a_call_of_unknown_cost_ends_it(client, server, ask):
    error = stopped(client, lambda given: ask("in-house"), budget=100, concurrency=1)
    assert "the cost of calls of 'in-house' is not known" in str(error)
    assert "PREFECT_EXPERIMENTS_PRICES" in str(error)
    assert len(server.requests) == 1


def test_prices_of_ones_own_keep_it(client, server, ask, monkeypatch):
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PRICES", '{"in-house": {"input": 1000}}')  # a dollar a call
    error = stopped(client, lambda given: ask("in-house"), budget=2, concurrency=1)
    assert "the budget of $2 is spent ($2)" in str(error)
    assert len(server.requests) == 2


def test_a_task_that_tells_nothing_of_cost_ends_it(client):
    calls = []
    error = stopped(client, lambda given: calls.append(given), budget=1, concurrency=2)
    assert "none of the first 10 results of the task tells what it has cost" in str(error)
    assert 10 <= len(calls) <= 11


def test_a_task_that_tells_now_and_then_does_not_end_it(client, ask):
    ran = run_experiment(
        client=client, dataset=QUESTIONS, task=lambda given: ask() if given == 0 else "from a cache", budget=1,
        print_summary=False, concurrency=1,
    )  # fmt: skip
    assert (ran.summary.n_runs, ran.summary.total_cost) == (40, pytest.approx(CALL))


def test_what_a_task_reports_itself_is_spent(client):
    error = stopped(client, lambda given: report_usage(cost=0.25), budget=1, concurrency=1)
    assert kept(client, error).summary.total_cost == 1.0


def test_prefect_tells_of_its_end_in_a_line_and_of_a_crash_with_its_traceback(client, caplog):
    stopped(client, lambda given: report_usage(cost=0.25), budget=1, concurrency=1)
    told = [record for record in caplog.records if record.name == "prefect.flow_runs" and "is spent" in record.message]
    assert [(record.exc_info, record.levelname) for record in told] == [(None, "ERROR")]
    caplog.clear()

    @flow
    def crashing():
        raise RuntimeError("a crash")

    with pytest.raises(RuntimeError, match="a crash"):
        crashing()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError]


def test_exit_on_error_is_told_in_a_line_too(client, caplog):
    with pytest.raises(ExperimentStopped):
        run_experiment(
            client=client, dataset=QUESTIONS, task=lambda given: 1 / 0, exit_on_error=True, retries=0,
            print_summary=False,
        )  # fmt: skip
    assert [record for record in caplog.records if record.name.startswith("prefect.") and record.exc_info] == []
    assert "exit_on_error is set" in caplog.text


class TestRefusedBeforeAnythingIsSpent:
    @pytest.mark.parametrize("prices", ["/no/such/prices.json", '{"in-house": 3}'])
    def test_where_prices_cannot_be_used(self, client, monkeypatch, server, ask, prices):
        monkeypatch.setenv("PREFECT_EXPERIMENTS_PRICES", prices)
        with pytest.raises(InvalidSetting, match="PREFECT_EXPERIMENTS_PRICES: the "):
            run_experiment(client=client, dataset=QUESTIONS, task=lambda given: ask())
        assert server.requests == []
        assert client.experiments.list(dataset=None).experiments == []

    def test_where_nothing_can_tell_the_cost(self, client, monkeypatch, server, ask):
        monkeypatch.setattr(instruments, "INSTRUMENTORS", {})
        monkeypatch.setattr("prefect_experiments.experiment.spending._says_so_itself", lambda: False)
        with no_table_of_prices(), pytest.raises(InvalidSetting) as refused:
            run_experiment(client=client, dataset=QUESTIONS, task=lambda given: ask(), budget=1)
        assert str(refused.value) == (
            "budget=1 cannot be kept: nothing here can tell what a call costs, for no instrumentor of OpenAI, "
            "Anthropic or LiteLLM is installed beside its library and there is no table of prices. pip install "
            "'prefect-experiments[cost]' brings both, PREFECT_EXPERIMENTS_PRICES takes prices of your own, and a "
            "module with a task that calls report_usage must import it at its top"
        )
        assert server.requests == []
        assert client.experiments.list(dataset=None).experiments == []

    def test_where_counting_is_off(self, client, monkeypatch, server, ask):
        monkeypatch.setenv("PREFECT_EXPERIMENTS_COUNT_TOKENS", "false")
        with pytest.raises(
            InvalidSetting,
            match="budget=1 cannot be kept while costs are not counted: PREFECT_EXPERIMENTS_COUNT_TOKENS is off",
        ):
            run_experiment(client=client, dataset=QUESTIONS, task=lambda given: ask(), budget=1)
        assert server.requests == []

    @pytest.mark.parametrize("budget", [0, -1, float("nan"), "5"])
    def test_a_budget_that_is_none(self, client, budget):
        with pytest.raises(InvalidSetting, match="budget must be above 0 US dollars"):
            run_experiment(client=client, dataset=QUESTIONS, task=lambda given: given, budget=budget)


def test_its_error_travels():
    error = BudgetSpent("stopped", experiment_id="exp-1", advice="go on").with_advice("exp-2", "resume")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.experiment_id) == (BudgetSpent, "stopped. resume", "exp-2")
