"""The real autoevals, its client against a local stand-in for OpenAI."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.evaluators import EvaluationResult, resolve_evaluators
from support.openai_stand_in import OpenAIStandIn

from .judging import bind, fields, result, results, run

autoevals = pytest.importorskip("autoevals", reason="autoevals is not installed; the extra `test` has it")
openai = pytest.importorskip("openai")
from autoevals import (  # noqa: E402
    ClosedQA,
    EmbeddingSimilarity,
    ExactMatch,
    Factuality,
    Faithfulness,
    JSONDiff,
    Levenshtein,
    ListContains,
    LLMClassifier,
    Moderation,
    NumericDiff,
    Score,
    Scorer,
    ValidJSON,
)

QUESTION = {"question": "What is the capital of France?"}


@pytest.fixture
def server():
    with OpenAIStandIn(judge=lambda prompt, labels: "C" if "Paris" in prompt.split("[Submission]")[-1] else "D") as it:
        yield it


def client(server, kind=openai.OpenAI):
    return kind(base_url=server.url, api_key="not-a-key", max_retries=0)


def classifier(prompt="Is {{output}} kind?", name="kind", choices=None, **options):
    scores = choices or {"Yes": 1, "No": 0}
    return LLMClassifier(name=name, prompt_template=prompt, choice_scores=scores, **{"model": "m", **options})


class Mine(Scorer):
    def _run_eval_sync(self, output, expected=None, **kwargs):
        return Score(name="Mine", score=0.5, metadata={"given": sorted(kwargs)})


class Awaited(Scorer):
    async def _run_eval_async(self, output, expected=None, input=None, **kwargs):
        await asyncio.sleep(0)
        return Score(name="Awaited", score=float(output == input))

    def _run_eval_sync(self, output, expected=None, **kwargs):
        raise AssertionError("the async one is used")


class Asking(Awaited):
    """As a judge that has its client at hand, and maybe another judge."""

    def __init__(self, client, part=None):
        self.client, self.part = client, part


class AsyncClient:
    pass


class Derived(AsyncClient):
    pass


class TestScorers:
    @pytest.mark.parametrize(
        ("scorer", "output", "expected", "wanted"),
        [
            (Levenshtein, "kitten", "sitting", 1 - 3 / 7),
            (Levenshtein(), "Paris", {"answer": "Paris"}, 1),
            (Levenshtein(), {"answer": "Paris"}, {"answer": "Paris"}, 1),
            (ExactMatch, 5, "5", 1),
            (NumericDiff(), 105, 100, 1 - 5 / 205),
            (ListContains(), ["a"], ["a", "b"], 0.5),
            (ListContains(allow_extra_entities=True), ["a", "b"], ["a"], 1),
            (JSONDiff(), {"a": 1, "b": "x"}, {"a": 1, "b": "x"}, 1),
            (ValidJSON(), '{"a": 1}', None, 1),
        ],
    )
    def test_they_score(self, scorer, output, expected, wanted):
        bound = bind(scorer)
        assert (bound.kind, bound.is_async) == ("CODE", False)
        assert result(scorer, output, expected).score == pytest.approx(wanted)

    def test_names(self):
        assert bind(Levenshtein).name == "Levenshtein"
        assert result(Levenshtein(), "a", "a").name is None
        [renamed] = resolve_evaluators({"near": Levenshtein()})
        assert renamed.name == "near"
        assert renamed.parse(renamed.call(fields("a", "a"))) == [EvaluationResult(1.0)]

    def test_what_fails_is_the_evaluator_s_error(self):
        with pytest.raises(ValueError, match="requires an expected value"):
            result(Levenshtein(), "a")

    def test_scores_with_more(self):
        assert results(lambda output: Score("a", 0.5, {"rationale": "why", "choice": "B", "k": 1}), "x") == [
            EvaluationResult(0.5, "B", "why", {"k": 1}, name="a")
        ]
        assert results(lambda output: Score("skipped"), "x") == [EvaluationResult(name="skipped")]
        with pytest.raises(TimeoutError, match="too slow"):
            results(lambda output: Score("a", error=TimeoutError("too slow")), "x")

    def test_one_s_own(self):
        given = result(Mine(), "x", "y", input={"q": 1, "r": 2}, metadata={"context": "c"}).metadata["given"]
        assert given == ["context", "id", "input", "metadata", "q", "r"]
        assert bind(Awaited()).is_async
        assert result(Awaited(), "x", input={"only": "x"}).score == 1

    def test_options_that_partial_fills(self):
        fixed = Levenshtein.partial(expected="Paris")
        assert result(fixed, "Paris", "Lyon").score == 1
        assert not bind(fixed).needs.expected

    def test_a_class_that_needs_arguments(self):
        with pytest.raises(InvalidEvaluator, match="Give an object instead of the class"):
            bind(LLMClassifier)


class TestJudges:
    @pytest.mark.parametrize("kind", [openai.OpenAI, openai.AsyncOpenAI])
    def test_they_ask_the_model(self, server, kind):
        judge = Factuality(model="stand-in", client=client(server, kind))
        bound = bind(judge)
        assert (bound.name, bound.kind, bound.is_async) == ("Factuality", "LLM", kind is openai.AsyncOpenAI)

        async def both():
            rows = [fields(text, {"answer": "Paris"}, input=QUESTION) for text in ("Paris it is", "Lyon")]
            values = [bound.call(row) for row in rows]
            return [bound.parse(await value if bound.is_async else value)[0] for value in values]

        right, wrong = run(both())
        assert (right.score, right.label, wrong.score, wrong.label) == (1, "C", 0, "D")
        assert right.explanation.startswith("found C")
        prompt = server.requests[0]["messages"][0]["content"]
        assert "[Question]: What is the capital of France?" in prompt
        assert "[Expert]: Paris" in prompt

    def test_the_client_that_init_was_given(self, server):
        autoevals.init(client=client(server, openai.AsyncOpenAI), is_async=True, default_model="stand-in")
        try:
            assert bind(Factuality()).is_async
            assert result(Factuality(), "Paris", "Paris", input=QUESTION).score == 1
            assert server.requests[0]["model"] == "stand-in"
        finally:
            autoevals.init()

    def test_columns_and_options_fill_the_prompt(self, server):
        judge = classifier("{{output}} about {{topic}} [Submission] {{output}}", choices={"C": 1, "D": 0})
        judge.client = client(server)
        assert result(judge, "Paris", metadata={"topic": "cities"}).score == 1
        assert server.requests[0]["messages"][0]["content"].startswith("Paris about cities")
        closed = ClosedQA.partial(criteria="It names a city")
        assert bind(closed).needs.missing(fields("x", input=QUESTION)) == []
        assert bind(ClosedQA).needs.missing(fields("x", input=QUESTION)) == ["criteria"]
        assert bind(ClosedQA).needs.missing(fields("x", metadata={"criteria": "c"})) == []

    def test_kinds(self):
        for judge in (Moderation, EmbeddingSimilarity, Faithfulness, ListContains(EmbeddingSimilarity())):
            assert bind(judge).kind == "LLM"

    def test_what_they_need(self):
        assert bind(Factuality).needs.expected
        assert not bind(Moderation).needs.expected
        assert bind(Faithfulness).needs.missing(fields("x", input=QUESTION)) == ["context"]
        assert bind(classifier("{{#hint}}{{hint}}{{/hint}}{{^hint}}none{{/hint}} {{output}}")).needs.missing(
            fields("x")
        ) == []  # fmt: skip

    @pytest.mark.parametrize(
        ("client", "is_async"),
        [
            (SimpleNamespace(is_async=True), True),
            (SimpleNamespace(is_async=False), False),
            (SimpleNamespace(is_async="yes"), False),
            (SimpleNamespace(is_async=False, openai=AsyncClient()), True),
            (SimpleNamespace(openai=SimpleNamespace()), False),
            (AsyncClient(), True),
            (Derived(), True),
            (SimpleNamespace(), False),
            (None, False),
        ],
    )
    def test_they_are_awaited_where_all_their_clients_are(self, client, is_async):
        assert (bind(Asking(client)).is_async, bind(Asking(client)).kind) == (is_async, "LLM")
        assert bind(Asking(AsyncClient(), Asking(client))).is_async is is_async
        assert not bind(Asking(SimpleNamespace(), Asking(client))).is_async


class TestFingerprint:
    def test_it_follows_what_makes_the_score(self):
        class Other(Mine):
            pass

        variants = [
            Levenshtein(),
            ExactMatch(),
            Levenshtein.partial(expected="a"),
            Levenshtein.partial(expected="b"),
            ListContains(),
            ListContains(allow_extra_entities=True),
            ListContains(pairwise_scorer=ExactMatch()),
            Mine(),
            Other(),
            classifier(),
            classifier("Is {{output}} rude?"),
            classifier(model="other"),
            classifier(choices={"Yes": 1, "No": 0.5}),
            classifier(temperature=0.5),
            ClosedQA(model="m"),
            ClosedQA.partial(criteria="a"),
            ClosedQA.partial(criteria="b"),
        ]
        fingerprints = [bind(variant).fingerprint for variant in variants]
        assert len(set(fingerprints)) == len(variants)

    def test_by_which_key_it_asks_is_no_matter(self):
        keyed = [classifier(api_key=key, base_url=f"http://127.0.0.1/{key}") for key in ("a", "b")]
        assert bind(keyed[0]).fingerprint == bind(keyed[1]).fingerprint == bind(classifier()).fingerprint

    @pytest.mark.slow
    def test_it_is_the_same_in_every_process(self, tmp_path):
        module = tmp_path / "scorers.py"
        module.write_text(
            "from autoevals import ClosedQA, Factuality, Levenshtein, Score, Scorer\n"
            "class Mine(Scorer):\n"
            "    def _run_eval_sync(self, output, expected=None, **kwargs): return Score('Mine', 1)\n"
            "mine, near, judge = Mine(), Levenshtein(), Factuality(model='m')\n"
            "closed = ClosedQA.partial(criteria='c')\n"
        )
        references = [f"{module}:{name}" for name in ("mine", "Mine", "near", "judge", "closed")]
        script = (
            "from prefect_experiments.evaluators import resolve_evaluators\n"
            f"print(*(b.fingerprint for r in {references!r} for b in resolve_evaluators({{r: r}})))"
        )
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert process.stdout.split() == [bind(reference).fingerprint for reference in references]
