"""Tokens and cost of calls of models, through instrumentors that nobody has set up, at the table's prices."""

from __future__ import annotations

import asyncio
import contextvars
import json
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import wrapt

from prefect_experiments import report_usage
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.tracing import UsageCounter, instruments
from prefect_experiments.tracing.prices import Price, Prices
from support.openai_stand_in import OpenAIStandIn
from support.patience import PATIENCE_S

from .harness import experiment, exported, script

# Of gpt-4o-mini: 0.15 for a million tokens of input, 0.60 of output, 0.075 of cached input.
ASKED, ANSWERED = 1000, 100
COST = (ASKED * 0.15 + ANSWERED * 0.6) / 1e6
OWN = Prices({"in-house": Price(input=10, output=20, cached_input=1)})
SAY_HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server() -> Iterator[OpenAIStandIn]:
    instruments.set_up()
    with OpenAIStandIn(tokens=(ASKED, ANSWERED)) as running:
        yield running


@pytest.fixture
def client(server: OpenAIStandIn) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


@pytest.fixture
def aclient(server: OpenAIStandIn) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0)


def chat(client: openai.OpenAI, model: str = "gpt-4o-mini", **options):
    return client.chat.completions.create(model=model, messages=SAY_HELLO, **options)


def used(task, inputs=(1,), *, prices=None, **options):
    return experiment(task, inputs, tracer=UsageCounter(prices), **options)


def test_chat_responses_and_embeddings(client):
    calls = {
        "chat": lambda: chat(client),
        "responses": lambda: client.responses.create(model="gpt-4o-mini", input="hello"),
        "stream": lambda: list(chat(client, stream=True, stream_options={"include_usage": True})),
        "raw": lambda: client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=SAY_HELLO),
        "embeddings": lambda: client.embeddings.create(
            model="text-embedding-3-small", input="hello", encoding_format="float"
        ),
        "none": lambda: None,
    }
    runs = sorted(used(lambda given: str(calls[given]()), calls).runs)
    assert [run.error for run in runs] == [None] * len(calls)
    of_each = {kind: (run.token_count, run.total_cost) for kind, run in zip(calls, runs, strict=True)}
    whole = (ASKED + ANSWERED, pytest.approx(COST))
    assert of_each == {
        **dict.fromkeys(["chat", "responses", "stream", "raw"], whole),
        "embeddings": (ASKED, pytest.approx(ASKED * 0.02 / 1e6)),
        "none": (None, None),
    }
    assert {run.trace_id for run in runs} == {None}  # nobody wants traces


def test_each_run_of_an_async_task_has_its_own(aclient):
    async def task(input):
        calls = (aclient.chat.completions.create(model="gpt-4o-mini", messages=SAY_HELLO) for _ in range(input))
        await asyncio.gather(*calls)

    found = {run.position: run.token_count for run in used(task, range(6), concurrency=4).runs}
    assert found == {n: n * (ASKED + ANSWERED) or None for n in range(6)}


def test_all_attempts_have_cost_money(client):
    attempts = []

    def task(input):
        attempts.append(chat(client))
        if len(attempts) < 3:
            raise ValueError("again")

    assert used(task, retries=5).run().total_cost == pytest.approx(3 * COST)


def test_calls_in_threads_that_have_the_context_count(client):
    def task(input):
        with ThreadPoolExecutor() as pool:
            contexts = [contextvars.copy_context() for _ in range(3)]
            list(pool.map(lambda context: context.run(chat, client), contexts))

    assert used(task).run().token_count == 3 * (ASKED + ANSWERED)


def test_a_refused_call_has_used_nothing(server, client):
    server.rate_limited = 1

    def task(input):
        try:
            chat(client)
        except openai.RateLimitError:
            return "refused"

    run = used(task).run()
    assert (run.output_json, run.token_count, run.unpriced_json) == ('"refused"', None, None)


def test_cached_tokens_have_their_own_price(server, client):
    server.cached = 600
    expected = (400 * 0.15 + 600 * 0.075 + ANSWERED * 0.6) / 1e6
    assert used(lambda given: chat(client).id).run().total_cost == pytest.approx(expected)
    own = used(lambda given: chat(client, "in-house").id, prices=OWN).run()
    assert own.total_cost == pytest.approx((400 * 10 + 600 * 1 + ANSWERED * 20) / 1e6)


def test_of_a_model_that_no_table_knows_the_tokens_count_and_the_cost_is_unknown(client):
    def task(input):
        for model in ["gpt-4o-mini", "in-house", "in-house"][:input]:
            chat(client, model)

    one, two, three = sorted(used(task, [1, 2, 3]).runs)
    assert (one.total_cost, one.unpriced_json) == (pytest.approx(COST), None)
    assert (two.total_cost, json.loads(two.unpriced_json)) == (None, {"in-house": 1})  # not the known part alone
    assert (three.token_count, json.loads(three.unpriced_json)) == (3 * (ASKED + ANSWERED), {"in-house": 2})


def test_a_stream_without_usage_is_a_call_of_unknown_cost(client):
    run = used(lambda given: [part.id for part in chat(client, stream=True)]).run()
    assert (run.token_count, run.total_cost, json.loads(run.unpriced_json)) == (None, None, {"gpt-4o-mini": 1})


def test_a_stream_is_read_as_its_client_meant_it_though_an_instrumentor_stands_before_it(client, aclient):
    asked = {"stream": True, "stream_options": {"include_usage": True}}

    async def of_sync_client(given):
        return chat(client, **asked)

    tasks = [lambda given: chat(client, **asked), of_sync_client, lambda given: chat(aclient, **asked)]
    for task in tasks:
        run = used(task).run()
        assert (run.error, run.token_count, run.total_cost) == (None, ASKED + ANSWERED, pytest.approx(COST))
        assert isinstance(json.loads(run.output_json), str)


class EitherWay(wrapt.ObjectProxy):
    """As the instrumentor of Anthropic's library stands before its streams of both sorts."""

    def __iter__(self):
        yield from self.__wrapped__

    async def __aiter__(self):
        async for chunk in self.__wrapped__:
            yield chunk


def plain_chunks():
    yield from ("Pa", "ris")


async def async_chunks():
    for chunk in ("Pa", "ris"):
        yield chunk


@pytest.mark.parametrize("chunks", [plain_chunks, async_chunks])
def test_a_proxy_that_has_the_methods_of_both_sorts_is_read_as_what_it_stands_for(chunks):
    async def of_async_code(given):
        return EitherWay(chunks())

    for task in (lambda given: EitherWay(chunks()), of_async_code):
        run = used(task).run()
        assert (run.error, run.output_json) == (None, '"Paris"')


def test_a_judges_calls_are_the_evaluations_and_count_once(client):
    def judge(output):
        chat(client)
        return [{"name": "kind", "score": 1.0}, {"name": "clear", "score": 0.5}]

    sink = used(lambda given: chat(client).id, evaluators=[judge])
    figures = [(one.name, one.token_count, one.total_cost) for one in sink.evaluations]
    assert figures == [("kind", ASKED + ANSWERED, pytest.approx(COST)), ("clear", None, None)]
    assert sink.run().total_cost == pytest.approx(COST)


def test_with_traces_the_calls_are_spans_of_the_runs_trace(client, collector):
    sink = exported(collector, lambda given: chat(client).id, [1])
    [root], [call] = collector.named("Task: lambda"), collector.named("ChatCompletion")
    assert (call.trace_id, call.parent_id) == (root.trace_id, root.span_id)
    assert call.attributes["llm.token_count.total"] == sink.run().token_count == ASKED + ANSWERED
    assert sink.run().total_cost == pytest.approx(COST)


def test_outside_of_an_experiment_nothing_is_counted_or_sent(client, collector):
    exported(collector, lambda given: None, [1])
    assert chat(client).id
    assert collector.named("ChatCompletion") == []


def test_what_ends_after_the_run_is_not_counted(client):
    over, ended = threading.Event(), threading.Event()

    def task(input):
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(late,)).start()

    def late():
        over.wait(PATIENCE_S)
        chat(client)
        ended.set()

    sink = used(task)
    over.set()
    assert ended.wait(PATIENCE_S)
    assert sink.run().token_count is None


class TestReportUsage:
    def test_of_calls_that_no_instrumentor_sees(self):
        def task(input):
            report_usage("gpt-4o-mini", input_tokens=ASKED, output_tokens=ANSWERED)
            report_usage(cost=0.25)

        run = used(task).run()
        assert (run.token_count, run.total_cost) == (ASKED + ANSWERED, pytest.approx(COST + 0.25))

    def test_it_counts_beside_traces_too(self, collector):
        sink = exported(collector, lambda given: report_usage(input_tokens=7, cost=0.5), [1])
        assert (sink.run().token_count, sink.run().total_cost) == (7, 0.5)

    def test_of_a_call_whose_tokens_nobody_knows_there_is_no_cost(self):
        run = used(lambda given: report_usage("gpt-4o-mini")).run()
        assert (run.token_count, run.total_cost, run.unpriced_json) == (None, None, '{"gpt-4o-mini":1}')

    def test_elsewhere_it_does_nothing(self):
        report_usage("gpt-4o-mini", input_tokens=1)

    @pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf"), "1$", "0.5", True, [1]])
    def test_it_refuses_a_cost_that_cannot_be(self, cost):
        with pytest.raises(InvalidSetting) as refused:
            report_usage("gpt-4o-mini", cost=cost)
        assert str(refused.value) == f"report_usage: cost must be a number of at least 0, got {cost!r}"

    @pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cached_input_tokens"])
    @pytest.mark.parametrize("count", [-1, 1.5, "900", True, 10**30])
    def test_it_refuses_tokens_that_cannot_be(self, name, count):
        with pytest.raises(InvalidSetting, match=rf"report_usage: {name} must be a whole number of at least 0.*, got "):
            report_usage("gpt-4o-mini", **{name: count})

    def test_it_refuses_a_model_that_is_no_name(self):
        with pytest.raises(InvalidSetting, match=r"report_usage: model must be a model's name, got 4"):
            report_usage(4, cost=1.0)

    def test_it_takes_numpys_numbers(self):
        run = used(lambda given: report_usage(input_tokens=np.int64(7), cost=np.float32(0.5))).run()
        assert (run.token_count, run.total_cost) == (7, 0.5)


SHAPE = '{"my-model": {"input": 0.5, "output": 2.0}}, in US dollars for a million tokens'


class TestPrices:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "{",
                ": its text is not JSON: line 1, column 2: Expecting property name enclosed in double quotes. It is "
                f"such as {SHAPE}",
            ),
            ("prices.json", f": the file 'prices.json' must be an object such as {SHAPE}"),
            ('{"m": 1}', "the price of 'm' must be such as"),
            ('{"m": {"output": 1}}', "input is missing"),
            ('{"m": {"input": -1}}', "got -1"),
            ('{"m": {"input": 1, "outptu": 2}}', "did you mean 'output'"),
            ("no-such-file.yaml", "cannot be read"),
        ],
    )
    def test_a_setting_that_cannot_be_used_is_refused(self, monkeypatch, tmp_path, text, said):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "prices.json").write_text("[]")
        monkeypatch.setenv("PREFECT_EXPERIMENTS_PRICES", text)
        with pytest.raises(InvalidSetting, match="PREFECT_EXPERIMENTS_PRICES") as refused:
            Prices.of_settings()
        assert said in str(refused.value)

    def test_from_a_file(self, monkeypatch, tmp_path):
        file = tmp_path / "prices.yaml"
        file.write_text("in-house: {input: 1, output: 2.5}\n")
        monkeypatch.setenv("PREFECT_EXPERIMENTS_PRICES", str(file))
        assert Prices.of_settings().own == {"in-house": Price(input=1, output=2.5)}


OPENING = """
import openai
from prefect_experiments.tracing import instruments, UsageCounter
from support.openai_stand_in import OpenAIStandIn
from tests.tracing.harness import experiment

def chat(url):
    client = openai.OpenAI(base_url=url, api_key="none")
    return client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]).id

class Kept:
    def __init__(self):
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        self.spans, self.provider = InMemorySpanExporter(), TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
    def names(self):
        return [(span.name, span.parent is None) for span in self.spans.get_finished_spans()]
"""
SET_UP = """
from opentelemetry import trace
from openinference.instrumentation.openai import OpenAIInstrumentor
kept = Kept()
trace.set_tracer_provider(kept.provider)
OpenAIInstrumentor().instrument(tracer_provider=kept.provider)
"""
RUN = """
with OpenAIStandIn(tokens=(10, 5)) as server:
    runs = [experiment(lambda given: chat(server.url), [1], tracer=UsageCounter()).run() for _ in range(times)]
    report(counts=[run.token_count for run in runs], spans=kept.names() if "kept" in globals() else None)
"""


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("before", [True, False], ids=["set up before", "set up later"])
def test_an_instrumentor_that_the_application_sets_up_is_not_doubled(before):
    ours, theirs = "instruments.set_up()\n", SET_UP
    found = script(OPENING + (theirs + ours if before else ours + theirs) + "times = 2\n" + RUN)
    assert found["counts"] == [15, 15]
    # The application has its spans as if we were not there: one a call, at the top.
    assert found["spans"] == [["ChatCompletion", True]] * 2
    assert "already instrumented" not in found["stderr"]


@pytest.mark.thorough
def test_spans_of_the_application_stay_as_they_are_beside_ours():
    code = """
    from opentelemetry import trace
    kept = Kept()
    trace.set_tracer_provider(kept.provider)
    instruments.set_up()
    def chat_within(url):
        with kept.provider.get_tracer("app").start_as_current_span("step"):
            return chat(url)
    """
    run = RUN.replace("chat(server.url)", "chat_within(server.url)")
    found = script(OPENING + textwrap.dedent(code) + "times = 1\n" + run)
    assert (found["counts"], found["spans"]) == ([15], [["step", True]])


@pytest.mark.thorough
def test_a_library_that_is_never_imported_costs_nothing():
    found = script("""
    import sys
    from prefect_experiments.tracing import UsageCounter, instruments
    libraries = instruments.set_up()
    with UsageCounter(): pass
    report(libraries=libraries, loaded=[m for m in ("openai", "opentelemetry.sdk.trace") if m in sys.modules])
    import openai
    report(instrumented="openinference.instrumentation.openai" in sys.modules)
    """)
    assert "openai" in found["libraries"]
    assert (found["loaded"], found["instrumented"]) == ([], True)
