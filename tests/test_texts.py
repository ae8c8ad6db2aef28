"""How texts and lists are cut to a length where people read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefect_experiments import money, times
from prefect_experiments.display import counted, line, some
from prefect_experiments.models import (
    Annotation,
    Dataset,
    DatasetInfo,
    Evaluation,
    EvaluationResult,
    Example,
    Experiment,
    ExperimentRun,
    _Record,
)
from prefect_experiments.texts import plain_text, shortened

NOON = datetime(2026, 1, 2, 12, 30, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", ""),
        ("as long", "as long"),
        ("longer than", "longer…"),
        ("before  a space", "before…"),
        ("before a space", "before…"),
        ("a  word", "a  word"),
        ("befor a space", "befor…"),
        ("a     word", "a…"),
        ("👩👩👩👩👩👩👩👩", "👩👩👩👩👩👩…"),
    ],
)
def test_a_text_ends_with_an_ellipsis_where_it_was_cut(text: str, cut: str) -> None:
    assert shortened(text, 7) == cut


def test_of_a_long_list_the_first_are_shown_and_the_others_counted() -> None:
    assert some([]) == ""
    assert some("abcd") == "a, b, c, d"
    assert some("abcde") == "a, b, c, d and 1 more"
    assert some(range(2000), 2) == "0, 1 and 1,998 more"
    asked: list[int] = []
    assert some([1, 2, 3], 2, lambda one: asked.append(one) or repr(one)) == "1, 2 and 1 more"
    assert asked == [1, 2], "texts are made of those alone that are shown"


@pytest.mark.parametrize(("n", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")])
def test_one_is_said_in_the_singular(n: int, said: str) -> None:
    assert counted(n, "row") == said


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("plain", "plain"),
        ("żółw 👩", "żółw 👩"),
        ("a\x00b", "a\u2400b"),
        ("ż\x00\ud83d", "ż\u2400\\ud83d"),
    ],
)
def test_a_text_is_kept_with_what_no_database_takes_made_visible(text: str, kept: str) -> None:
    assert plain_text(text) == kept


def test_a_line_has_as_many_parts_as_there_is_room_for() -> None:
    """In 200 characters; what comes first is said in any case."""
    assert line("Kind", []) == "Kind()"
    assert line("Kind", ["a", "b"]) == "Kind(a, b)"
    assert line("Kind", ["x" * 300]) == f"Kind({'x' * 300})"
    assert line("Kind", ["x" * 300, "y"]) == f"Kind({'x' * 300}, …)"
    fits = line("Kind", ["x" * 90, "y" * 97, "z"])
    assert fits == f"Kind({'x' * 90}, {'y' * 97}, …)"
    assert len(fits) == 198
    assert line("Kind", ["x" * 90, "y" * 98, "z"]) == f"Kind({'x' * 90}, …)"


@dataclass(frozen=True, kw_only=True)
class Odd(_Record):
    """With a field of each sort that says nothing."""

    flag: bool = True
    count: int = 3
    nothing: float | None = None
    items: tuple[int, ...]
    text: str = ""
    name: str


ODD: dict[str, Any] = {"items": (), "name": "n"}
EVALUATION: dict[str, Any] = {
    "id": "v", "run_id": "r", "name": "right", "annotator_kind": "CODE", "label": None, "explanation": None,
    "metadata": {}, "error": None, "start_time": NOON, "end_time": NOON,
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Odd(**ODD), "Odd(name='n')"),
        (Odd(**ODD | {"flag": False, "count": 0, "nothing": 0.0, "items": (0,), "text": "t"}),
         "Odd(name='n', flag=False, count=0, nothing=0, items=(0,), text='t')"),
        (Example(input=None), "Example()"),
        (Example(input=0, output=False, splits=("a", "b"), id="e0", span_id="s"),
         "Example(id='e0', input=0, output=False, splits=('a', 'b'), span_id='s')"),
        (Example(input={"a": {"b": {"c": 1}}, "l": [1, 2, 3, 4]}, id="e0"),
         "Example(id='e0', input={'a': {'b': {...}}, 'l': [1, 2, 3, ...]})"),
        (EvaluationResult(), "EvaluationResult()"),
        (EvaluationResult(1 / 3, "x" * 61), f"EvaluationResult(score=0.333333, label='{'x' * 27}...{'x' * 28}')"),
        (Evaluation(score=1.0, **EVALUATION),
         "Evaluation(id='v', name='right', run_id='r', annotator_kind='CODE', score=1, start_time=2026-01-02 12:30, "
         "end_time=2026-01-02 12:30)"),
        (Annotation(run_id="r", name="tone", label="kind"), "Annotation(name='tone', run_id='r', label='kind')"),
        (DatasetInfo(id="d", name="n", version_id="v", version_count=2, example_count=0, description=None, metadata={},
                     created_at=NOON, updated_at=NOON),
         "DatasetInfo(id='d', name='n', version_id='v', version_count=2, example_count=0, created_at=2026-01-02 12:30, "
         "updated_at=2026-01-02 12:30)"),
        (ExperimentRun(id="r", experiment_id="e", example_id="x", repetition_number=1, output=None, error="Boom",
                       status="error", start_time=NOON, end_time=NOON, latency_ms=2.5, attempts=1),
         "ExperimentRun(id='r', experiment_id='e', example_id='x', repetition_number=1, error='Boom', status='error', "
         "start_time=2026-01-02 12:30, end_time=2026-01-02 12:30, latency_ms=2.5)"),
        (Dataset(name="d", examples=()), "Dataset('d', 0 examples)"),
        (Dataset(name="d", examples=(Example(input=1),), id="i", version_id="v", splits=("s",)),
         "Dataset('d', 1 example, id='i', version_id='v', splits=('s',))"),
        (Experiment(id="i", name="e", dataset_id="d", dataset_version_id="v"), "Experiment('e', id='i')"),
        (Experiment(id="i", name="e", dataset_id="d", dataset_version_id="v", dataset_name="n", example_count=1,
                    repetitions=3, tags=("a", "b", "c", "d"), created_at=NOON),
         "Experiment('e' on 'n', id='i', 1 example x 3, 2026-01-02 12:30, tags=('a', 'b', 'c', ...))"),
        (Experiment(id="i", name="", dataset_id="d", dataset_version_id="v", repetitions=2), "Experiment('', id='i')"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_record_says_in_a_line_what_is_not_usual_of_it(record: Any, said: str) -> None:
    assert repr(record) == said


def test_sums_of_dollars_are_those_of_their_decimals() -> None:
    assert money.total([0.1] * 3) == 0.3
    assert money.total([0.00021] * 60) == 0.0126
    assert money.total([]) == 0
    assert money.rounded(0.1 + 0.2) == 0.3
    assert money.rounded(0.0) == 0.0
    assert money.rounded(None) is None
    assert money.total([2e-12, 1e-12]) == 3e-12, "a token of a cheap model is worth that"


def test_times_agree_with_the_figures_that_are_shown() -> None:
    """Seconds since the epoch, to the microsecond."""
    assert times.to_datetime(NOON.timestamp()) == NOON
    assert times.to_datetime(0).tzinfo is UTC
    assert times.milliseconds(1.5, 3.75) == 2250.0
    start, end = 1_700_000_000.1, 1_700_000_000.3004
    assert times.milliseconds(start, end) == 200.4
    assert times.to_datetime(start) + timedelta(milliseconds=200.4) == times.to_datetime(end)
