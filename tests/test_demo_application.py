"""The demo's application, questions and evaluators: sound data, and answers that are really computed."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.tasks import load_reference, resolve_task

DEMO = Path(__file__).parents[1] / "flows" / "demo"
NONSENSE = "Xyzzy plugh frobnicate?"
EXPECTED = {"answer": "exponential_backoff", "document": "retries"}


def demo(module: str, name: str) -> Any:
    return load_reference(f"{DEMO / module}.py:{name}")


Answerer = demo("application", "Answerer")
BM25Scorer = demo("application", "BM25Scorer")
Document = demo("application", "Document")
KeywordScorer = demo("application", "KeywordScorer")
answer_by_bm25 = demo("application", "answer_by_bm25")
answer_by_keywords = demo("application", "answer_by_keywords")
documents = demo("application", "documents")
answer_found = demo("evaluators", "answer_found")
overlap = demo("evaluators", "overlap")
reference_sentence = demo("evaluators", "reference_sentence")
right_document = demo("evaluators", "right_document")


def ask_keywords(question: str) -> dict[str, str]:
    return answer_by_keywords({"question": question})


def ask_bm25(question: str) -> dict[str, str]:
    return asyncio.run(answer_by_bm25({"question": question}))


VARIANTS = pytest.mark.parametrize("ask", [ask_keywords, ask_bm25])
SCORERS = pytest.mark.parametrize("scorer", [KeywordScorer, BM25Scorer])


@pytest.fixture(scope="module")
def questions() -> list[dict[str, str]]:
    with (DEMO / "questions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestData:
    def test_there_are_enough_distinct_questions_of_several_topics(self, questions):
        assert len(questions) >= 40
        assert len({row["id"] for row in questions}) == len(questions)
        assert len({row["question"] for row in questions}) == len(questions)
        topics = Counter(row["topic"] for row in questions)
        assert len(topics) in (5, 6)
        assert min(topics.values()) >= 8

    def test_no_cell_is_empty(self, questions):
        for row in questions:
            assert list(row) == ["id", "question", "answer", "document", "topic"]
            assert all(value and value == value.strip() for value in row.values()), row

    def test_every_answer_stands_literally_in_one_sentence_of_its_document(self, questions):
        texts = {document.heading: document for document in documents()}
        for row in questions:
            assert row["document"] in texts, row["id"]
            holding = [s for s in texts[row["document"]].sentences if row["answer"] in s]
            assert holding, row["id"]
            assert reference_sentence(row) == holding[0], row["id"]

    def test_documents_have_unique_headings_and_a_few_sentences_each(self):
        headings = [document.heading for document in documents()]
        assert len(headings) >= 40
        assert len(set(headings)) == len(headings)
        assert {len(document.sentences) for document in documents()} <= {2, 3, 4}

    def test_documents_are_the_whole_file_below_the_preamble(self):
        body = (DEMO / "documents.md").read_text(encoding="utf-8").partition("\n## ")[2]
        parsed = " ## ".join(f"{document.heading} {document.text}" for document in documents())
        assert parsed.split() == body.split()


class TestApplication:
    def test_both_are_tasks_one_sync_and_one_async(self):
        assert not resolve_task(f"{DEMO}/application.py:answer_by_keywords").is_async
        assert resolve_task(f"{DEMO}/application.py:answer_by_bm25").is_async

    @VARIANTS
    def test_an_answer_is_a_sentence_of_the_document_it_names(self, ask, questions):
        sentences = {document.heading: document.sentences for document in documents()}
        for row in questions:
            answer = ask(row["question"])
            assert answer["answer"] in sentences[answer["document"]]

    @VARIANTS
    @pytest.mark.parametrize("question", [NONSENSE, "", "?!", "how is it"])
    def test_a_question_that_matches_nothing_still_gets_an_answer(self, ask, question):
        assert ask(question)["answer"]

    @VARIANTS
    def test_the_same_question_gets_the_same_answer(self, ask, questions):
        assert ask(questions[0]["question"]) == ask(questions[0]["question"])

    @SCORERS
    def test_adding_and_removing_a_document_changes_the_answer(self, scorer):
        question = NONSENSE.removesuffix("?")
        added = Document("magic-words", ("Nothing to see.", "To frobnicate, say xyzzy or plugh."))
        before = Answerer(documents(), scorer).answer(question)
        with_it = Answerer((*documents(), added), scorer).answer(question)
        assert before["document"] != "magic-words"
        assert with_it == {"answer": added.sentences[1], "document": "magic-words"}

    @SCORERS
    def test_without_the_document_that_holds_it_the_answer_is_another(self, scorer):
        question = "McNemar test discordant pairs"
        rest = [document for document in documents() if document.heading != "mcnemar-test"]
        assert Answerer(documents(), scorer).answer(question)["document"] == "mcnemar-test"
        assert Answerer(rest, scorer).answer(question)["document"] != "mcnemar-test"

    def test_no_documents_are_refused(self):
        with pytest.raises(ValueError, match="no documents"):
            Answerer([], BM25Scorer)

    def test_bm25_weighs_rare_terms_more_and_evens_out_length(self):
        scores = BM25Scorer(["run worker", "run pool", "run run run pool"]).scores("run the worker")
        assert scores[0] == max(scores)
        padded = BM25Scorer(["worker", "worker and a great deal of other text besides"]).scores("worker")
        assert padded[0] > padded[1] > 0

    @pytest.mark.parametrize(
        "forms",
        [
            ("retry", "retries", "retried", "retrying"),
            ("stop", "stops", "stopped", "stopping"),
            ("cache", "caches", "cached", "caching"),
            ("pass", "passes", "passed"),
        ],
    )
    def test_related_forms_have_one_stem(self, forms):
        assert len({demo("application", "stem")(form) for form in forms}) == 1

    @pytest.mark.parametrize("word", ["status", "class", "analysis", "is", "red", "ring"])
    def test_what_only_looks_like_an_ending_stays(self, word):
        assert demo("application", "stem")(word) == word

    def test_an_ellipsis_or_a_dot_in_a_name_ends_no_sentence(self):
        text = "Use `INSERT ... ON CONFLICT` here. `.fn` in flows/a.py is called. Then stop."
        assert len(demo("application", "split_sentences")(text)) == 3


class TestVariants:
    @pytest.mark.parametrize("evaluator", [right_document, answer_found])
    def test_bm25_is_clearly_better_and_neither_is_perfect(self, evaluator, questions):
        baseline = [evaluator(ask_keywords(row["question"]), row) for row in questions]
        candidate = [evaluator(ask_bm25(row["question"]), row) for row in questions]
        assert 0.4 < sum(baseline) / len(questions) < sum(candidate) / len(questions) - 0.1
        assert sum(candidate) < len(questions)

    def test_each_variant_wins_somewhere(self, questions):
        pairs = {
            (
                answer_found(ask_keywords(row["question"]), row),
                answer_found(ask_bm25(row["question"]), row),
            )
            for row in questions
        }
        assert {(False, True), (True, False)} <= pairs


class TestEvaluators:
    def test_a_right_answer_scores_full_marks(self):
        output = {"answer": reference_sentence(EXPECTED), "document": "retries"}
        assert right_document(output, EXPECTED) is True
        assert answer_found(output, EXPECTED) is True
        assert overlap(output, EXPECTED).score == 1.0

    def test_a_wrong_answer_scores_none(self):
        output = {"answer": "Xyzzy plugh.", "document": "caching"}
        assert right_document(output, EXPECTED) is False
        assert answer_found(output, EXPECTED) is False
        assert overlap(output, EXPECTED).score == 0.0

    def test_the_phrase_is_found_whatever_its_case_spacing_and_code_marks(self):
        assert answer_found({"answer": "Pass  `Exponential_Backoff`\nnow."}, EXPECTED)

    def test_overlap_is_f1_and_says_what_it_counted(self):
        reference = reference_sentence(EXPECTED)
        half = " ".join(reference.split()[:4])
        result = overlap({"answer": half, "document": "retries"}, EXPECTED)
        n = len(reference.split())
        assert result.score == pytest.approx(2 * 4 / (4 + n))
        assert "precision 1.00" in result.explanation
        assert reference in result.explanation

    @VARIANTS
    def test_overlap_stays_between_0_and_1_on_real_answers(self, ask, questions):
        assert all(0 <= overlap(ask(row["question"]), row).score <= 1 for row in questions)

    def test_an_expectation_that_fits_no_document_is_an_error(self):
        with pytest.raises(ValueError, match="holds 'no such phrase'"):
            overlap({"answer": "x", "document": "retries"}, {"answer": "no such phrase", "document": "retries"})
