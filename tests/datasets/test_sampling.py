import collections
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.datasets import draw
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.models import Example
from prefect_experiments.options import Sample

TOPICS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=60)
METHODS = st.sampled_from(["random", "head", "systematic", "stratified"])


def dataset(topics) -> list[Example]:
    return [Example(id=f"e{n}", input=n, metadata={"topic": topic}) for n, topic in enumerate(topics)]


def sample_of(method, *, seed=42, **size) -> Sample:
    return Sample(method=method, by="topic" if method == "stratified" else None, seed=seed, **size)


@given(TOPICS, METHODS, st.integers(1, 80), st.integers())
def test_size_order_and_determinism(topics, method, n, seed):
    examples = dataset(topics)
    drawn = draw(examples, sample_of(method, n=n, seed=seed))
    assert len(drawn) == min(n, len(examples))
    places = [example.input for example in drawn]
    assert places == sorted(set(places))
    assert all(examples[place] is example for place, example in zip(places, drawn, strict=True))
    assert draw(examples, sample_of(method, n=n, seed=seed)) == drawn


@given(TOPICS, METHODS, st.floats(0, 1, exclude_min=True))
def test_a_fraction_is_rounded_and_at_least_one(topics, method, fraction):
    examples = dataset(topics)
    drawn = draw(examples, sample_of(method, fraction=fraction))
    if examples:
        assert len(drawn) >= 1
        assert abs(len(drawn) - fraction * len(examples)) <= max(0.5, 1 - fraction * len(examples))
    else:
        assert drawn == []


@given(TOPICS, st.integers(1, 80))
def test_head_is_a_prefix(topics, n):
    examples = dataset(topics)
    assert draw(examples, sample_of("head", n=n)) == examples[:n]


@given(st.integers(1, 300), st.integers(1, 300), st.integers())
def test_systematic_is_evenly_spaced(total, n, seed):
    places = [example.input for example in draw(dataset(range(total)), sample_of("systematic", n=n, seed=seed))]
    gaps = [b - a for a, b in itertools.pairwise(places)]
    step = total / len(places)
    assert all(math.floor(step) <= gap <= math.ceil(step) for gap in gaps)
    assert places[0] < step
    assert total - places[-1] <= math.ceil(step)


@given(TOPICS.filter(bool), st.integers(1, 60), st.integers())
def test_every_stratum_is_within_one_of_its_share(topics, n, seed):
    drawn = draw(dataset(topics), sample_of("stratified", n=n, seed=seed))
    there = collections.Counter(topics)
    got = collections.Counter(example.metadata["topic"] for example in drawn)
    for topic, count in there.items():
        assert abs(got[topic] - count * len(drawn) / len(topics)) < 1


@pytest.mark.parametrize(
    ("topics", "n", "drawn"),
    [
        ("abc", 1, "a"),
        ("abc", 2, "ab"),
        ("cba", 2, "cb"),  # the earlier in the dataset, whatever it is called
        ("aabbcc", 4, "aabc"),
        ("aabbccc", 4, "abcc"),  # shares of 1.14, 1.14 and 1.71
        ("aaab", 2, "aa"),  # 1.5 and 0.5
        ("abbb", 2, "ab"),
    ],
)
def test_at_a_tie_the_stratum_that_comes_first_gets_one_more(topics, n, drawn):
    found = draw(dataset(topics), sample_of("stratified", n=n))
    assert collections.Counter(example.metadata["topic"] for example in found) == collections.Counter(drawn)


def test_the_stratified_and_the_systematic_draw_of_a_seed_are_fixed_for_good():
    examples = dataset(n % 3 for n in range(1000))
    places = [example.input for example in draw(examples, sample_of("stratified", n=6))]
    assert places == [53, 103, 181, 372, 647, 870]
    assert [example.input for example in draw(examples, sample_of("systematic", n=5))] == [127, 327, 527, 727, 927]


def test_seeds_differ_and_every_place_can_be_drawn():
    examples = dataset(range(20))
    for method in ("random", "systematic"):
        draws = [tuple(e.input for e in draw(examples, sample_of(method, n=3, seed=seed))) for seed in range(200)]
        assert len(set(draws)) > 5
        assert {place for places in draws for place in places} == set(range(20))


def test_the_draw_of_a_seed_is_fixed_for_good():
    places = [example.input for example in draw(dataset(range(1000)), Sample(n=5))]
    assert places == [124, 290, 368, 394, 684]


@given(st.integers(1, 30), st.integers(1, 30), st.integers())
def test_a_larger_random_sample_holds_the_smaller(small, more, seed):
    examples = dataset(range(40))
    drawn, larger = (draw(examples, sample_of("random", n=n, seed=seed)) for n in (small, small + more))
    assert all(example in larger for example in drawn)


@pytest.mark.parametrize(
    "by", ["metadata.topic", "topic", "input.lang", "lang", "input.user.tier", "user.tier", "output", "splits"]
)
def test_the_field_to_stratify_by(by):
    examples = [
        Example(
            id=str(n),
            input={"lang": "en" if n % 2 else "de", "user": {"tier": n % 2}},
            output=n % 2,
            metadata={"topic": ["x", n % 2]},
            splits=("odd",) if n % 2 else (),
        )
        for n in range(20)
    ]
    drawn = draw(examples, Sample(n=10, method="stratified", by=by))
    assert sum(int(example.id) % 2 for example in drawn) == 5


@pytest.mark.parametrize("name", ["output", "expected", "reference", "dataset_output"])
def test_the_expected_output_by_each_of_its_names(name):
    objects = [Example(id=str(n), input=n, output={"topic": n % 2, "a": {"b": n % 2}}) for n in range(8)]
    for by in (f"{name}.topic", f"{name}.a.b", name):
        assert sum(e.input % 2 for e in draw(objects, Sample(n=4, method="stratified", by=by))) == 2
    values = [Example(id=str(n), input=n, output=n % 2) for n in range(8)]
    assert sum(e.input % 2 for e in draw(values, Sample(n=4, method="stratified", by=name))) == 2
    for nothing in (f"{name}.nope", f"{name}.topic.x"):
        with pytest.raises(InvalidSetting, match="unknown field"):
            draw(objects, Sample(n=4, method="stratified", by=nothing))
    with pytest.raises(InvalidSetting, match="unknown field"):
        draw([Example(id="a", input=1)], Sample(n=1, method="stratified", by=name))


def test_metadata_that_is_called_so_goes_by_its_part():
    examples = [
        Example(id=str(n), input=n, output={"topic": 1}, metadata={"expected": {"topic": n % 2}}) for n in range(8)
    ]
    drawn = draw(examples, Sample(n=4, method="stratified", by="metadata.expected.topic"))
    assert sum(e.input % 2 for e in drawn) == 2


def test_a_name_in_two_parts_needs_its_part():
    examples = [Example(id=str(n), input={"topic": n % 2}, metadata={"topic": "same"}) for n in range(8)]
    drawn = draw(examples, Sample(n=4, method="stratified", by="input.topic"))
    assert sum(example.input["topic"] for example in drawn) == 2
    with pytest.raises(InvalidSetting, match=r"metadata\.topic"):
        draw(examples, Sample(n=4, method="stratified", by="topic"))


def test_a_field_with_a_dot_in_its_name():
    examples = [Example(id=str(n), input=n, metadata={"llm.model": n % 2}) for n in range(8)]
    for by in ("llm.model", "metadata.llm.model"):
        assert sum(e.input % 2 for e in draw(examples, Sample(n=4, method="stratified", by=by))) == 2


def test_examples_without_the_field_are_a_stratum():
    examples = [Example(id=str(n), input=n, metadata={"topic": "x"} if n % 2 else {}) for n in range(20)]
    drawn = draw(examples, Sample(n=10, method="stratified", by="topic"))
    assert sum(example.input % 2 for example in drawn) == 5


def test_an_unknown_field_names_those_there_are():
    examples = [Example(id="1", input={"question": "private"}, metadata={"topic": "x"}, splits=("s",))]
    with pytest.raises(InvalidSetting) as caught:
        draw(examples, Sample(n=1, method="stratified", by="topik"))
    text = str(caught.value)
    assert "did you mean 'topic'" in text
    assert "question" in text
    assert "splits" in text
    assert "private" not in text


def test_nothing_to_draw_from():
    assert draw([], Sample(n=3, method="stratified", by="topic")) == []


@given(st.integers())
def test_a_stratum_of_which_none_is_drawn_changes_no_other(seed):
    """With work that is done for a small sample, a larger one goes on."""
    examples = dataset(["rare"] * 2 + ["common"] * 30)
    [drawn], larger = (draw(examples, sample_of("stratified", n=n, seed=seed)) for n in (1, 16))
    assert drawn in larger
    assert sum(example.metadata["topic"] == "rare" for example in larger) == 1
