"""Texts that others made, such as an error's, without what is secret: keys and tokens of the environment, passwords."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote

# What holds a secret in the environment, of whatever backend or service, by its name. Headers are name=value pairs.
_SECRET_NAMES = ("_API_KEY", "_AUTH_STRING", "_TOKEN", "_SECRET", "_SECRET_ACCESS_KEY", "PASSWORD")
_HEADER_NAMES = ("_CLIENT_HEADERS",)
# In an address. A password may hold an @ or a slash that should have been quoted; a port is none.
_PASSWORD = re.compile(r"""(?<=://)([^\s/:@"'<>]*):(?!\d+[/?#\s])[^\s"'<>]+@""")
_HTTP_TOKEN = re.compile(r"""(https?://)[^\s/:@"'<>]+@""")  # as a user's name, with no password
# Behind the first @, if there is one at all, all can be a host, a port, a database and options.
_ADDRESS = re.compile(
    r"""(?P<scheme>[\w+]+)://
        (?:(?P<user>[^:/@]*)(?::(?P<password>.*?))?@)??
        (?P<place>(?:\[[^\]/?@]+\]|[^:/?@\[\]]*)(?::\d*)?(?:/[^?@]*)?)
        (?:\?(?P<options>(?:[\w.-]+=[^&]*(?:&|$))*))?""",
    re.VERBOSE | re.DOTALL,
)
# Shorter texts may well be ordinary words: in what is kept for good, and in what is only shown.
_SHORTEST_IN_ERRORS, _SHORTEST = 8, 6


class Address(NamedTuple):
    """A server's URL in its parts, each as it is written: quoted, or not where it should have been.

    Attributes:
        place: host, port and path.
        options: what follows the question mark.
    """

    scheme: str
    user: str | None
    password: str | None
    place: str
    options: str | None


def split_address(url: str) -> Address | None:
    """The parts of a URL; ``None`` where it is none. A password may hold any character, also an ``@``."""
    found = _ADDRESS.fullmatch(url)
    return None if found is None else Address(**found.groupdict())


def without_secrets(text: str) -> str:
    """A text that is to be shown, without the environment's secrets, and without passwords in addresses."""
    return _PASSWORD.sub(r"\1:***@", _HTTP_TOKEN.sub(r"\1***@", without_secret_values(text, _SHORTEST)))


def without_secret_values(text: str, shortest: int = _SHORTEST_IN_ERRORS) -> str:
    """A text without the values that the environment has of keys, tokens and passwords, from a length on."""
    for secret in _secrets(shortest):
        if secret in text:
            # Of letters alone it may be a word, as "postgres" is, and part of others.
            text = re.sub(rf"\b{secret}\b", "***", text) if secret.isalpha() else text.replace(secret, "***")
    return text


def _secrets(shortest: int) -> list[str]:
    """The longest first."""
    found = [value.strip() for name, value in os.environ.items() if name.upper().endswith(_SECRET_NAMES)]
    headers = [value for name, value in os.environ.items() if name.endswith(_HEADER_NAMES)]
    for pair in ",".join(headers).split(","):
        value = unquote(pair.partition("=")[2]).strip()
        found += [value, value.removeprefix("Bearer ")]
    found += [quote(value, safe="") for value in found]
    store = split_address(os.environ.get("PREFECT_EXPERIMENTS_STORE_URL", ""))
    if store is not None and store.password:
        found += [store.password, unquote(store.password)]
    return sorted({text for text in found if len(text) >= shortest}, key=len, reverse=True)
