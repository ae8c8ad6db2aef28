"""The rules that turn a comparison into a verdict, and their YAML and JSON form."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from prefect_experiments import configuration
from prefect_experiments.analysis.verdicts import Comparison, Direction, Verdict
from prefect_experiments.errors import InvalidSetting, from_here, unknown_value
from prefect_experiments.models import _Record

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

OnInconclusive = Literal["fail", "pass"]

_SUFFIXES = (".yaml", ".yml", ".json")
_SHOWN = 60
_SHORTENED = reprlib.Repr()  # YAML's anchors make long values of small texts
_SHORTENED.maxstring = _SHORTENED.maxother = 2 * _SHOWN
_JUDGED: tuple[Direction, ...] = ("maximize", "minimize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(_Record):
    """What a gate asks of one metric.

    Attributes:
        min: the worst mean that the candidate may have, over all its examples: with
            ``direction="minimize"`` the highest one.
        max_regression: how much worse than the baseline the candidate may be, in the metric's own
            unit, at least 0. With it the gate passes only what is shown to be no worse than that:
            the whole confidence interval has to lie on the good side of it (a non-inferiority
            test). Without it the gate fails only what is shown to be worse.
        direction: ``"minimize"`` where less is better, ``"maximize"`` where more is. Without it, what the
            metric's evaluations say counts, as phoenix-evals' do, else more is better.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    min: float | None = None
    max_regression: float | None = None
    direction: Direction | None = None

    def __post_init__(self) -> None:
        _check_number("Metric.min", self.min)
        _check_number("Metric.max_regression", self.max_regression, least=0.0)
        if self.direction not in (None, *_JUDGED):
            raise InvalidSetting(unknown_value("Metric.direction", self.direction, list(_JUDGED)))

    def settled(self, said: Direction | None) -> Metric:
        """The same with a direction: its own, else the one that was said, else that more is better."""
        direction = self.direction or (said if said in _JUDGED else "maximize")
        return self if direction == self.direction else replace(self, direction=direction)

    @classmethod
    def parse(cls, value: Any, name: str = "") -> Metric:
        """A `Metric` from a mapping of its attributes, or nothing.

        Args:
            value: a `Metric`, a mapping, or ``None`` for one without bounds.
            name: the metric's, for messages.

        Raises:
            InvalidSetting: an unknown key, or a value that cannot be used.
        """
        if isinstance(value, Metric):
            return value
        if value is None:
            return cls()
        where = f"metric {name!r} of the gate" if name else "a metric of the gate"
        if not isinstance(value, Mapping):
            raise InvalidSetting(f"{where} must be a mapping such as {{min: 0.8}}, got {_shown(value)}")
        return cls(**_known_keys(cls, value, where))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(_Record):
    """The rules that turn a comparison into a verdict; the verdict is the worst of them.

    For each metric, where ``worse`` is what the paired test says at ``1 - confidence``,
    Holm-corrected over the gate's metrics:

    - without `Metric.max_regression`: failed when it is worse, else passed;
    - with it: passed when the whole interval lies within the allowed regression, else failed when
      it is worse, else inconclusive, with how many examples would be needed to tell;
    - with `Metric.min`: failed when the candidate's mean does not reach it.

    The gate asks of each metric only whether it is worse, so the test is one-sided; a single
    metric has to be worse by the two-sided test as well, so that its interval agrees. An equal
    candidate fails in at most ``1 - confidence`` of all comparisons. (The verdicts in
    `Comparison.metrics` ask two questions, better or worse, of all metrics of all candidates; so
    they may say ``unchanged`` of what the gate has found worse.)

    It fails closed. Failed are: a metric that one side lacks, no scores, no shared metric or
    example, too few scores (`min_coverage`), most runs or scores lost to errors, and a candidate
    that is worse when the scores that it lacks, and those that the baseline lacks, are counted as
    the worst score (see `WorstCase`), or whose task fails on significantly more examples. These
    last tests are one-sided at ``(1 - confidence) / 2``, Holm-corrected among themselves.

    Attributes:
        metrics: by name. Empty: every metric that both sides have, as ``Metric()``, but those of which neither
            more nor less is better.
        max_error_rate: the largest share of runs whose task may fail, from 0 to 1. Without it, half
            of them; the comparison with the baseline's failures is made either way.
        min_coverage: the smallest share, from 0 to 1, of the examples that the baseline scored
            and the candidate should have run on which the candidate has a score; also of the
            runs that should have been made. Without it 0.9, and every missing score counts as the
            worst one. With it, only scores that are missing because of an error do. Without a
            baseline, all examples should have a score.
        max_p95_latency: in milliseconds, over the ok runs.
        max_cost: in US dollars, of the whole experiment, failed runs included.
        confidence: of intervals and tests, above 0.5 and below 1.
        on_inconclusive: whether an inconclusive verdict lets the candidate through (exit code 0).

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    metrics: Mapping[str, Metric | Mapping[str, Any] | None] = field(default_factory=dict)
    max_error_rate: float | None = None
    min_coverage: float | None = None
    max_p95_latency: float | None = None
    max_cost: float | None = None
    confidence: float = 0.95
    on_inconclusive: OnInconclusive = "fail"

    def __post_init__(self) -> None:
        metrics = {} if self.metrics is None else self.metrics
        if not isinstance(metrics, Mapping):
            raise InvalidSetting(f"Gate.metrics must be a mapping of name to Metric, got {_shown(metrics)}")
        for name in metrics:
            if not isinstance(name, str) or not name:
                raise InvalidSetting(f"Gate.metrics: a metric's name must be a text, got {name!r}")
        object.__setattr__(self, "metrics", {name: Metric.parse(rule, name) for name, rule in metrics.items()})
        _check_number("Gate.max_error_rate", self.max_error_rate, least=0.0, most=1.0)
        _check_number("Gate.min_coverage", self.min_coverage, least=0.0, most=1.0)
        _check_number("Gate.max_p95_latency", self.max_p95_latency, least=0.0)
        _check_number("Gate.max_cost", self.max_cost, least=0.0)
        _check_number("Gate.confidence", self.confidence)
        if self.confidence is None or not 0.5 < self.confidence < 1:
            raise InvalidSetting(
                f"Gate.confidence must be above 0.5 and below 1, such as 0.95; got {self.confidence!r}"
            )
        if self.on_inconclusive not in get_args(OnInconclusive):
            problem = unknown_value("Gate.on_inconclusive", self.on_inconclusive, list(get_args(OnInconclusive)))
            raise InvalidSetting(problem)

    @property
    def rules(self) -> dict[str, Metric]:
        """`metrics`, each of them a `Metric`."""
        return cast("dict[str, Metric]", self.metrics)

    @classmethod
    def parse(cls, value: Any) -> Gate:
        """A `Gate` from what a deployment or a command line gives.

        Args:
            value: a `Gate`; a mapping of its attributes; the path of a ``.yaml``, ``.yml`` or
                ``.json`` file of them; or such YAML or JSON as text.

        Raises:
            InvalidSetting: no such file, not YAML or JSON, an unknown key, or a value that cannot be used.
        """
        if isinstance(value, Gate):
            return value
        origin = "the gate"
        if isinstance(value, Path) or (isinstance(value, str) and _is_path(value)):
            origin = f"the gate {value}"
            value = _read(Path(value))
        elif isinstance(value, str):
            value = _load(value, origin, is_json=value.lstrip().startswith("{"))
        if not isinstance(value, Mapping):
            raise InvalidSetting(
                f"{origin} must be a mapping such as {{metrics: {{correctness: {{min: 0.8}}}}}}, "
                f"or the path of a .yaml or .json file with one; got {_shown(value)}"
            )
        return cls(**_known_keys(cls, value, origin))

    def judge(self, comparison: Comparison) -> Verdict:
        """The verdict on a candidate beside its baseline.

        Args:
            comparison: made with this gate's confidence and directions, as `compare_results` does
                when it is given the gate.

        Raises:
            InvalidSetting: the comparison was made with another confidence, or with another
                direction of one of the gate's metrics.
        """
        from prefect_experiments.analysis.gate.judging import judge

        return judge(self, comparison)

    def judge_alone(
        self,
        candidate: ResultTable,
        experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]] | None = None,
    ) -> Verdict:
        """The verdict on a first run, which has no baseline.

        Checks `Metric.min`, error rate, coverage, latency and cost; one of the reasons says that
        there was no baseline.

        Args:
            candidate: its results.
            experiment_evaluators: functions over the whole table of runs, by the metric's name.

        Raises:
            InvalidEvaluator: an experiment evaluator raised, or returned something else than a number.
        """
        from prefect_experiments.analysis.gate.judging import judge_alone

        return judge_alone(self, candidate, experiment_evaluators or {})


def _known_keys(cls: type[Metric | Gate], value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    known = [f.name for f in fields(cls)]
    for key in value:
        if key not in known:
            raise InvalidSetting(f"{where}: {unknown_value('key', key, known)}")
    return dict(value)


def _check_number(name: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidSetting(f"{name} must be a finite number, got {_shown(value)}")
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise InvalidSetting(f"{name} must be {bounds}, got {value!r}")


def _is_path(text: str) -> bool:
    return "\n" not in text and Path(text.strip()).suffix.lower() in _SUFFIXES


def _read(path: Path) -> Any:
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidSetting(f"the gate {path}: {unknown_value('file suffix', path.suffix, list(_SUFFIXES))}")
    try:
        text = configuration.read(path)
    except configuration.Unreadable as error:
        raise InvalidSetting(f"the gate {path} {error} {from_here()}") from None
    return _load(text, f"the gate {path}", is_json=path.suffix.lower() == ".json")


def _load(text: str, origin: str, *, is_json: bool) -> Any:
    try:
        return configuration.parse_json(text) if is_json else configuration.parse_yaml(text)
    except configuration.Unreadable as error:
        raise InvalidSetting(f"{origin} {error}") from None


def _shown(value: Any) -> str:
    text = _SHORTENED.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
