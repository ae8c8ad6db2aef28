"""What artifacts are called after, and how texts and reports stand on Prefect's pages."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.keys import fingerprint
from prefect_experiments.orchestration import artifacts
from prefect_experiments.orchestration.artifacts import artifact_key, show_report, show_text


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.mark.parametrize(
    ("sort", "name", "key"),
    [
        ("experiment", "questions", "experiment-questions"),
        ("metrics", " The 2nd set: of_questions (v1.2)! ", "metrics-the-2nd-set-of-questions-v1-2"),
        ("history", "---", "history"),
        ("text", "x" * 300, "text-" + "x" * 195),
        ("history", "für alle", f"history-f-r-alle-{fingerprint('für alle')[:8]}"),
        ("history", "名", f"history-{fingerprint('名')[:8]}"),
    ],
)
def test_the_key_of_an_artifact_has_letters_digits_and_dashes(sort: str, name: str, key: str) -> None:
    assert artifact_key(sort, name) == key


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Prefect is asked to make of it."""
    found: list[dict[str, Any]] = []

    async def make(**given: Any) -> None:
        found.append(given)

    for name in ("acreate_markdown_artifact", "acreate_link_artifact"):
        monkeypatch.setattr(artifacts, name, make)
    return found


@pytest.mark.parametrize(
    ("text", "fence"),
    [("plain", "```"), ("a `word`", "```"), ("a ``word``", "```"), ("```python\n1\n```", "````"), ("`````", "``````")],
)
def test_a_text_stands_as_it_is_whatever_it_holds(text: str, fence: str, shown: list[dict[str, Any]]) -> None:
    asyncio.run(show_text(text, "agreement", "Judge", "How far they agree"))
    assert shown == [
        {
            "markdown": f"{fence}text\n{text}\n{fence}",
            "key": "agreement-judge",
            "description": "How far they agree",
        }
    ]


def test_a_report_is_a_link_where_people_can_open_it_and_else_a_place(shown: list[dict[str, Any]]) -> None:
    path = Path("/there/night.html")
    asyncio.run(show_report(path, "https://reports.test/night.html", "questions"))
    asyncio.run(show_report(path, None, "questions"))
    where = f"The report is in `/there/night.html` on the machine `{socket.gethostname()}`."
    assert shown == [
        {
            "link": "https://reports.test/night.html",
            "link_text": "night.html",
            "description": "HTML report on questions",
        },
        {"markdown": where, "description": "HTML report on questions"},
    ]
