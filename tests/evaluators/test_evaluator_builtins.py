from __future__ import annotations

import contextlib
import json
import math
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators import builtin_names, resolve_evaluators
from prefect_experiments.evaluators.builtin import BUILTINS, build, parse_spec
from prefect_experiments.evaluators.scoring import bucket_of, type_differences
from prefect_experiments.evaluators.value_evaluators import largest_pairing

from .judging import bind, result, score

quick = settings(deadline=None, max_examples=60)
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"items": {"type": "string"}}},
    "required": ["a"],
}
REFERENCE_BASED = ["exact_match", "contains", "edit_similarity", "numeric_closeness", "list_contains"]


def test_the_names():
    assert builtin_names() == [
        "exact_match",
        "contains",
        "regex",
        "json_valid",
        "json_schema",
        "edit_similarity",
        "numeric_closeness",
        "list_contains",
    ]
    assert all(scorer.__doc__ for scorer in BUILTINS.values())


@pytest.mark.parametrize("name", REFERENCE_BASED)
@pytest.mark.parametrize("expected", [None, {"answer": None}])
def test_no_expected_output_is_an_error_and_never_a_score(name, expected):
    with pytest.raises(InvalidInput, match="no expected output"):
        result(name, "1", expected)


class TestExactMatch:
    @pytest.mark.parametrize(
        ("output", "expected", "wanted"),
        [
            ("a", "a", 1),
            ("a", "A", 0),
            ("a", "a ", 0),
            (1, 1.0, 1),
            (1, True, 0),
            (0, False, 0),
            (-0.0, 0, 1),
            ("1", 1, 1),
            (None, "a", 0),
            ({"a": 1, "b": [1, 2.0]}, {"b": [1.0, 2], "a": 1}, 1),
            ([1, 2], [2, 1], 0),
            ("Paris", {"answer": "Paris"}, 1),
            (7, {"answer": 7.0}, 1),
            ({"answer": "Paris"}, {"answer": "Paris"}, 1),
            ({"other": "Paris"}, {"answer": "Paris"}, 0),
            ({"answer": "Paris"}, "Paris", 0),
            ("Paris", {"answer": "Paris", "more": 1}, 0),
            (2**60, float(2**60), 0),
        ],
    )
    def test_scores(self, output, expected, wanted):
        verdict = result("exact_match", output, expected)
        assert (verdict.score, verdict.label) == (float(wanted), str(bool(wanted)))

    def test_options(self):
        assert score("exact_match(ignore_case=True)", {"a": ["ß"]}, {"a": ["SS"]}) == 1
        assert score("exact_match(ignore_case=True)", {"A": 1}, {"a": 1}) == 0
        assert score("exact_match(strip=True)", {"a": [" x\n"]}, {"a": ["x"]}) == 1
        assert score("exact_match(strip=true, ignore_case=true)", " X", "x") == 1


ALIKE = [
    ("5", 5),
    ("5.0", 5),
    ("5", 5.0),
    ("5e0", 5),
    ("1e3", 1000),
    ("1E+3", 1000.0),
    ("-0", 0),
    ("0.1", 0.1),
    ("1e18", 10**18),
    ("9007199254740993", 2**53 + 1),
    ("9007199254740992", float(2**53)),
    ("True", True),
    ("true", True),
    ("TRUE", True),
    ("False", False),
]
UNLIKE = [
    ("007", 7),
    ("1_000", 1000),
    ("1,000", 1000),
    ("0x10", 16),
    ("+5", 5),
    (" 5 ", 5),
    ("5.", 5),
    ("", 0),
    ("NaN", 0),
    ("Infinity", 1e308),
    ("five", 5),
    ("1e99999999999", 5),
    ("9" * 5000, 5),
    ("9007199254740993", 2**53),
    ("9007199254740993", float(2**53)),
    ("1", True),
    ("yes", True),
    ("True", 1),
    ("true", False),
    ("null", None),
    ("", None),
    ("[1]", [1]),
]


class TestWhatATextSays:
    """A CSV file has texts only."""

    @pytest.mark.parametrize(("text", "value"), ALIKE)
    def test_it_is_the_same_in_another_type(self, text, value):
        for output, expected in ((text, value), (value, text)):
            for wrap in (lambda v: v, lambda v: [v, "x"], lambda v: {"a": {"b": [v]}, "c": 1}):
                found = result("exact_match", wrap(output), wrap(expected))
                assert (found.score, found.label) == (1, "True")
                assert found.explanation.startswith("the same but for the type: ")
                strict = result("exact_match(strict=True)", wrap(output), wrap(expected))
                assert (strict.score, strict.label) == (0, "False")
                assert strict.explanation.startswith("different only by the type, which strict=True tells apart: ")
            assert score("contains", output, expected) == 1
            assert score("list_contains", [output], [expected, expected]) == 0.5
            assert score("list_contains(threshold=0.99)", [output], [expected]) == 1
            assert score("list_contains(strict=True)", [output], [expected]) == 0
            assert score("edit_similarity", output, expected) == 1

    @pytest.mark.parametrize(("text", "value"), UNLIKE)
    def test_it_is_not(self, text, value):
        for output, expected in ((text, value), (value, text)):
            if expected is not None:
                assert score("exact_match", output, expected) == 0
                assert score("exact_match", {"a": [output], "b": 0}, {"a": [expected], "b": 0}) == 0
                assert score("list_contains", [output], [expected, 8]) == 0

    def test_what_is_said_of_it(self):
        said = {
            (5, "5"): "the same but for the type: the output is the number 5, the expected output the text '5'",
            ("True", True): (
                "the same but for the type: the output is the text 'True', the expected output the truth value true"
            ),
        }
        for sides, text in said.items():
            assert result("exact_match", *sides).explanation == text
        nested = result("exact_match", {"a": [1, "2"], "b": 3}, {"a": [1, 2], "b": "3"}).explanation
        assert nested.endswith(": at .a[1] the output has the text '2', the expected output the number 2, and 1 more")
        assert result("exact_match", {"a": 1}, {"a": 1, "b": 2}).explanation == "the output has no 'b'"
        assert result("exact_match", "a", "a").explanation is None
        assert result("exact_match", "a", "b").explanation is None
        assert result("exact_match(strict=True)", "1", 2).explanation is None

    def test_an_object_in_a_text_is_named_and_not_the_same(self):
        for output, expected in (({"a": 1}, '{"a": 1}'), ('{"a": 1}', {"a": 1, "b": 2})):
            assert score("exact_match", output, expected) == 0
        assert result("exact_match", [1], "[1.0]").explanation == (
            "different only by the type: the expected output is a text that holds the output as JSON; "
            "load its column as JSON"
        )
        assert result("exact_match", "[1]", [1]).explanation.endswith("; parse it in the task")

    def test_texts_are_compared_as_texts(self):
        for one, other in (("1.0", "1"), ("True", "true"), ("5", "5e0")):
            assert score("exact_match", one, other) == 0
            assert score("list_contains", [one], [other, "x"]) == 0

    def test_options(self):
        assert score("exact_match(strip=True)", " 5 ", 5) == 1
        assert score("exact_match(strip=True)", [" true\n"], [True]) == 1
        assert score("exact_match(ignore_case=True)", "1E3", 1000) == 1

    @pytest.mark.parametrize(
        ("output", "expected", "wanted"),
        [
            ("5 of 6", 5, 1),
            ("it costs $1,000.50.", 1000.5, 1),
            ("it is 5.0", 5, 1),
            ("-5", 5, 0),
            ("3-5", 5, 1),
            ("15", 5, 0),
            ("1.5", 5, 0),
            ("05", 5, 0),
            ("v5", 5, 0),
            ("1.2.5", 5, 0),
            ("15", "5", 1),
            (15, "5", 0),
            (5, "5", 1),
            ([15, 2], 5, 0),
            ([15, 5], 5, 1),
            ({"n": "about 5"}, 5, 1),
            ("it is True", True, 1),
            ("untrue", True, 0),
            (True, "True", 1),
            ([True], "True", 1),
            (True, "tru", 0),
            (None, 5, 0),
        ],
    )
    def test_words_in_a_text(self, output, expected, wanted):
        assert score("contains", output, expected) == wanted

    def test_strict_contains_is_a_comparison_of_texts(self):
        assert score("contains(strict=True)", "15", 5) == 1
        assert score("contains(strict=True)", True, "True") == 0

    def test_a_list_in_a_text(self):
        assert score("list_contains", ["a", 5], '["a", "5"]') == 1
        assert score("list_contains(strict=True)", ["a"], '["a"]') == 0

    def test_what_list_contains_says_of_it(self):
        assert result("list_contains", [5, "a"], ["a", "5"]).explanation == (
            "2 of 2 expected items among the 2 given; the same but for the type: "
            "the output is the number 5, the expected output the text '5'"
        )
        assert result("list_contains(strict=True)", [5, "a"], ["a", "5"]).explanation == (
            "1 of 2 expected items among the 2 given; missing: '5'; different only by the type, which strict=True "
            "tells apart: the output is the number 5, the expected output the text '5'"
        )
        # Each item serves once, whatever its type.
        assert score("list_contains", ["5"], ["5.0", 5]) == 0.5
        assert score("list_contains", ["5", 5], ["5.0", 5]) == 1

    def test_long_lists_are_quick_to_compare(self):
        numbers = list(range(20_000))
        assert score("list_contains", [str(n) for n in numbers], list(reversed(numbers))) == 1
        assert score("list_contains", ["5"] * 1000 + [5] * 1000, [5] * 1000 + ["5"] * 1000) == 1

    @pytest.mark.parametrize(
        ("output", "pattern", "wanted"),
        [(True, "^True$", 1), (True, "^true$", 1), (True, "^TRUE$", 0), (5.0, r"^\d+$", 1), (5.0, r"^5\.0$", 1)],
    )
    def test_regular_expressions(self, output, pattern, wanted):
        assert score({"name": "regex", "pattern": pattern}, output) == wanted

    @quick
    @given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
    def test_what_a_csv_file_makes_of_a_value_is_the_value(self, value):
        for text in {str(value), json.dumps(value)}:
            assert score("exact_match", value, text) == score("exact_match", text, value) == 1
            assert bucket_of(text) == bucket_of(value)
            if not isinstance(value, bool):
                assert score("numeric_closeness", text, value) == 1

    @quick
    @given(st.text(alphabet="0123456789.eE+-_x tTrue", max_size=8), st.integers(-20, 20) | st.floats(-20, 20))
    def test_a_text_says_what_json_reads(self, text, number):
        try:
            read = json.loads(text) if text == text.strip() else None
        except ValueError:
            read = None
        is_number = isinstance(read, int | float) and not isinstance(read, bool)
        assert (type_differences(text, number) is not None) == (is_number and read == number)


class TestContains:
    @pytest.mark.parametrize(
        ("evaluator", "output", "expected", "wanted"),
        [
            ("contains", "the answer is 42", "42", 1),
            ("contains", "the answer is 42", 42, 1),
            ("contains", "the answer is 42", {"answer": 42}, 1),
            ("contains", {"answer": "it is 42"}, {"answer": 42}, 1),
            ("contains", "the answer", "42", 0),
            ("contains", "Paris", "paris", 0),
            ("contains(ignore_case=True)", "Paris", "paris", 1),
            ("contains", "a and b", ["a", "b"], 1),
            ("contains", "a and c", ["a", "b"], 0),
            ("contains(match='any')", "a and c", ["a", "b"], 1),
            ("contains(match='any')", "c or d", ["a", "b"], 0),
            ("contains(text='x')", "xyz", None, 1),
            ("contains(text=['x', 'q'])", "xyz", None, 0),
            ("contains(text=['x', 'q'], match='any')", "xyz", None, 1),
            ("contains", None, "null", 0),
            ("contains", {"b": 1, "a": [2]}, '"a":[2]', 1),
        ],
    )
    def test_scores(self, evaluator, output, expected, wanted):
        verdict = result(evaluator, output, expected)
        assert (verdict.score, verdict.label) == (float(wanted), str(bool(wanted)))

    def test_it_says_what_is_missing(self):
        assert result("contains", "a", ["a", "b", "c"]).explanation == "missing: 'b', 'c'"
        assert result("contains", "", list("abcde")).explanation == "missing: 'a', 'b', 'c' and 2 more"

    def test_an_empty_list_is_no_expected_output(self):
        with pytest.raises(InvalidInput, match="no expected output"):
            result("contains", "a", [])


class TestRegex:
    @pytest.mark.parametrize(
        ("evaluator", "output", "wanted"),
        [
            (r"regex(pattern='^\d+$')", "123", 1),
            (r"regex(pattern='^\d+$')", 123, 1),
            (r"regex(pattern='\d', fullmatch=True)", "12", 0),
            (r"regex(pattern='\d')", "a1b", 1),
            (r"regex(pattern=r'\bb\b')", "a b", 1),
            (r"regex(pattern=r'(.)\1')", "abb", 1),
            (r"regex(pattern='\tb')", "a\tb", 1),
            ("regex(pattern='PARIS')", "paris", 0),
            ("regex(pattern='PARIS', flags='i')", "paris", 1),
            ("regex(pattern='a.b', flags='si')", "A\nB", 1),
            ({"name": "regex", "pattern": "^b", "flags": "m"}, "a\nb", 1),
            ("regex(pattern='x')", None, 0),
            ("""regex(pattern='"k":[0-9]')""", {"k": 5}, 1),
        ],
    )
    def test_scores(self, evaluator, output, wanted):
        assert score(evaluator, output) == wanted


class TestJson:
    @pytest.mark.parametrize(
        ("output", "wanted"),
        [
            ('{"a": 1}', 1),
            ("[1, 2", 0),
            ("NaN", 0),
            ("hello", 0),
            ('"hello"', 1),
            ("", 0),
            ({"a": 1}, 1),
            ([1], 1),
            (None, 1),
        ],
    )
    def test_validity(self, output, wanted):
        verdict = result("json_valid", output)
        assert verdict.score == wanted
        assert (verdict.explanation is None) == bool(wanted)

    @pytest.mark.parametrize(
        ("output", "wanted", "explanation"),
        [
            ({"a": 1}, 1, None),
            ('{"a": 1}', 1, None),
            ({"a": "x"}, 0, "$.a: 'x' is not of type 'integer'"),
            ({"a": 1, "b": ["x", 2]}, 0, "$.b[1]: 2 is not of type 'string'"),
            ({}, 0, "$: 'a' is a required property"),
            ("hello", 0, "not JSON: "),
            (None, 0, "$: None is not of type 'object'"),
        ],
    )
    def test_schema(self, output, wanted, explanation):
        verdict = result({"name": "json_schema", "schema": SCHEMA}, output)
        assert verdict.score == wanted
        assert (verdict.explanation or "").startswith(explanation or "")

    def test_schema_in_a_file_or_a_model(self, tmp_path):
        file = tmp_path / "answer.json"
        file.write_text(json.dumps(SCHEMA))
        evaluator = f"json_schema(schema={str(file)!r})"
        assert score(evaluator, {"a": 1}) == 1
        before = bind(evaluator).fingerprint
        file.write_text(json.dumps({**SCHEMA, "required": []}))
        assert bind(evaluator).fingerprint != before

        class Answer(BaseModel):
            a: int

        assert score(build("json_schema", {"schema": Answer}), {"a": "x"}) == 0

    def test_the_text_itself(self):
        assert score("json_schema(schema={'type': 'string', 'maxLength': 3}, parse=False)", "abc") == 1
        assert score("json_schema(schema={'type': 'string', 'maxLength': 3}, parse=false)", "abcd") == 0

    def test_many_errors_are_cut(self):
        verdict = result("json_schema(schema={'items': {'type': 'string'}})", [1, 2, 3, 4, 5])
        assert verdict.explanation.endswith("$[2]: 3 is not of type 'string'; and more")

    def test_the_draft_is_the_schema_s_own(self):
        draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
        assert score({"name": "json_schema", "schema": draft4}, 3) == 0
        with pytest.raises(InvalidEvaluator, match="not a JSON Schema"):
            bind({"name": "json_schema", "schema": {"maximum": 3, "exclusiveMaximum": True}})
        assert score("json_schema(schema=true)", 1) == 1
        own = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
        assert score({"name": "json_schema", "schema": own}, {"type": "objct"}) == 0

    def test_nothing_is_fetched(self, monkeypatch):
        monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("it went to the network"))
        with pytest.raises(Exception, match="Unresolvable"):
            result({"name": "json_schema", "schema": {"$ref": "http://127.0.0.1:9/schema.json"}}, 1)


class TestEditSimilarity:
    @pytest.mark.parametrize(
        ("output", "expected", "wanted"),
        [
            ("kitten", "sitting", 1 - 3 / 7),
            ("", "", 1),
            ("", "abc", 0),
            ("abc", "ABC", 0),
            (None, "abc", 0),
            (12, "12", 1),
            ({"a": "kitten"}, {"a": "sitting"}, 1 - 3 / 7),
            ("kitten", {"a": "sitting"}, 1 - 3 / 7),
            ({"b": 1, "a": 2}, {"a": 2, "b": 1}, 1),
        ],
    )
    def test_scores(self, output, expected, wanted):
        assert score("edit_similarity", output, expected) == pytest.approx(wanted)

    def test_ignore_case(self):
        assert score("edit_similarity(ignore_case=True)", "abc", "ABC") == 1


class TestNumericCloseness:
    @pytest.mark.parametrize(
        ("evaluator", "output", "expected", "wanted"),
        [
            ("numeric_closeness", 105, 100, 1 - 5 / 205),
            ("numeric_closeness", 100, 105, 1 - 5 / 205),
            ("numeric_closeness", "105", " 100 ", 1 - 5 / 205),
            ("numeric_closeness", "1,234,567.5", 1234567.5, 1),
            ("numeric_closeness", 0, 0, 1),
            ("numeric_closeness", 0, 5, 0),
            ("numeric_closeness", -5, 5, 0),
            ("numeric_closeness", 1e308, 1.7e308, 1 - 0.7 / 2.7),
            ("numeric_closeness", 5e-324, 1e-323, 1 - 1 / 3),
            ("numeric_closeness", 7, {"answer": "7"}, 1),
            ("numeric_closeness", {"answer": 7}, {"answer": "7"}, 1),
            ("numeric_closeness", "seven", 7, 0),
            ("numeric_closeness", "1,2", 12, 0),
            ("numeric_closeness", "nan", 7, 0),
            ("numeric_closeness", True, 1, 0),
            ("numeric_closeness", None, 1, 0),
            ("numeric_closeness", [1], 1, 0),
            ("numeric_closeness(tolerance=0.5)", 1.5, 1, 1),
            ("numeric_closeness(tolerance=0.5)", 2, 1, 1 - 1 / 3),
            ("numeric_closeness(relative_tolerance=0.1)", 95, 100, 1),
            ("numeric_closeness", "+007", 7, 1),
            ("numeric_closeness", "1_000", 1000, 0),
            ("numeric_closeness", 5, "5.0", 1),
            ("numeric_closeness(strict=True)", 5, 5.0, 1),
            ("numeric_closeness(strict=True)", "5", 5, 0),
        ],
    )
    def test_scores(self, evaluator, output, expected, wanted):
        assert score(evaluator, output, expected) == pytest.approx(wanted, rel=1e-12)

    def test_it_says_where_only_the_type_differs(self):
        assert result("numeric_closeness", "5", 5).explanation.startswith("the same but for the type: ")
        assert result("numeric_closeness(strict=True)", "5", 5).explanation.startswith("different only by the type")
        assert result("numeric_closeness(strict=True)", "6", 5).explanation == "the output is a text, not a number"
        assert result("numeric_closeness", "seven", 7).explanation == "the output is not a number"
        with pytest.raises(InvalidInput, match="not a number but a str and strict=True reads none"):
            result("numeric_closeness(strict=True)", 5, "5")

    def test_large_integers_are_told_apart(self):
        assert score("numeric_closeness", 2**53, 2**53 + 1) < 1
        assert score("numeric_closeness", str(2**53), 2**53 + 1) < 1
        assert score("numeric_closeness(tolerance=1)", 2**53, 2**53 + 1) == 1

    @pytest.mark.parametrize("expected", ["seven", [1], "inf", True])
    def test_an_expected_output_that_is_no_number_is_an_error(self, expected):
        with pytest.raises(InvalidInput, match="not a number"):
            result("numeric_closeness", 7, expected)


class TestListContains:
    @pytest.mark.parametrize(
        ("evaluator", "output", "expected", "wanted"),
        [
            ("list_contains", ["a", "b", "c"], ["a", "b"], 1),
            ("list_contains", ["b", "a"], ["a", "b"], 1),
            ("list_contains", ["a"], ["a", "b"], 0.5),
            ("list_contains", ["a"], ["a", "a"], 0.5),
            ("list_contains", [], ["a"], 0),
            ("list_contains", ["a"], [], 1),
            ("list_contains", [], [], 1),
            ("list_contains", '["a", "b"]', ["a"], 1),
            ("list_contains", "a", ["a"], 0),
            ("list_contains", {"a": 1}, ["a"], 0),
            ("list_contains", ["a"], "a", 1),
            ("list_contains", ["a"], {"items": ["a"]}, 1),
            ("list_contains", {"items": ["a"]}, {"items": ["a", "b"]}, 0.5),
            ("list_contains", [1.0, {"k": [True]}], [1, {"k": [True]}, 5], 2 / 3),
            ("list_contains", ["A"], ["a"], 0),
            ("list_contains(ignore_case=True)", ["A"], ["a"], 1),
            ("list_contains(allow_extra=False)", ["a", "b", "c", "d"], ["a", "b"], 0.5),
            ("list_contains(allow_extra=False)", [], [], 1),
            ("list_contains(allow_extra=False)", ["a"], [], 0),
            ("list_contains(threshold=0.6)", ["colour", "gray"], ["color", "grey"], 1),
            ("list_contains(threshold=0.9)", ["colour", "gray"], ["color", "grey"], 0),
            # Each item serves once, and a pair is given up where that lets more be paired.
            ("list_contains(threshold=0.75)", ["abcd"], ["abcx", "abcy"], 0.5),
            ("list_contains(threshold=0.5)", ["ab", "axyz"], ["ab", "abyz"], 1),
        ],
    )
    def test_scores(self, evaluator, output, expected, wanted):
        assert score(evaluator, output, expected) == pytest.approx(wanted)

    def test_it_says_what_is_missing(self):
        assert result("list_contains", ["a", "x"], ["a", "b"]).explanation == (
            "1 of 2 expected items among the 2 given; missing: 'b'"
        )

    @quick
    @given(st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(st.integers(0, n), unique=True), max_size=5)))
    def test_no_pairing_is_larger(self, candidates):
        def largest(rows, taken):
            if not rows:
                return 0
            with_it = [1 + largest(rows[1:], taken | {pair}) for pair in rows[0] if pair not in taken]
            return max([largest(rows[1:], taken), *with_it])

        pairs = largest_pairing(candidates)
        assert all(pair in candidates[row] for row, pair in pairs.items())
        assert len(set(pairs.values())) == len(pairs) == largest(candidates, frozenset())


scalars = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, min_size=2, max_size=3),
    max_leaves=6,
)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
lists = st.lists(st.text("abc", max_size=3) | st.integers(0, 3), max_size=6)


class TestProperties:
    @quick
    @given(values)
    def test_identity_gives_one(self, value):
        assert score("exact_match", value, value) == 1
        assert score("edit_similarity", value, value) == 1
        if value != []:
            assert score("contains", value, [value]) == 1

    @quick
    @given(numbers)
    def test_a_number_is_close_to_itself(self, number):
        assert score("numeric_closeness", number, number) == 1

    @quick
    @given(lists, st.sampled_from([1.0, 0.5]), st.booleans())
    def test_a_list_contains_itself_in_any_order(self, items, threshold, allow_extra):
        evaluator = f"list_contains(threshold={threshold}, allow_extra={allow_extra})"
        assert score(evaluator, items, list(reversed(items))) == 1

    @quick
    @given(values, values)
    def test_exact_match_is_symmetric(self, one, other):
        assert score("exact_match", one, other) == score("exact_match", other, one)

    @quick
    @given(values, values)
    def test_edit_similarity_is_symmetric_and_from_0_to_1(self, one, other):
        forth = score("edit_similarity", one, other)
        assert 0 <= forth <= 1
        assert forth == score("edit_similarity", other, one)

    @quick
    @given(numbers, numbers)
    def test_numeric_closeness_is_symmetric_and_from_0_to_1(self, one, other):
        forth = score("numeric_closeness", one, other)
        assert 0 <= forth <= 1
        assert math.isclose(forth, score("numeric_closeness", other, one), abs_tol=1e-12)

    @quick
    @given(st.lists(st.floats(0, 1e300), min_size=3, max_size=3), st.booleans())
    def test_the_nearer_number_never_scores_less(self, ordered, upwards):
        wanted, near, far = sorted(ordered, reverse=not upwards)
        assert score("numeric_closeness", near, wanted) >= score("numeric_closeness", far, wanted) - 1e-12

    @quick
    @given(lists, lists, st.sampled_from([1.0, 0.7, 0.3]))
    def test_list_contains_is_from_0_to_1(self, one, other, threshold):
        strict = f"list_contains(threshold={threshold}, allow_extra=False)"
        lenient = f"list_contains(threshold={threshold})"
        assert 0 <= score(strict, one, other) <= score(lenient, one, other) <= 1
        assert score(strict, one, other) == score(strict, other, one)

    @quick
    @given(st.text(max_size=8), st.text(max_size=3))
    def test_contains_is_python_s_in(self, output, expected):
        assert score("contains", output, expected) == float(expected in output)

    @quick
    @given(values)
    def test_json_validity_of_what_is_json(self, value):
        assert score("json_valid", json.dumps(value)) == 1

    @quick
    @given(st.text())
    def test_json_validity_agrees_with_the_standard_library(self, text):
        def refuse(constant):
            raise ValueError(constant)

        try:
            json.loads(text, parse_constant=refuse)
        except ValueError:
            assert score("json_valid", text) == 0
        else:
            assert score("json_valid", text) in (0, 1)  # orjson refuses lone surrogates as well


class TestOptions:
    @pytest.mark.parametrize(
        ("evaluator", "text"),
        [
            (
                "exactmatch",
                "unknown built-in evaluator 'exactmatch'; did you mean 'exact_match'.*Your own are found by 'package",
            ),
            ("exact_match(case=True)", "evaluator 'exact_match': unknown option 'case'"),
            ("regex", r"evaluator 'regex' needs pattern=, as in regex\(pattern=...\)"),
            ("regex(pattern='(')", "is no regular expression: missing \\)"),
            ("regex(pattern='\\bword\\b')", "holds a control character.*write r'...'"),
            ("regex(pattern=5)", "must be texts, got pattern=5"),
            ("regex(pattern='a', flags='iq')", "unknown flags 'q'; known are the letters "),
            ("regex(pattern='a{99999999999}')", "is no regular expression"),
            ("exact_match(strip='no')", "strip must be true or false, got 'no'"),
            ("contains(match='some')", "unknown match 'some'"),
            ("contains(text='')", "none of them empty"),
            ("contains(text=[])", "none of them empty"),
            ("contains(text=[1])", "text must be a text or a list of texts"),
            ("json_schema(schema='nowhere.json')", "schema file 'nowhere.json' cannot be read"),
            ("json_schema(schema={'type': 'objct'})", r"not a JSON Schema: at \$.type"),
            ("json_schema(schema=5)", "schema must be a JSON Schema or the path"),
            ("numeric_closeness(tolerance=-1)", "tolerance must be a number of at least 0, got -1"),
            ("numeric_closeness(tolerance='1')", "tolerance must be a number"),
            ("list_contains(threshold=0)", "threshold must be above 0 and at most 1, got 0"),
            ("list_contains(threshold=1.5)", "got 1.5"),
            ("list_contains(threshold=0.5, strict=True)", "strict compares JSON values, and threshold=0.5 texts"),
            ("exact_match(strict=1)", "strict must be true or false, got 1"),
            ("exact_match(True)", "Each value needs its option's name"),
            ("exact_match(**{})", "Each value needs its option's name"),
            ("regex(pattern=a+)", "cannot be read"),
            ("contains(text=Paris)", "The value of text is no literal: Paris; are its quotes missing"),
            ("contains(text=__import__('os').system('true'))", "is no literal"),
            ("regex(pattern='a'", "neither a built-in nor a reference"),
            ("regex(pattern='a') or regex(pattern='b')", "cannot be read"),
        ],
    )
    def test_refusals(self, evaluator, text):
        with pytest.raises(InvalidEvaluator, match=text):
            resolve_evaluators(evaluator)

    def test_schema_files_that_hold_no_schema(self, tmp_path):
        for content, text in (
            ("{", "is not JSON: line 1"),
            ('{"type": "object", "type": "array"}', "has the key 'type' twice"),
            ("[1]", "holds a list, not a JSON Schema"),
        ):
            (tmp_path / "s.json").write_text(content)
            with pytest.raises(InvalidEvaluator, match=text):
                bind({"name": "json_schema", "schema": str(tmp_path / "s.json")})

    @quick
    @given(st.text())
    def test_any_text_is_read_or_refused(self, text):
        with contextlib.suppress(InvalidEvaluator):
            name, options = parse_spec(f"regex(pattern={text})")
            assert name == "regex"
            assert "pattern" in options

    @quick
    @given(
        st.fixed_dictionaries(
            {"text": st.text(min_size=1) | st.lists(st.text(min_size=1), min_size=1)},
            optional={"match": st.sampled_from(["all", "any"]), "ignore_case": st.booleans()},
        )
    )
    def test_a_reference_finds_the_same_evaluator_again(self, options):
        bound = bind({"name": "contains", **options})
        again = bind(bound.reference)
        assert again.fingerprint == bound.fingerprint

    def test_fingerprints_follow_the_options_and_nothing_else(self):
        deep = {"properties": {"a": {"properties": {"b": {"properties": {"c": {"type": "string"}}}}}}}
        deeper = json.loads(json.dumps(deep).replace("string", "number"))
        evaluators = [
            "exact_match",
            "exact_match(strip=True)",
            "regex(pattern='a')",
            "regex(pattern='b')",
            "regex(pattern='a', flags='i')",
            {"name": "json_schema", "schema": deep},
            {"name": "json_schema", "schema": deeper},
        ]
        fingerprints = [bind(evaluator).fingerprint for evaluator in evaluators]
        assert len(set(fingerprints)) == len(evaluators)
        assert bind({"mine": "regex(pattern='a')"}).fingerprint == fingerprints[2]
        assert bind("regex(pattern='a', name='mine')").fingerprint == fingerprints[2]
