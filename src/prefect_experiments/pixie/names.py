"""The names of pixie's built-in evaluators, and what each needs of an entry."""

from __future__ import annotations

from typing import Final

HEURISTICS: Final = frozenset(
    {"LevenshteinMatch", "ExactMatch", "NumericDiff", "JSONDiff", "ValidJSON", "ListContains"}
)
"""They compute; nobody is asked."""

JUDGES: Final = frozenset(
    {
        "EmbeddingSimilarity",
        "Factuality",
        "ClosedQA",
        "Battle",
        "Humor",
        "Security",
        "Sql",
        "Summary",
        "Translation",
        "Possible",
        "Moderation",
        "ContextRelevancy",
        "Faithfulness",
        "AnswerRelevancy",
        "AnswerCorrectness",
    }
)
"""They ask a model, an embedding model, or the moderation endpoint."""

BUILTIN_NAMES: Final = HEURISTICS | JUDGES

NEED_EXPECTATION: Final = frozenset(
    {
        "LevenshteinMatch",
        "ExactMatch",
        "NumericDiff",
        "JSONDiff",
        "ListContains",
        "EmbeddingSimilarity",
        "Factuality",
        "Battle",
        "Sql",
        "Summary",
        "Translation",
        "AnswerCorrectness",
    }
)
"""They compare with the expectation, or with ``eval_metadata["expected"]`` where there is none."""

NEED_CRITERIA: Final = frozenset({"ClosedQA"})
"""They judge by ``eval_metadata["criteria"]``; by the expectation where there are none."""

NEED_CONTEXT: Final = frozenset({"ContextRelevancy", "Faithfulness", "AnswerRelevancy"})
"""They need ``eval_metadata["context"]``."""
