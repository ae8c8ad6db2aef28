"""The model that ``examples/support`` asks where no key is given: answers tickets and judges answers, by words.

As a command, it starts the example on a server of its own, or, where ``OPENAI_API_KEY`` is set, on what is set:

    python tests/support/support_desk.py examples/support/run.py
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.openai_stand_in import OpenAIStandIn

# The intent of a ticket is the one with most of its words in it, the first of those that have as many.
WORDS = {
    "billing": "charged invoice card billed bill payment pay paypal price fee voucher receipt discount vat instalments",
    "shipping": "parcel tracking courier deliver delivered delivery package driver ship shipped depot customs arrived",
    "returns": "return refund refunded replace replacement send sent swap broken back fault",
    "account": "log login account password signed sign signing data email newsletter logged loyalty",
    "bug": "app crashes blank error page website site update load freezes button menu filters chat window search",
}
# What a model says that has not been told the words: some of these, some of its own.
WORDS_OF_ITS_OWN = {
    "billing": "payment",
    "shipping": "delivery",
    "returns": "refund",
    "account": "login",
    "bug": "technical",
}


def reply(prompt: str) -> str:
    """The intent, and a sentence: both vaguer where the prompt does not list the intents."""
    instructions, _, ticket = prompt.rpartition("\n")
    told = all(word in instructions for word in WORDS)
    words = _words(ticket)
    intent = max(WORDS, key=lambda name: len(words & set(WORDS[name].split())))
    luck = _luck(prompt)
    if told:
        said, to_the_point = intent, luck >= 5
    else:
        said, to_the_point = WORDS_OF_ITS_OWN[intent] if luck < 25 else intent, luck >= 15
    about = next((word for word in WORDS[intent].split() if word in words), intent)
    sentence = f"We look into the {about} today." if to_the_point else "Thank you for your message."
    return f"{said.capitalize()}\n{sentence}"


def judge(prompt: str, labels: Sequence[str]) -> str:
    """The first label where the reply has a word of the ticket that says what it is about, else the second."""
    ticket, answer = (_words(found[0]) if (found := _between(prompt, tag)) else set() for tag in ("ticket", "reply"))
    shared = ticket & answer & {word for words in WORDS.values() for word in words.split()}
    return labels[0] if shared else labels[-1]


def _between(prompt: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}>(.*?)</{tag}>", prompt, re.DOTALL)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def _luck(prompt: str) -> int:
    """From 0 to 99, the same for the same prompt."""
    return hashlib.sha256(prompt.encode()).digest()[0] * 100 // 256


def support_desk() -> OpenAIStandIn:
    """The server."""
    return OpenAIStandIn(judge=judge, reply=reply)


def main(arguments: Sequence[str]) -> int:
    """Run a Python file, on a server of its own where no key is set; its exit code."""
    command = [sys.executable, *arguments]
    if os.environ.get("OPENAI_API_KEY"):
        return subprocess.run(command).returncode
    print("OPENAI_API_KEY is not set: a stand-in on this machine answers, with made-up answers at real prices.\n")
    with support_desk() as server:
        settings = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": server.url}
        return subprocess.run(command, env={**os.environ, **settings}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
