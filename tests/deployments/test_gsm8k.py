"""GSM8K night after night, as a deployment: what each night ends as, who is the baseline, what the history shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.browser import CHROMIUM, Browser

from .gsm8k.application import difficulty
from .stack import ROOT, Stack

pytestmark = pytest.mark.slow

DEPLOYMENT = "regression/gsm8k"
HERE = Path(__file__).with_name("gsm8k")
N_GOLDEN = 40
N_CALM, N_DECLINED = 2, 4
FIRST_DECLINED = 6 + N_CALM
LAST = 5 + N_CALM + N_DECLINED


def examples() -> list[dict[str, str]]:
    """The rows, with how long the worked answer is, and the first easy ones as those that have to be right."""
    lines = (ROOT / "tests/data/gsm8k/test.jsonl").read_text().splitlines()
    found = []
    for number, row in enumerate(map(json.loads, lines)):
        worked, _, result = row["answer"].partition("####")
        steps = len(worked.split("\n")) - 1
        found.append({
            "id": f"gsm8k-{number}",
            "question": row["question"],
            "answer": result.strip().replace(",", ""),
            "length": "short" if steps <= 2 else "medium" if steps <= 4 else "long",
            "split": "other",
        })  # fmt: skip
    for row in [row for row in found if difficulty(row["question"]) < 0.5][:N_GOLDEN]:
        row["split"] = "golden"
    return found


@dataclass
class Nights:
    """The nights as they were seen from outside, each right after it had ended.

    Attributes:
        ended: by night, the flow run.
        baselines: by night, the name of the experiment that has the tag then.
        forgotten: the id of the golden example that was wrong on night 5.
    """

    stack: Stack
    ended: dict[int, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[int, str] = field(default_factory=dict)
    forgotten: str = ""

    def run(self, night: int, **model: Any) -> None:
        """Let a night pass, with what is the matter with the model on it."""
        (self.stack.tree / "gsm8k/tonight.json").write_text(json.dumps({"night": night, **model}))
        self.ended[night] = self.stack.final(self.stack.run(DEPLOYMENT, experiment_name=f"night {night}"))
        tagged = self.stack.client.experiments.get(experiment="tag:baseline", dataset="gsm8k")
        self.baselines[night] = tagged.name

    def states(self) -> dict[int, str]:
        return {night: run["state_name"] for night, run in self.ended.items()}

    def message(self, night: int) -> str:
        return str(self.ended[night]["state"]["message"])

    def artifacts(self, night: int) -> dict[str, str]:
        """By key, which is empty of the outcome."""
        asked = {"flow_run_id": {"any_": [self.ended[night]["id"]]}}
        return {found["key"] or "": found["data"] for found in self.stack.post("artifacts/filter", artifacts=asked)}


@pytest.fixture(scope="module")
def nights(stack: Stack) -> Nights:
    """Two variants, of which the better one is deployed on the second day; then what may befall it."""
    folder = stack.tree / "gsm8k"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    rows = examples()
    (folder / "gsm8k.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    deploy(stack)
    found = Nights(stack)
    found.run(1)
    of_deployment = folder / "prefect.yaml"
    of_deployment.write_text(of_deployment.read_text().replace("application.py:plain", "application.py:step_by_step"))
    deploy(stack)
    found.run(2)
    found.run(3)
    found.run(4, better_by_length={"long": -0.3, "medium": 0.09, "short": 0.09})
    forgotten = next(row for row in rows if row["split"] == "golden")
    found.forgotten = forgotten["id"]
    found.run(5, forgotten=forgotten["question"])
    for night in range(6, FIRST_DECLINED):
        found.run(night)
    for night in range(FIRST_DECLINED, LAST + 1):
        found.run(night, better=-0.04)
    return found


def deploy(stack: Stack) -> None:
    stack.prefect("deploy", "--prefect-file", "gsm8k/prefect.yaml", "--all")


def test_what_each_night_ends_as(nights: Nights) -> None:
    """What no single night shows is found by all together: it takes four nights after two that were as before."""
    failed = {4, 5, LAST}
    assert nights.states() == {n: "GateFailed" if n in failed else "GatePassed" for n in range(1, LAST + 1)}
    assert {run["run_count"] for run in nights.ended.values()} == {1}, "a verdict is no reason to run again"


def test_the_better_variant_proposes_and_the_night_after_it_takes_the_tag(nights: Nights) -> None:
    """Though it is another task than the baseline's."""
    assert nights.baselines == {n: "night 1" if n < 3 else "night 3" for n in range(1, LAST + 1)}
    assert "there was no baseline to compare with" in nights.message(1)
    assert "54 improved, 5 regressed" in nights.message(2)


def test_an_alarm_names_what_fell(nights: Nights) -> None:
    assert nights.message(4).startswith(
        "metadata.length=long: exact_match 0.558, -28 points [-38, -20] against 0.837 on 86 pairs: significantly worse"
    )
    assert "exact_match 0.853 over 400 of 400" in nights.message(4), "the mean is even higher than the baseline's"
    assert nights.message(5).startswith("39 of 40 required examples are right")
    assert f"failed: {nights.forgotten} (exact_match 0.00)" in nights.message(5)
    began = nights.ended[FIRST_DECLINED]["start_time"][:10]
    assert nights.message(LAST).startswith(
        f"exact_match has been drifting since {began}: over {N_DECLINED} nights it is worse than on those before"
    )
    for night in range(FIRST_DECLINED, LAST):
        assert "not significantly worse" in nights.message(night)


def test_each_night_leaves_its_outcome_and_the_history_as_artifacts(nights: Nights) -> None:
    for night in nights.ended:
        found = nights.artifacts(night)
        assert sorted(found) == ["", "history-gsm8k"]
        assert f"| night {night} " in found["history-gsm8k"]
        assert f"| night {night + 1} " not in found["history-gsm8k"]
    assert nights.artifacts(4)[""].startswith("# Failed: night 4")
    assert "metadata.length=long" in nights.artifacts(4)[""]
    assert nights.artifacts(3)["history-gsm8k"].count("★ baseline") == 2, "that of this very night as well"


def test_the_history_tells_it_afterwards(nights: Nights) -> None:
    document = json.loads(nights.stack.shell("prefect-experiments history gsm8k --json 2>/dev/null"))
    entries = document["entries"]
    assert [entry["name"] for entry in entries] == [f"night {n}" for n in range(1, LAST + 1)]
    assert [entry["name"] for entry in entries if entry["is_alarm"]] == ["night 4", "night 5", f"night {LAST}"]
    open_checks = [[c["name"] for c in entry["checks"] if c["status"] == "failed"] for entry in entries]
    assert [names for names in open_checks if names] == [["metadata.length"], ["required"], ["drift"]]
    names = {entry["id"]: entry["name"] for entry in entries}
    first, second = document["promotions"]
    assert [(p["tag"], names[p["experiment_id"]]) for p in (first, second)] == [
        ("baseline", "night 1"), ("baseline", "night 3"),
    ]  # fmt: skip
    assert (first["until"], second["until"]) == (second["since"], None)
    assert [entry["baseline"] and entry["baseline"]["name"] for entry in entries] == [
        None, "night 1", "night 1", *["night 3"] * (LAST - 3),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with Browser() as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
def test_the_history_in_a_browser(nights: Nights, browser: Browser, width: int) -> None:
    nights.stack.shell("prefect-experiments history gsm8k --html history.html")
    with browser.page(nights.stack.tree / "history.html", width=width) as page:
        assert page.errors == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        newest = page.evaluate("document.querySelector('.verdict').innerText")
        assert newest.split()[:2] == ["✗", "Failed"]
        assert "exact_match has been drifting since" in newest
        places = "[...document.querySelectorAll('.sign.{}')].map(sign => sign.parentNode.getAttribute('href'))"
        assert page.evaluate(places.format("promoted")) == ["#night-0", "#night-2"]
        assert page.evaluate(places.format("failed")) == ["#night-3", "#night-4", f"#night-{LAST - 1}"]
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "metadata.length=long" in page.evaluate("document.getElementById('night-3').innerText")
