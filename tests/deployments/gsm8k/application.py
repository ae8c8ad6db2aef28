"""Two variants of an application that answers GSM8K's questions, with a stand-in in the model's place.

It knows the answer and says it or another number: how hard a question is, and the night's luck with it, are made of the
question's own text, so that a night comes out the same wherever it runs. What is the matter with the model on a night
stands in tonight.json beside it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

PLAIN, STEP_BY_STEP = 0.72, 0.84
"""Up to which difficulty, from 0 to 1, a variant answers right."""
LUCK = 0.3
"""So far a question's difficulty varies between nights."""
TONIGHT = Path(__file__).with_name("tonight.json")


def plain(input: dict[str, str], expected: dict[str, str], metadata: dict[str, str]) -> str:
    """The question as it is."""
    return said(PLAIN, input["question"], expected["answer"], metadata["length"])


def step_by_step(input: dict[str, str], expected: dict[str, str], metadata: dict[str, str]) -> str:
    """The question, and that the model should think of each step."""
    return said(STEP_BY_STEP, input["question"], expected["answer"], metadata["length"])


def said(skill: float, question: str, answer: str, length: str) -> str:
    tonight: dict[str, Any] = json.loads(TONIGHT.read_text())
    skill += tonight.get("better", 0.0) + tonight.get("better_by_length", {}).get(length, 0.0)
    luck = LUCK * (share_of(f"{tonight['night']} {question}") - 0.5)
    right = difficulty(question) + luck < skill and question != tonight.get("forgotten")
    return answer if right else str(int(answer) + 1)


def difficulty(question: str) -> float:
    return share_of(question)


def share_of(text: str) -> float:
    """A number from 0 to 1 that is the text's own."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
