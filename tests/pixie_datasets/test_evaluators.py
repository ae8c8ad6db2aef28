"""The evaluators that pixie datasets name: what each is, whom judges ask, and what counts as an error."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import json
import logging
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, Dataset, EvaluationResult
from prefect_experiments.errors import InvalidDataset, InvalidEvaluator, InvalidReference
from prefect_experiments.evaluators import BoundEvaluator, resolve_evaluators
from prefect_experiments.pixie import evaluator
from prefect_experiments.pixie.examples import ABSENT, Entry, Named
from prefect_experiments.pixie.names import (
    BUILTIN_NAMES,
    HEURISTICS,
    JUDGES,
    NEED_CONTEXT,
    NEED_CRITERIA,
    NEED_EXPECTATION,
)
from prefect_experiments.pixie.scorers import judged_at_once
from prefect_experiments.tasks import Fields
from support.judge_stand_in import JudgeStandIn

from .projects import write

pytest.importorskip("pixie", reason="pixie-qa is not installed; the extra `pixie` has it")

KEY, ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY, ADDRESS, "BRAINTRUST_API_KEY", "BRAINTRUST_AI_GATEWAY_URL"):
        monkeypatch.delenv(name, raising=False)


def reference(name: str, root: Path) -> str:
    return f"prefect_experiments.pixie:evaluator({name!r}, {str(root)!r})"


def bound(name: str, root: Path) -> BoundEvaluator:
    """As a dataset leads to it."""
    [found] = resolve_evaluators(reference(name, root))
    return found


def own(root: Path, code: str, name: str = "check") -> BoundEvaluator:
    write(root, {"checks.py": code})
    return bound(f"checks.py:{name}", root)


def fields(output: Any = "Paris", **entry: Any) -> Fields:
    example = Entry(**{"arguments": {"q": "capital?"}, "description": "a capital", **entry}).to_example("e1")
    return Fields(
        example.id,
        json.dumps(example.input),
        None if example.output is None else json.dumps(example.output),
        json.dumps(dict(example.metadata)),
        output_json=json.dumps({"answer": output}),
    )


def called(found: BoundEvaluator, given: Fields) -> Any:
    value = found.call(given)
    assert inspect.isawaitable(value) == found.is_async

    async def awaited() -> Any:
        return await value

    return asyncio.run(awaited()) if found.is_async else value


def said(found: BoundEvaluator, given: Fields | None = None) -> EvaluationResult:
    [only] = found.parse(called(found, given or fields()))
    return only


# --- the names ---


def test_the_names_are_those_of_pixie() -> None:
    from pixie.harness.runner import BUILTIN_EVALUATOR_NAMES

    assert BUILTIN_NAMES == BUILTIN_EVALUATOR_NAMES
    assert HEURISTICS | JUDGES == BUILTIN_NAMES
    assert not HEURISTICS & JUDGES
    assert NEED_EXPECTATION | NEED_CRITERIA | NEED_CONTEXT <= BUILTIN_NAMES


@pytest.mark.parametrize("name", sorted(BUILTIN_NAMES))
def test_each_name_is_an_evaluator_of_its_kind(name: str, tmp_path: Path) -> None:
    found = bound(name, tmp_path)
    assert found.name == name
    assert found.kind == ("LLM" if name in JUDGES else "CODE")
    assert found.reference == reference(name, tmp_path)


def test_what_needs_an_expectation_cannot_do_without(tmp_path: Path) -> None:
    """`ExactMatch` can: it compares with nothing then. Judges would ask a model, with an empty place in the prompt."""
    for name in HEURISTICS & NEED_EXPECTATION - {"ExactMatch", "JSONDiff"}:
        with pytest.raises(ValueError, match="requires an expected value"):
            called(bound(name, tmp_path), fields())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Factualty", "did you mean 'Factuality'"),
        ("Levenshtein", "'LevenshteinMatch'"),
        ("", "pixie evaluator"),
        ("pixie.Factuality", "'Factuality'"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidEvaluator) as refused:
        evaluator(name, str(tmp_path))
    assert said in str(refused.value)
    assert "path.py:Name" in str(refused.value)


def test_the_names_are_known_without_pixie() -> None:
    code = (
        "import sys; sys.modules['pixie'] = None\n"
        "from prefect_experiments.pixie import evaluator\n"
        "from prefect_experiments.pixie.names import BUILTIN_NAMES\n"
        "assert not {'autoevals', 'openai', 'prefect'} & sys.modules.keys()\n"
        "try: evaluator('ExactMatch', '.')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'prefect-experiments[pixie]'" in done.stdout


# --- errors and scores ---


def test_what_keeps_a_scorer_from_judging_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        called(bound("NumericDiff", tmp_path), fields("3", expectation=4))


@pytest.mark.parametrize("expectation", ["a text", 3, ["list"], {"type": "nonsense"}])
def test_valid_json_says_what_it_takes_the_expectation_for(expectation: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"takes the expectation for a JSON Schema.*JSONDiff"):
        called(bound("ValidJSON", tmp_path), fields({"a": 1}, expectation=expectation))


@pytest.mark.parametrize("key", ["$ref", "$dynamicRef", "$recursiveRef"])
def test_a_schema_fetches_nothing(tmp_path: Path, key: str) -> None:
    with JudgeStandIn() as server, pytest.raises(ValueError, match=r"refers to 'http.*only what is in it"):
        schema = {"properties": {"a": {"anyOf": [{key: f"{server.url}/schema.json"}]}}}
        called(bound("ValidJSON", tmp_path), fields({"a": 1}, expectation=schema))
    inside = {"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    assert said(bound("ValidJSON", tmp_path), fields({"a": 1}, expectation=inside)).score == 1
    assert said(bound("ValidJSON", tmp_path), fields({"a": "x"}, expectation=inside)).score == 0


@pytest.mark.parametrize(("score", "kept"), [(1.5, 1.0), (-2, 0.0), (0.25, 0.25), (1, 1.0)])
def test_scores_are_from_0_to_1(score: float, kept: float, tmp_path: Path) -> None:
    code = (
        f"from pixie import Evaluation as E\ndef check(e): return E(score={score}, reasoning='r', details={{'k': 1}})"
    )
    found = said(own(tmp_path, code))
    assert (found.score, found.explanation, found.metadata) == (kept, "r", {"k": 1})


def test_that_a_score_is_out_of_bounds_is_said_once(tmp_path: Path) -> None:
    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    messages: list[str] = []
    found, handler = own(tmp_path, "def check(e): return 7.0"), Kept()
    logger = logging.getLogger("prefect_experiments")
    logger.addHandler(handler)
    try:
        assert [said(found).score for _ in range(3)] == [1.0, 1.0, 1.0]
    finally:
        logger.removeHandler(handler)
    assert messages == [
        "Evaluator 'check' gave a score of 7; scores of pixie's evaluators are from 0 to 1, so it counts as 1, and "
        "others like it likewise."
    ]


def test_nan_is_an_error(tmp_path: Path) -> None:
    found = own(tmp_path, "from pixie import Evaluation\ndef check(e): return Evaluation(float('nan'), 'r')")
    with pytest.raises(ValueError, match="finite"):
        said(found)


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        ("True", EvaluationResult(score=1.0, label="True")),
        ("0.5", EvaluationResult(score=0.5)),
        ("None", EvaluationResult()),
        ("{'score': 1, 'label': 'good'}", EvaluationResult(score=1.0, label="good")),
        ("type('Mine', (), {'score': 0.5, 'reasoning': 'why', 'details': {'a': 1}})()",
         EvaluationResult(score=0.5, explanation="why", metadata={"a": 1})),
    ],
)  # fmt: skip
def test_what_else_an_evaluator_may_return(returned: str, result: EvaluationResult, tmp_path: Path) -> None:
    assert said(own(tmp_path, f"def check(evaluable): return {returned}")) == result


# --- the project's own ---

SORTS = """
import functools
from pixie import Evaluation

def function(evaluable):
    return Evaluation(1.0, "function")

async def awaited(evaluable):
    return Evaluation(1.0, "awaited")

class Class:
    async def __call__(self, evaluable):
        return Evaluation(1.0, "class")

class Derived(Class):
    pass

def factory(*ignored, strict=True):
    return Class()

def two(evaluable, word):
    return Evaluation(1.0, word)

instance = Class()
partial = functools.partial(two, word="partial")
lambda_ = lambda evaluable: Evaluation(1.0, "lambda")
wrapped = lambda evaluable: awaited(evaluable)
"""


@pytest.mark.parametrize(
    ("name", "reasoning", "is_async"),
    [
        ("function", "function", False),
        ("awaited", "awaited", True),
        ("Class", "class", True),
        ("Derived", "class", True),
        ("factory", "class", True),
        ("instance", "class", True),
        ("partial", "partial", False),
        ("lambda_", "lambda", False),
    ],
)
def test_every_sort_of_evaluator(name: str, reasoning: str, is_async: bool, tmp_path: Path) -> None:
    found = own(tmp_path, SORTS, name)
    assert (found.name, found.kind, found.is_async) == (name, "CODE", is_async)
    assert said(found).explanation == reasoning


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def check(): return 3", "cannot be called with an evaluable"),
        (
            "def check(): raise OSError('no')",
            "called without arguments, as a factory: it requires none, failed with OSError: no",
        ),
        ("class check:\n  def __init__(self, needed): pass", "evaluator '.*:check': its class failed with TypeError"),
        ("check = 'text'", "leads to a str"),
        ("async def check(): pass", "async function must take the evaluable"),
        ("def check(output, expected): pass", "one argument, the evaluable"),
        (
            "import autoevals\ncheck = autoevals.ExactMatch()",
            r"is a scorer of autoevals, which takes no evaluable; wrap it: pixie\.AutoevalsAdapter",
        ),
    ],
)
def test_what_is_no_evaluator_is_refused(code: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidEvaluator, match=told):
        own(tmp_path, code)


def test_a_path_out_of_the_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"out.py": "def check(e): pass", "inside/keep.py": ""})
    with pytest.raises(
        InvalidReference, match=r"leads out of the project .* Move the file into the project, or allow its folder"
    ):
        bound("../out.py:check", tmp_path / "inside")


def test_a_module_is_loaded_once(tmp_path: Path) -> None:
    code = """
        calls = []
        def one(evaluable):
            calls.append(1)
            return len(calls) / 10
        def other(evaluable):
            return len(calls) / 10
    """
    one, other = own(tmp_path, code, "one"), bound("checks.py:other", tmp_path)
    assert [said(one).score, said(one).score, said(other).score] == [0.1, 0.2, 0.2]


def test_evaluators_get_pixies_own_evaluable(tmp_path: Path) -> None:
    code = """
        from pixie import Evaluable, Evaluation
        def check(evaluable):
            assert isinstance(evaluable, Evaluable)
            return Evaluation(1.0, evaluable.model_dump_json())
    """
    given = fields(expectation=None, eval_input=(Named("profile", {"a": 1}),), eval_metadata={"k": [1]})
    told = json.loads(said(own(tmp_path, code), given).explanation or "")
    assert told == {
        "eval_input": [
            {"name": "input_data", "value": {"q": "capital?"}},
            {"name": "profile", "value": {"a": 1}},
        ],
        "eval_output": [{"name": "answer", "value": "Paris"}],
        "expectation": None,
        "eval_metadata": {"k": [1]},
        "description": "a capital",
    }
    old = fields(form="entry_kwargs", expectation=ABSENT, eval_input=(Named("profile", 1),))
    told = json.loads(said(own(tmp_path, code), old).explanation or "")
    assert told["eval_input"] == [{"name": "profile", "value": 1}]
    assert told["expectation"] == "UNSET"


def test_without_an_input_that_evaluators_see_there_is_nothing_to_judge(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidDataset, match="has no 'eval_input', and evaluators do not see what is under 'entry_kwargs'"
    ):
        called(own(tmp_path, SORTS, "function"), fields(form="entry_kwargs"))


def test_the_kind_is_what_an_evaluator_says(tmp_path: Path) -> None:
    code = """
        from pixie import create_llm_evaluator, Factuality
        class Check:
            kind = "LLM"
            def __call__(self, evaluable): return 1.0
        tone = create_llm_evaluator(name="t", prompt_template="{eval_output}")
        fact = Factuality(model="other")
    """
    write(tmp_path, {"checks.py": code})
    assert {bound(f"checks.py:{name}", tmp_path).kind for name in ("Check", "tone", "fact")} == {"LLM"}


def test_a_label_takes_the_place_of_the_name(tmp_path: Path) -> None:
    write(tmp_path, {"checks.py": SORTS})
    found = evaluator("checks.py:function", str(tmp_path), "checks.py:function")
    assert found.name == "checks.py:function"
    [again] = resolve_evaluators(found.reference)
    assert again.name == "checks.py:function"


def test_the_fingerprint_is_of_the_code_and_not_of_the_place(tmp_path: Path) -> None:
    code = "WORD = {word!r}\ndef check(evaluable): return WORD"
    first, same, changed = (
        own(tmp_path / place, code.format(word=word)) for place, word in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert first.fingerprint == same.fingerprint != changed.fingerprint
    assert bound("ExactMatch", tmp_path / "a").fingerprint == bound("ExactMatch", tmp_path / "b").fingerprint
    assert bound("ExactMatch", tmp_path).fingerprint != bound("JSONDiff", tmp_path).fingerprint
    judges = "from pixie import ClosedQA, create_agent_evaluator as agent\n"
    a, b = (
        own(tmp_path / "d", f"{judges}check = ClosedQA(model='m')"),
        own(tmp_path / "e", f"{judges}check = ClosedQA()"),
    )
    assert a.fingerprint != b.fingerprint
    a, b = (own(tmp_path / c, f"{judges}check = agent('n', {c!r})") for c in ("good", "bad"))
    assert a.fingerprint != b.fingerprint


def test_an_agents_evaluation_is_pending_under_its_own_name(tmp_path: Path) -> None:
    code = "from pixie import create_agent_evaluator\ncheck = create_agent_evaluator('Quality', 'Is it good?')"
    found = own(tmp_path, code)
    assert found.name == "Quality"
    assert said(found) == EvaluationResult(metadata={"pending": "Is it good?", "scale": [0, 1]})


# --- whom judges ask ---


@contextmanager
def proxy() -> Iterator[list[str]]:
    """A proxy that lets nothing through; gives whom it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield [f"http://127.0.0.1:{server.server_port}", asked]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["Factuality", "EmbeddingSimilarity", "AnswerCorrectness", "Moderation"])
def test_with_a_key_alone_openai_is_asked_and_nobody_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "the-users-key")
    monkeypatch.setenv("BRAINTRUST_API_KEY", "another")
    with proxy() as (address, asked):
        for variable in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(variable, address)
        for variable in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(Exception, match=r"(?i)connection|proxy|502|gateway"):
            called(bound(name, tmp_path), fields(expectation="Paris"))
    assert set(asked) == {"api.openai.com:443"}


def test_the_users_own_calls_of_autoevals_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoevals import oai

    with JudgeStandIn() as server:
        monkeypatch.setenv(KEY, "k")
        monkeypatch.setenv(ADDRESS, server.url)
        said(bound("Factuality", tmp_path), fields(expectation="Paris"))
        assert len(server.requests) == 1

        async def beside_them() -> str:
            """In the context that a judge was called in."""
            await bound("Factuality", tmp_path).call(fields(expectation="Paris"))
            return oai.prepare_openai(is_async=True).RateLimitError.__name__

        assert asyncio.run(beside_them()) == "RateLimitError"
        assert len(server.requests) == 2
    before = oai.prepare_openai(is_async=True)
    assert before.RateLimitError.__name__ == "RateLimitError"
    assert oai._client_var.get(None) is None


def test_too_fast_is_for_the_experiment_to_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with JudgeStandIn(refused=100) as server:
        monkeypatch.setenv(KEY, "k")
        monkeypatch.setenv(ADDRESS, server.url)
        for name in ("Factuality", "Moderation", "AnswerCorrectness"):
            before = len(server.requests)
            with pytest.raises(Exception, match="429") as refused:
                called(bound(name, tmp_path), fields(expectation="Paris", eval_metadata={"context": "c"}))
            assert refused.value.status_code == 429  # type: ignore[attr-defined]
            assert len(server.requests) == before + 1


def test_a_client_of_the_users_is_used_and_does_not_wait_either(tmp_path: Path) -> None:
    import autoevals
    import openai

    with JudgeStandIn(refused=1) as server:

        def asked() -> None:
            mine = openai.AsyncOpenAI(base_url=server.url, api_key="mine", max_retries=0)
            autoevals.init(client=mine, is_async=True)
            found = bound("Factuality", tmp_path)
            assert found.needs.missing is not None
            assert not found.needs.missing(fields())

            async def twice() -> Any:
                with pytest.raises(openai.RateLimitError):
                    await found.call(fields(expectation="Paris"))
                return await found.call(fields(expectation="Paris"))

            assert asyncio.run(twice()).reasoning.startswith("said")

        contextvars.copy_context().run(asked)
        assert server.keys == {"mine"}


def test_a_scorers_own_client_is_used(tmp_path: Path) -> None:
    with JudgeStandIn() as server:
        code = f"""
            import openai
            from pixie import Factuality
            client = openai.AsyncOpenAI(base_url={server.url!r}, api_key="its-own", max_retries=0)
            def check():
                return Factuality(client=client, model="gpt-4o")
        """
        found = own(tmp_path, code)
        assert found.kind == "LLM"
        assert found.needs.missing is None
        assert said(found, fields(expectation="Paris")).score is not None
        assert server.keys == {"its-own"}
        assert {path for path, _ in server.requests} == {"/v1/chat/completions"}


def answer(example: Any) -> str:
    calls.append(1)
    return "Paris"


calls: list[int] = []


@pytest.mark.parametrize("name", ["Factuality", "tone"])
def test_without_a_key_nothing_is_run(name: str, client: Client, tmp_path: Path) -> None:
    calls.clear()
    code = "from pixie import create_llm_evaluator\ntone = create_llm_evaluator(name='t', prompt_template='')"
    write(tmp_path, {"checks.py": code})
    of_project = name if name in BUILTIN_NAMES else f"checks.py:{name}"
    entries = [Entry(arguments={"q": 1}, description="d", expectation="Paris").to_example("e1")]
    with pytest.raises(InvalidEvaluator, match=f"{KEY} is not set: nothing was run.*{ADDRESS}"):
        client.experiments.run_experiment(
            dataset=Dataset(name="d", examples=tuple(entries)),
            task=answer,
            evaluators=[reference(of_project, tmp_path)],
            print_summary=False,
        )
    assert not calls


@pytest.mark.thorough
def test_the_experiment_slows_down_for_a_judge(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = tuple(
        Entry(arguments={"q": n}, description=f"d{n}", expectation="Paris").to_example(f"e{n}") for n in range(3)
    )
    with JudgeStandIn(refused=2) as server:
        monkeypatch.setenv(KEY, "k")
        monkeypatch.setenv(ADDRESS, server.url)
        ran = client.experiments.run_experiment(
            dataset=Dataset(name="d", examples=entries),
            task=answer,
            evaluators=[reference("Factuality", tmp_path)],
            print_summary=False,
            retries=0,
        )
    assert [one.error for one in ran.evaluation_runs] == [None] * 3
    assert len(server.requests) == 5


@pytest.mark.thorough
def test_an_answer_that_repeats_the_key(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-the-users-own-key")
    write(tmp_path, {"checks.py": f"import os\ndef check(_):\n    raise OSError('no, ' + os.environ[{KEY!r}])"})
    ran = client.experiments.run_experiment(
        dataset=Dataset(name="d", examples=(Entry(arguments={}, description="d").to_example("e1"),)),
        task=answer,
        evaluators=[reference("checks.py:check", tmp_path)],
        print_summary=False,
        retries=0,
    )
    assert [one.error for one in ran.evaluation_runs] == ["OSError: no, ***"]
    client.experiments.export(experiment=ran.experiment.id, path=tmp_path / "runs.jsonl")
    assert "OSError: no, ***" in (tmp_path / "runs.jsonl").read_text()
    assert "sk-the" not in (tmp_path / "runs.jsonl").read_text()


@pytest.mark.parametrize(
    ("output", "expectation", "message"),
    [
        ({"a": 1}, ["a"], "ListContains compares two lists of texts; the output is an object, and the"),
        (["a"], {"a": 1}, "and the expectation an object$"),
        (["a"], ["a", None], "the output is a list, and the expectation a list with null in it$"),
    ],
)
def test_what_cannot_be_compared(output: Any, expectation: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        said(bound("ListContains", tmp_path), fields(output, expectation=expectation))


def test_a_judge_whose_key_is_gone_asks_nobody(tmp_path: Path) -> None:
    found = bound("Factuality", tmp_path)
    with pytest.raises(InvalidEvaluator, match=f"{KEY} is not set: a judge can ask nobody"):
        said(found, fields(expectation="Paris"))


def test_a_judge_that_names_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from pixie import create_llm_evaluator\ncheck = create_llm_evaluator(name='t', prompt_template='?')"
    with JudgeStandIn(answers="I would rather not say.") as server:
        monkeypatch.setenv(KEY, "key")
        monkeypatch.setenv(ADDRESS, server.url)
        with pytest.raises(ValueError, match=r"the judge's answer has no score in it. Failed to parse score.*not say"):
            said(own(tmp_path, code))


def test_a_scorer_is_as_it_was_after_each_call(tmp_path: Path) -> None:
    """Calls go on at the same time, and each has errors of its own."""
    from pixie import AutoevalsAdapter, Evaluable

    class Fails:
        async def eval_async(self, **given: Any) -> None:
            raise ZeroDivisionError

    given = [{"name": "it", "value": "Paris"}]
    scorer = Fails()
    adapter = AutoevalsAdapter(scorer)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            judged_at_once(adapter, Evaluable(eval_input=given, eval_output=given))
    assert adapter._scorer is scorer


def test_a_scorer_that_waits_where_nobody_is_asked() -> None:
    from pixie import AutoevalsAdapter, Evaluable

    given = [{"name": "it", "value": "Paris"}]

    class Waits:
        async def eval_async(self, **given: Any) -> None:
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="an evaluator that asks nobody has waited for something"):
        judged_at_once(AutoevalsAdapter(Waits()), Evaluable(eval_input=given, eval_output=given))


class TestWithoutLeftovers:
    """What a scorer began and nobody awaits is closed: Python would warn of it, later and somewhere else."""

    @pytest.fixture(autouse=True)
    def no_warning(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            yield
            gc.collect()
        assert [str(one.message) for one in found if "never awaited" in str(one.message)] == []

    def test_where_a_part_fails(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="null in it"):
            said(bound("ListContains", tmp_path), fields(["a", "b"], expectation=["a", None, "b"]))

    def test_where_a_request_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with JudgeStandIn(refused=100) as server:
            monkeypatch.setenv(KEY, "k")
            monkeypatch.setenv(ADDRESS, server.url)
            with pytest.raises(Exception, match="429"):
                said(bound("EmbeddingSimilarity", tmp_path), fields("one", expectation="another"))

    def test_where_it_is_cancelled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv(KEY, "k")
            monkeypatch.setenv(ADDRESS, f"http://127.0.0.1:{silent.getsockname()[1]}/v1")

            async def cancelled() -> None:
                given = fields("a first", expectation="a second")
                work = asyncio.ensure_future(bound("EmbeddingSimilarity", tmp_path).call(given))
                connection, _ = await asyncio.to_thread(silent.accept)  # it is asked
                work.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await work
                connection.close()

            asyncio.run(cancelled())


def test_a_place_in_a_prompt_that_pixie_leaves_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    code = """
        import autoevals, pixie
        JUDGE = autoevals.LLMClassifier("French", "{{output}} from {{language}}.", {"Y": 1, "N": 0})
        def check():
            return pixie.AutoevalsAdapter(JUDGE%s)
    """
    with JudgeStandIn() as server:
        monkeypatch.setenv(KEY, "k")
        monkeypatch.setenv(ADDRESS, server.url)
        for number, more in enumerate(("", "", ", language='French'")):
            found = own(tmp_path / str(number), code % more)
            assert said(found, fields(expectation="Paris")).score is not None
        prompts = [body for _, body in server.requests]
    assert ["from ." in prompt for prompt in prompts] == [True, True, False]
    assert "Could not find key" not in capfd.readouterr().err
    [remark] = [one.getMessage() for one in caplog.records if "prompt has a place" in one.getMessage()]
    assert remark.startswith("Evaluator 'French' is asked with nothing for 'language'")
