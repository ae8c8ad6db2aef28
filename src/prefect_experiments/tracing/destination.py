"""Where spans are sent to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.network import Way, way_to


@dataclass(frozen=True, slots=True)
class TraceExport:
    """A collector that speaks OTLP over HTTP. Its ``repr`` holds no secret.

    Attributes:
        endpoint: the full address, such as ``http://host:6006/v1/traces``.
        headers: sent with every request, the secret among them. Nothing else is: what
            ``OTEL_EXPORTER_OTLP_HEADERS`` holds is meant for another collector.
        way: how it is reached; by default as the environment says.

    Raises:
        InvalidSetting: the endpoint is no http or https address, or a header cannot be sent.
    """

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict)
    way: Way | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidSetting(
                f"traces need an address such as 'http://localhost:6006/v1/traces', got {self.shown!r:.200}"
            )
        for name, value in self.headers.items():
            if not _can_be_sent(name) or not _can_be_sent(value):
                # The value is not shown: it may be a key with a line break at its end.
                raise InvalidSetting(f"the header {name!r:.50} for traces cannot be sent: use plain text in one line")

    @property
    def shown(self) -> str:
        """The endpoint without what may be secret in it: user, password, query."""
        parts = urlsplit(self.endpoint)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rpartition("@")[2]

    def way_there(self) -> Way:
        """How it is reached.

        Raises:
            InvalidSetting: what the environment says of that cannot be used.
        """
        return self.way or way_to(self.endpoint)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for exports that may share a queue and a connection."""
        way = self.way and tuple(map(id, self.way.arguments.values()))
        return (self.endpoint, way, *sorted((name.lower(), value) for name, value in self.headers.items()))

    def __repr__(self) -> str:
        return f"TraceExport({self.shown!r}, headers: {', '.join(self.headers) or 'none'})"


def _can_be_sent(text: str) -> bool:
    return isinstance(text, str) and text == text.strip() and text.isprintable() and text.isascii()
