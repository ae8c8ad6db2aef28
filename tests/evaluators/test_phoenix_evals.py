"""The real arize-phoenix-evals, its LLM against a local stand-in for OpenAI."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import httpx
import pytest
from phoenix.evals import LLM, bind_evaluator, create_classifier
from phoenix.evals import create_evaluator as create_phoenix_evaluator
from phoenix.evals.evaluators import Evaluator as PhoenixEvaluator
from phoenix.evals.evaluators import LLMEvaluator, Score
from phoenix.evals.metrics import (
    CorrectnessEvaluator,
    HallucinationEvaluator,
    MatchesRegex,
    PrecisionRecallFScore,
    exact_match,
)

from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.evaluators import EvaluationResult, resolve_evaluators
from prefect_experiments.evaluators.adapters import eval_input
from support.openai_stand_in import OpenAIStandIn

from .judging import bind, fields, parsed, result, results, run

PROMPT = "Question: {question}\n<output>{output}</output>\n<reference>{expected}</reference>\nIs it right?"
QUESTION = {"question": "What is the capital of France?"}


@pytest.fixture
def server():
    with OpenAIStandIn() as stand_in:
        yield stand_in


def model(server, name="stand-in", **kwargs):
    return LLM(
        provider="openai",
        model=name,
        base_url=server.url,
        api_key="not-a-key",
        initial_per_second_request_rate=1000,
        **kwargs,
    )


def classifier(server, **kwargs):
    settings = {"name": "right", "prompt_template": PROMPT, "choices": {"correct": 1, "incorrect": 0}, **kwargs}
    return create_classifier(llm=settings.pop("llm", None) or model(server), **settings)


class TestClassifier:
    def test_it_judges_by_the_prompt(self, server):
        judge = classifier(server)
        bound = bind(judge)
        assert (bound.name, bound.kind, bound.is_async) == ("right", "LLM", True)

        async def both():
            rows = [fields(text, "The capital is Paris.", input=QUESTION) for text in ("Paris", "Lyon")]
            return [parsed(bound, raw) for raw in await asyncio.gather(*(bound.call(row) for row in rows))]

        [[right], [wrong]] = run(both())
        assert right == EvaluationResult(1.0, "correct", "found correct: 'Paris'", {"model": "stand-in"})
        assert (wrong.score, wrong.label, wrong.name) == (0.0, "incorrect", None)
        assert len(server.requests) == 2
        assert QUESTION["question"] in server.requests[0]["messages"][0]["content"]

    def test_by_tool_calls_where_the_model_has_no_structured_output(self):
        with OpenAIStandIn(structured_output=False) as server:
            assert result(classifier(server), "Paris", "Paris", input=QUESTION).label == "correct"
            assert ["tools" in body for body in server.requests] == [False, True]

    def test_labels_without_scores_and_with_descriptions(self, server):
        labels = classifier(server, choices=["correct", "incorrect"])
        assert result(labels, "Lyon", "Paris", input=QUESTION) == EvaluationResult(
            None, "incorrect", "found incorrect: 'Lyon'", {"model": "stand-in"}
        )
        described = classifier(server, choices={"correct": (1, "It is right"), "incorrect": (0, "It is not")})
        assert result(described, "Paris", "Paris", input=QUESTION).score == 1

    def test_a_field_that_is_nowhere_is_the_evaluator_s_error_on_that_run(self, server):
        bound = bind(classifier(server, prompt_template="{answer_sheet} <output>{output}</output>"))
        with pytest.raises(ValueError, match="answer_sheet"):
            run(bound.call(fields("Paris")))
        assert server.requests == []
        row = fields("Paris", metadata={"answer_sheet": "<reference>Paris</reference>"})
        assert bound.parse(run(bound.call(row)))[0].label == "correct"

    def test_an_answer_that_is_no_label_is_an_error(self):
        unsure = OpenAIStandIn(judge=lambda prompt, labels: "perhaps")
        with unsure as server, pytest.raises(ValueError, match="invalid label 'perhaps'"):
            result(classifier(server), "Paris", "Paris", input=QUESTION)

    def test_a_new_name(self, server):
        [bound] = resolve_evaluators({"mine": classifier(server)})
        assert bound.name == "mine"
        [only] = bound.parse(run(bound.call(fields("Paris", "Paris", input=QUESTION))))
        assert only.name is None


class TestCodeEvaluators:
    def test_sync_ones_go_to_the_engine_s_threads(self):
        @create_phoenix_evaluator(name="length", kind="code")
        def length(output: str, limit: int = 3) -> bool:
            return len(output) <= limit

        bound = bind(length)
        assert (bound.name, bound.kind, bound.is_async) == ("length", "CODE", False)
        assert result(length, "abc") == EvaluationResult(1.0, "True")
        assert result(length, "abc", input={"limit": 2}).score == 0  # a column of the example

    def test_async_ones_are_awaited(self):
        @create_phoenix_evaluator(name="length", kind="llm")
        async def length(output: str) -> tuple[float, str]:
            await asyncio.sleep(0)
            return (len(output) / 10, "short")

        assert (bind(length).is_async, bind(length).kind) == (True, "LLM")
        assert result(length, "abc") == EvaluationResult(0.3, "short")

    def test_metrics(self):
        assert result(exact_match, "a", "a").score == 1
        assert result(MatchesRegex(pattern=r"P\w+s"), "in Paris").score == 1
        assert not bind(MatchesRegex(pattern="a")).is_async
        several = results(PrecisionRecallFScore(), ["a", "b"], ["a", "a"])
        assert {r.name: r.score for r in several} == pytest.approx({"precision": 0.5, "recall": 0.25, "f1": 1 / 3})

    def test_scores_of_a_plain_function(self):
        def judge(output):
            return [Score(name="a", score=1), Score(name="b", label="x", direction="minimize")]

        assert results(judge, "") == [
            EvaluationResult(1.0, name="a"),
            EvaluationResult(label="x", name="b", metadata={"direction": "minimize"}),
        ]

    def test_subclasses_are_async_where_they_say_so(self, server):
        class OnlySync(LLMEvaluator):
            def _evaluate(self, eval_input):
                return [Score(name=self.name, label=self.llm.generate_text(prompt=eval_input["output"]), kind="llm")]

        class OnlyAsync(OnlySync):
            async def _async_evaluate(self, eval_input):
                text = await self.llm.async_generate_text(prompt=eval_input["output"])
                return [Score(name=self.name, label=text, kind="llm")]

        sync = OnlySync(name="s", llm=model(server), prompt_template="{output}")
        assert not bind(sync).is_async
        assert result(sync, "<output>a</output><input>abc</input>").label == "supported"
        other = OnlyAsync(name="a", llm=model(server), prompt_template="{output}")
        assert bind(other).is_async
        assert result(other, "<output>x</output><input>abc</input>").label == "unsupported"

    def test_a_class_without_arguments_and_a_reference(self, tmp_path):
        class Upper(PhoenixEvaluator):
            def __init__(self):
                super().__init__(name="upper", kind="code")

            def _evaluate(self, eval_input):
                return [Score(name="upper", score=float(eval_input["output"].isupper()))]

        assert bind(Upper).name == "upper"
        bound = bind(bind_evaluator(evaluator=Upper(), input_mapping={"output": "output"}))
        assert bound.parse(bound.call(fields("ABC")))[0].score == 1
        module = tmp_path / "phoenix_judges.py"
        module.write_text("from phoenix.evals.metrics import exact_match\n")
        assert bind(f"{module}:exact_match").reference == f"{module}:exact_match"

    def test_kinds_that_are_unknown_are_refused(self):
        class Odd(PhoenixEvaluator):
            kind = "robot"

            def _evaluate(self, eval_input):
                return []

        with pytest.raises(InvalidEvaluator, match="evaluator 'odd': unknown kind 'robot'"):
            bind(Odd(name="odd", kind="code"))

    def test_names_that_are_no_text_are_refused(self):
        class Numbered(PhoenixEvaluator):
            name = 3

            def _evaluate(self, eval_input):
                return []

        with pytest.raises(InvalidEvaluator, match="a phoenix-evals evaluator's name must be text, got 3"):
            bind(Numbered(name="numbered", kind="code"))


class TestMappings:
    def test_paths_and_functions(self):
        mapped = bind_evaluator(
            evaluator=exact_match,
            input_mapping={"output": "output.answer", "expected": lambda metadata: metadata["gold"].upper()},
        )
        assert bind(mapped).name == "exact_match"
        assert result(mapped, {"answer": "PARIS"}, metadata={"gold": "paris"}).score == 1
        assert result(mapped, {"answer": "Paris"}, metadata={"gold": "paris"}).score == 0

    def test_a_metric_that_wants_text(self, server):
        judge = bind_evaluator(
            evaluator=HallucinationEvaluator(llm=model(server)), input_mapping={"input": "input.context"}
        )
        context = {"context": "Electronics: 14 days."}
        verdict = result(judge, "14 days", input=context)
        assert (verdict.score, verdict.label, verdict.metadata["direction"]) == (0.0, "grounded", "minimize")
        assert (
            result(bind_evaluator(evaluator=judge, input_mapping={"input": "context"}), "9", input=context).score == 1
        )

    def test_another_metric(self, server):
        judge = bind_evaluator(evaluator=CorrectnessEvaluator(llm=model(server)), input_mapping={"input": "question"})
        assert result(judge, "France", input=QUESTION).label == "correct"

    @pytest.mark.parametrize(
        ("prompt", "mapping", "row", "missing"),
        [
            (PROMPT, None, {"expected": "Paris"}, []),
            (PROMPT, None, {}, ["expected"]),
            (PROMPT, None, {"input": {}, "expected": "Paris"}, ["question"]),
            (PROMPT, None, {"input": {}, "expected": "Paris", "metadata": {"question": "?"}}, []),
            (PROMPT, {"expected": "metadata.gold"}, {}, ["metadata.gold"]),
            (PROMPT, {"expected": "metadata.gold"}, {"metadata": {"gold": "Paris"}}, []),
            (PROMPT, {"expected": "$.input.question"}, {}, []),
            (PROMPT, {"expected": "$.input.other"}, {}, ["$.input.other"]),
            (PROMPT, {"expected": "output.gold"}, {}, []),
            (PROMPT, {"expected": "question"}, {}, []),
            (PROMPT, {"expected": "nowhere.gold"}, {}, ["nowhere.gold"]),
            (PROMPT, {"expected": lambda metadata: metadata["gold"]}, {}, []),
            ("{{input.question}} {{output.reply}} {{input.other}} {{nothing}}", None, {}, ["nothing", "input.other"]),
            ("{{input.question}} {{input.other}}", {"input": "question"}, {}, []),
            ("{{expected.a.b}}", None, {"expected": {"a": {"b": 1}}}, []),
            ("{{expected.a.b}}", None, {"expected": {"a": {}}}, ["expected.a.b"]),
        ],
    )
    def test_what_an_example_lacks_is_known_before_it_is_asked(self, server, prompt, mapping, row, missing):
        judge = classifier(server, prompt_template=prompt)
        bound = bind(judge if mapping is None else bind_evaluator(evaluator=judge, input_mapping=mapping))
        row = {"input": QUESTION, **row}
        assert bound.needs.missing(fields("x", row.pop("expected", None), **row)) == missing
        assert server.requests == []

    def test_code_may_be_given_no_expected_output(self):
        assert bind(exact_match).needs.missing(fields("x")) == []
        assert bind(bind_evaluator(evaluator=exact_match, input_mapping={"expected": "metadata.gold"})).needs.missing(
            fields("x")
        ) == ["metadata.gold"]

    def test_what_they_pick_from(self):
        row = fields("out", {"a": 1}, input={"output": "mine", "q": 1}, metadata={"input": 5, "k": [1]})
        assert eval_input(row) == {
            "input": {"output": "mine", "q": 1},
            "output": "out",
            "expected": {"a": 1},
            "reference": {"a": 1},
            "metadata": {"input": 5, "k": [1]},
            "id": "ex-1",
            "q": 1,
            "a": 1,
            "k": [1],
        }


class TestFingerprint:
    def test_it_follows_what_makes_the_verdict(self, server):
        def gold(metadata):
            return metadata["gold"]

        @create_phoenix_evaluator(name="exact_match")
        def other(output, expected):
            return output != expected

        judge = classifier(server)
        variants = [
            judge,
            classifier(server, prompt_template=PROMPT + " Really?"),
            classifier(server, llm=model(server, "other-model")),
            classifier(server, choices={"correct": 1, "incorrect": -1}),
            bind_evaluator(evaluator=judge, input_mapping={"expected": "metadata.gold"}),
            bind_evaluator(evaluator=judge, input_mapping={"expected": "metadata.best"}),
            bind_evaluator(evaluator=judge, input_mapping={"expected": gold}),
            HallucinationEvaluator(llm=model(server)),
            HallucinationEvaluator(llm=model(server), temperature=0.5),
            exact_match,
            other,
            MatchesRegex(pattern="a"),
            MatchesRegex(pattern="b"),
        ]
        fingerprints = [bind(variant).fingerprint for variant in variants]
        assert len(set(fingerprints)) == len(variants)
        assert bind(classifier(server)).fingerprint == fingerprints[0]
        assert bind(classifier(server, llm=model(server, timeout=5))).fingerprint == fingerprints[0]

    @pytest.mark.slow
    def test_it_is_the_same_in_every_process(self, tmp_path):
        module = tmp_path / "judges.py"
        module.write_text(
            "from phoenix.evals import LLM, bind_evaluator, create_classifier, create_evaluator\n"
            "llm = LLM(provider='openai', model='m', base_url='http://127.0.0.1:9', api_key='x')\n"
            "judge = create_classifier(name='j', prompt_template='{output}', llm=llm, choices=['a', 'b'])\n"
            "mapped = bind_evaluator(evaluator=judge, input_mapping={'output': lambda x: x['output']})\n"
            "@create_evaluator(name='code')\n"
            "def code(output: str) -> bool: return output in {'a', 'b', 'c'}\n"
        )
        references = [f"{module}:{name}" for name in ("judge", "mapped", "code")]
        script = (
            "from prefect_experiments.evaluators import resolve_evaluators\n"
            f"print(*(b.fingerprint for r in {references!r} for b in resolve_evaluators({{r: r}})))"
        )
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert process.stdout.split() == [bind(reference).fingerprint for reference in references]


class TestStandIn:
    """What other tests rely on."""

    def test_rate_limits_come_first(self):
        with OpenAIStandIn(rate_limited=2, retry_after=0.5) as server, httpx.Client() as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "<output>a</output><input>abc</input>"}]}
            answers = [client.post(f"{server.url}/chat/completions", json=body) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [429, 429, 200]
            assert answers[0].headers["retry-after"] == "0.5"
            assert answers[2].json()["choices"][0]["message"]["content"] == "supported"
            assert answers[2].json()["usage"]["total_tokens"] > 0
            assert len(server.requests) == 3
            assert client.post(f"{server.url}/moderations", json={}).status_code == 404

    def test_the_library_s_own_client_reads_it(self, server):
        import openai

        with openai.OpenAI(base_url=server.url, api_key="x") as client:
            answer = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "<output>b</output><reference>a</reference>"}]
            )
        assert answer.choices[0].message.content == "unsupported"


@pytest.mark.slow
def test_a_judge_of_several_fields_is_the_same_in_every_process():
    """Whatever order its library's sets have there."""
    code = (
        "from phoenix.evals import LLM, create_classifier\n"
        "from prefect_experiments.evaluators import resolve_evaluators\n"
        "llm = LLM(provider='openai', model='stand-in', api_key='none')\n"
        "prompt = '{{input.question}} {{output.reply}} {{expected}} {{metadata}}'\n"
        "judge = create_classifier(name='right', llm=llm, prompt_template=prompt, choices={'yes': 1, 'no': 0})\n"
        "print(resolve_evaluators([judge])[0].fingerprint)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1
