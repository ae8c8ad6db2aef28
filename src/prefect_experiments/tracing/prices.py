"""What calls of models cost: prices of the user's own, else those of the `genai-prices` package, which asks no network.

A price is looked up by the model's name as the span has it, at the provider that the span names, then at whoever has
a model of that name. What no table knows has no price: nothing is guessed.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field

from prefect_experiments.configuration import Unreadable, parse_json, parse_yaml, read
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import Options
from prefect_experiments.settings import Settings

_SETTING = "PREFECT_EXPERIMENTS_PRICES"
_SHAPE = '{"my-model": {"input": 0.5, "output": 2.0}}, in US dollars for a million tokens'
_MILLION = 1_000_000

# OpenInference's words for providers, where the table's lookup does not know them.
_PROVIDERS = {"moonshot": "moonshotai", "mistralai": "mistral", "xai": "x-ai", "vertexai": "google"}


class Tokens(NamedTuple):
    """What one call of a model has used. Cached and audio tokens are among the input's or the output's."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    input_audio: int = 0
    output_audio: int = 0


class Price(Options):
    """What a model costs, in US dollars for a million tokens."""

    input: Annotated[float, Field(ge=0)]
    """of the prompt."""
    output: Annotated[float, Field(ge=0)] = 0.0
    """of the answer, reasoning included."""
    cached_input: Annotated[float | None, Field(ge=0)] = None
    """of what the provider had in its cache; by default as other input."""

    def cost(self, tokens: Tokens) -> float:
        """What a call has cost."""
        cached = self.input if self.cached_input is None else self.cached_input
        read = min(tokens.cache_read, tokens.input)
        return ((tokens.input - read) * self.input + read * cached + tokens.output * self.output) / _MILLION


class Prices:
    """Where prices are looked up.

    Args:
        own: the user's, by the model's name; they come first.
    """

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self.own = dict(own or {})

    @classmethod
    def of_settings(cls) -> Self:
        """With the prices that the settings give.

        Raises:
            InvalidSetting: they cannot be read.
        """
        text = Settings().prices
        return cls(None if text is None or not text.strip() else _own_prices(text))

    @property
    def any_known(self) -> bool:
        """Whether there is any price: of the user's own, or a table."""
        return bool(self.own) or has_table()

    def cost(self, model: str, providers: Sequence[str | None], tokens: Tokens) -> float | None:
        """What a call has cost, in US dollars; ``None`` where the model's price is not known.

        Args:
            model: as the provider or the caller names it.
            providers: who may have answered, the likeliest first; ``None`` for whoever has such a model.
            tokens: what it has used.
        """
        if (own := self.own.get(model)) is not None:
            return own.cost(tokens)
        return _of_table(model, providers, tokens) if has_table() else None


@functools.cache
def has_table() -> bool:
    """Whether the table of prices is installed."""
    return importlib.util.find_spec("genai_prices") is not None


def _of_table(model: str, providers: Sequence[str | None], tokens: Tokens) -> float | None:
    import genai_prices  # an extra, and it takes its time

    names = [(provider and _PROVIDERS.get(provider, provider), model) for provider in dict.fromkeys(providers)]
    prefix, slash, rest = model.partition("/")
    if slash:  # as LiteLLM writes it: "anthropic/claude-..."
        names += [(_PROVIDERS.get(prefix, prefix), rest), (None, rest)]
    usage = genai_prices.Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read or None,
        cache_write_tokens=tokens.cache_write or None,
        input_audio_tokens=tokens.input_audio or None,
        output_audio_tokens=tokens.output_audio or None,
    )
    for provider, name in names:
        try:
            return float(genai_prices.calc_price(usage, name, provider_id=provider).total_price)
        except (LookupError, ValueError):  # no such model there; or figures that do not add up
            continue
    return None


def _own_prices(text: str) -> dict[str, Price]:
    """The prices in a setting: JSON, or the path of a JSON or YAML file."""
    shown = "its text"
    try:
        if text.lstrip().startswith("{"):
            found = parse_json(text)
        else:
            shown = f"the file {text!r}"
            content = read(Path(text).expanduser())
            found = parse_json(content) if text.endswith(".json") else parse_yaml(content)
    except Unreadable as error:
        raise InvalidSetting(f"{_SETTING}: {shown} {error}. It is such as {_SHAPE}") from None
    if not isinstance(found, Mapping):
        raise InvalidSetting(f"{_SETTING}: {shown} must be an object such as {_SHAPE}")
    return {str(model): _price(str(model), given) for model, given in found.items()}


def _price(model: str, given: Any) -> Price:
    if not isinstance(given, Mapping):
        raise InvalidSetting(f"{_SETTING}: the price of {model!r} must be such as {_SHAPE}; got {given!r:.80}")
    try:
        return Price(**{str(name): value for name, value in given.items()})
    except InvalidSetting as error:
        raise InvalidSetting(f"{_SETTING}: the price of {model!r}: {error}. It is such as {_SHAPE}") from None
