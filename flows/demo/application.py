"""The application under test: it answers questions from the paragraphs of documents.md.

Both variants work alike: rank the documents for the question, then rank the sentences of the best
document, and return the best of them. They differ in how a passage is scored. Nothing but the
standard library is needed, and nothing is known here of the questions it will be asked.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict

DOCUMENTS = Path(__file__).with_name("documents.md")

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about all am an and any are as at be been but by can could did do does for from get had has have how i if in
        into is it its me my no not of on one or our should so some than that the their them then there these they this
        to up us was we were what when where which who why will with would you your
        """,
    )
)


class Answer(TypedDict):
    """What both variants return: a sentence, and the heading of the document it stands in."""

    answer: str
    document: str


@dataclass(frozen=True, slots=True)
class Document:
    """One paragraph of documentation under its heading."""

    heading: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole paragraph."""
        return " ".join(self.sentences)


def parse_documents(markdown: str) -> tuple[Document, ...]:
    """The level-two sections of a Markdown text; what stands above the first is left out."""
    sections = re.split(r"^## +", markdown, flags=re.MULTILINE)[1:]
    headings_and_texts = (section.partition("\n")[::2] for section in sections)
    return tuple(Document(heading.strip(), split_sentences(text)) for heading, text in headings_and_texts)


def split_sentences(text: str) -> tuple[str, ...]:
    """Cut where a full stop (no ellipsis), question or exclamation mark precedes a capital or a code span."""
    return tuple(re.split(r"(?<=[^.][.!?])\s+(?=[A-Z`])", " ".join(text.split())))


def words(text: str) -> list[str]:
    """The lower-cased words of a text; an identifier such as ``on_failure`` is one word."""
    return re.findall(r"\w+", text.lower())


def terms(text: str) -> list[str]:
    """The stemmed words of a text without stop words; identifiers are taken apart at underscores."""
    return [stem(word) for word in words(text.replace("_", " ")) if word not in STOP_WORDS]


def stem(word: str) -> str:
    """A light stemmer for English: strips plural, participle and gerund endings, and a final e.

    It need not give words, only the same string for related forms: ``retries``, ``retried`` and
    ``retry`` all become ``retry``; ``stopped`` and ``stops`` become ``stop``.
    """
    for ending, replacement in (("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= 3 and not (ending == "s" and kept.endswith(("s", "u", "i"))):
            word = kept + replacement
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


class Scorer(Protocol):
    """Scores the passages it was made of."""

    def scores(self, question: str) -> list[float]:
        """How well each passage fits the question: the higher the better, 0 where they share nothing."""


class KeywordScorer:
    """Scores a passage by how many different words it shares with the question, all alike."""

    def __init__(self, passages: Sequence[str]) -> None:
        self._words = [frozenset(words(passage)) for passage in passages]

    def scores(self, question: str) -> list[float]:
        """One score for each passage."""
        asked = frozenset(words(question))
        return [float(len(asked & passage)) for passage in self._words]


class BM25Scorer:
    """Scores a passage by Okapi BM25: rare terms weigh more, repeated terms saturate, length is evened out.

    Attributes:
        K1: how slowly a term that occurs again adds to the score.
        B: how far scores are normalised by passage length, from 0 (not) to 1 (fully).
    """

    K1 = 1.2
    B = 0.75

    def __init__(self, passages: Sequence[str]) -> None:
        self._counts = [Counter(terms(passage)) for passage in passages]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean_length = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        self._document_frequency = Counter(term for counts in self._counts for term in counts)

    def scores(self, question: str) -> list[float]:
        """One score for each passage."""
        asked = set(terms(question))
        return [
            math.fsum(self._term_score(term, counts[term], length) for term in asked)
            for counts, length in zip(self._counts, self._lengths, strict=True)
        ]

    def _term_score(self, term: str, count: int, length: int) -> float:
        found_in = self._document_frequency[term]
        rarity = math.log(1 + (len(self._counts) - found_in + 0.5) / (found_in + 0.5))
        evened = self.K1 * (1 - self.B + self.B * length / self._mean_length)
        return rarity * count * (self.K1 + 1) / (count + evened)


class Answerer:
    """Answers questions from documents, ranked by one kind of scorer.

    Args:
        documents: what to answer from; at least one.
        scorer: makes what scores passages; the same kind ranks documents, then sentences.
        heading_weight: how often the heading is counted along with the text of its document.

    Raises:
        ValueError: there are no documents.
    """

    def __init__(
        self, documents: Sequence[Document], scorer: Callable[[Sequence[str]], Scorer], *, heading_weight: int = 1
    ) -> None:
        if not documents:
            raise ValueError("there are no documents to answer from")
        self._documents = documents
        self._document_scorer = scorer([f"{d.heading} " * heading_weight + d.text for d in documents])
        self._sentence_scorers = [scorer(d.sentences) for d in documents]

    def answer(self, question: str) -> Answer:
        """The best sentence of the best document; the first of those that score the same."""
        place = first_best(self._document_scorer.scores(question))
        document = self._documents[place]
        sentence = document.sentences[first_best(self._sentence_scorers[place].scores(question))]
        return {"answer": sentence, "document": document.heading}


def first_best(scores: Sequence[float]) -> int:
    """The place of the highest score, the first of several."""
    return max(range(len(scores)), key=scores.__getitem__)


@functools.cache
def documents() -> tuple[Document, ...]:
    """The paragraphs of documents.md, read once."""
    return parse_documents(DOCUMENTS.read_text(encoding="utf-8"))


@functools.cache
def keyword_answerer() -> Answerer:
    """The baseline over documents.md, indexed once."""
    return Answerer(documents(), KeywordScorer)


@functools.cache
def bm25_answerer() -> Answerer:
    """The candidate over documents.md, indexed once."""
    return Answerer(documents(), BM25Scorer, heading_weight=2)


def answer_by_keywords(input: dict[str, str]) -> Answer:
    """The baseline: raw keyword overlap.

    Args:
        input: the example's input, ``{"question": ...}``.
    """
    return keyword_answerer().answer(input["question"])


async def answer_by_bm25(input: dict[str, str]) -> Answer:
    """The candidate: stop words, stemming and BM25. Async, as an application that calls a model would be.

    Args:
        input: the example's input, ``{"question": ...}``.
    """
    return bm25_answerer().answer(input["question"])


async def answer(input: dict[str, str], model: str = "bm25") -> Answer:
    """The variant that a deployment names.

    Args:
        input: the example's input, ``{"question": ...}``.
        model: ``keywords`` or ``bm25``.

    Raises:
        ValueError: there is no such variant.
    """
    variants = {"keywords": keyword_answerer, "bm25": bm25_answerer}
    if model not in variants:
        raise ValueError(f"there is no model {model!r}; there are {', '.join(variants)}")
    return variants[model]().answer(input["question"])
