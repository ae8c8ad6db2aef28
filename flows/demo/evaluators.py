"""What scores the demo's answers: the document, the answer phrase, and the wording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from application import documents

from prefect_experiments.models import EvaluationResult


def right_document(output: Mapping[str, str], expected: Mapping[str, str]) -> bool:
    """Whether the answer was taken from the document that holds it."""
    return output["document"] == expected["document"]


def answer_found(output: Mapping[str, str], expected: Mapping[str, str]) -> bool:
    """Whether the expected phrase stands in the answer, upper case, white space and code marks aside."""
    return normalise(expected["answer"]) in normalise(output["answer"])


def overlap(output: Mapping[str, str], expected: Mapping[str, str]) -> EvaluationResult:
    """Token F1 between the answer and the sentence that holds the expected phrase, from 0 to 1."""
    reference = reference_sentence(expected)
    given, wanted = Counter(tokens(output["answer"])), Counter(tokens(reference))
    shared = (given & wanted).total()
    precision, recall = shared / max(given.total(), 1), shared / max(wanted.total(), 1)
    f1 = 2 * precision * recall / (precision + recall) if shared else 0.0
    explanation = (
        f"{shared} of the answer's {given.total()} words are among the {wanted.total()} of the reference "
        f"(precision {precision:.2f}, recall {recall:.2f}): {reference}"
    )
    return EvaluationResult(score=f1, explanation=explanation)


def reference_sentence(expected: Mapping[str, Any]) -> str:
    """The sentence of the expected document that holds the expected phrase.

    Raises:
        ValueError: the document does not exist or no sentence of it holds the phrase.
    """
    phrase = normalise(expected["answer"])
    for document in documents():
        if document.heading == expected["document"]:
            for sentence in document.sentences:
                if phrase in normalise(sentence):
                    return sentence
    raise ValueError(f"no sentence of document {expected['document']!r} holds {expected['answer']!r}")


def normalise(text: str) -> str:
    """The text in lower case, without backquotes, and with single spaces."""
    return " ".join(text.replace("`", "").lower().split())


def tokens(text: str) -> list[str]:
    """The words of a normalised text."""
    return re.findall(r"\w+", normalise(text))
