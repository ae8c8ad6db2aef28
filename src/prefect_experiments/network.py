"""How other machines are reached: whose certificates are trusted, which one is shown, over which proxy.

Results and traces go by the same rules, and these are they:

- **Authorities.** Those that ``verify=`` names, and no others. Else all that the environment names, in the variables
  of any of the usual libraries: a bundle that only one of them knows is trusted here as well. Else those of `certifi`.
  What OpenTelemetry's variables name is trusted beside these: they say what one collector needs, not what others have.
- **Certificate of this side.** ``client_cert=`` with ``client_key=``, else OpenTelemetry's variables.
- **Proxy.** ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` by the address's scheme, but for the hosts, domains,
  networks (``10.0.0.0/8``) and ``host:port`` of ``NO_PROXY``.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import ipaddress
import math
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx

from prefect_experiments.errors import InvalidSetting

AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
FURTHER_AUTHORITIES = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
CLIENT_CERTIFICATES = ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
CLIENT_KEYS = ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY")

PROXY_HELP = "is what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY says right?"
# What OpenSSL and nginx say, and what is the matter then; the first that fits. What is cut off may pass.
_TLS_FAULTS = (
    (
        (
            "CERTIFICATE_REQUIRED",
            "BAD_CERTIFICATE",
            "ALERT_UNKNOWN_CA",
            "required SSL certificate",
            "SSL certificate e",
        ),
        "it wants a certificate of this side that it knows (mutual TLS); set client_cert= and client_key=",
    ),
    (("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"), "it does not speak TLS; is it http://?"),
    (("HTTP request was sent to HTTPS port",), "it speaks TLS; is it https://?"),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "its certificate is not trusted; set SSL_CERT_FILE or verify= to the file with its authority's",
    ),
)

_DEEPEST = 10  # errors below one another

_Named = tuple[str, str]  # what says it, for messages, and a path


@dataclass(frozen=True, slots=True)
class Way:
    """How one address is reached.

    Attributes:
        arguments: of `httpx.Client` and `httpx.AsyncClient`.
        proxy: the one that is taken, without its password; the empty text for none.
    """

    arguments: Mapping[str, Any] = field(repr=False)
    proxy: str = ""

    @property
    def over(self) -> str:
        """The proxy in a few words, for messages."""
        return f" over the proxy {self.proxy}" if self.proxy else ""


def way_to(
    url: str,
    *,
    verify: bool | str | None = None,
    verified_by: str = "verify=",
    client_cert: str | None = None,
    client_key: str | None = None,
    proxy: str | None = None,
) -> Way:
    """The way to an address.

    Args:
        url: the address.
        verify: False: any certificate will do; a path: only the authorities in that file or folder are trusted.
        verified_by: what has said so, for messages.
        client_cert: file with the certificate that is shown to the server, and the key, where no other file has it.
        client_key: file with its key.
        proxy: the one to take, whatever the environment says.

    Raises:
        InvalidSetting: a file that cannot be used, or a proxy that is none.
    """
    trusted = ((verified_by, verify),) if isinstance(verify, str) else _authorities()
    shown = (("client_cert=", client_cert),) if client_cert else _first(CLIENT_CERTIFICATES)
    key = (("client_key=", client_key),) if client_key else () if client_cert else _first(CLIENT_KEYS)
    context = _context(None if verify is False else trusted, shown, key)
    found = proxy or proxy_for(url)
    arguments = {"verify": context, "proxy": found and _proxy(found, context), "trust_env": False}
    return Way(MappingProxyType(arguments), origin(found) if found else "")


def _authorities() -> tuple[_Named, ...]:
    """All that are named; of the folders of ``SSL_CERT_DIR``, as of those of a ``PATH``, each."""
    usual: list[_Named] = []
    for name in AUTHORITIES:
        paths = os.environ.get(name, "").strip()
        each = paths.split(os.pathsep) if name.endswith("_DIR") else [paths]
        usual += [(name, path) for path in each if path]
    return (*(usual or [("certifi", certifi.where())]), *_first(FURTHER_AUTHORITIES))


def _first(names: tuple[str, ...]) -> tuple[_Named, ...]:
    return next((((name, path),) for name in names if (path := os.environ.get(name, "").strip())), ())


@functools.lru_cache(maxsize=32)  # reading the authorities takes longer than a request
def _context(trusted: tuple[_Named, ...] | None, shown: tuple[_Named, ...], key: tuple[_Named, ...]) -> ssl.SSLContext:
    if trusted is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(trusted)
    for name, path in shown:
        try:
            context.load_cert_chain(path, key[0][1] if key else None, password=lambda: "")  # else OpenSSL would ask
        except (OSError, ssl.SSLError) as error:
            names = f"{name} and {key[0][0]}" if key else name
            raise InvalidSetting(
                f"{names}: no certificate with its key, unencrypted and as PEM, can be read from "
                f"{path!r:.200}{f' and {key[0][1]!r:.200}' if key else ''} ({_reason(error)})"
            ) from None
    return context


def _trusting(trusted: tuple[_Named, ...]) -> ssl.SSLContext:
    context: ssl.SSLContext | None = None
    for name, path in trusted:
        file, folder = (None, path) if Path(path).is_dir() else (path, None)
        try:
            if context is None:
                context = ssl.create_default_context(cafile=file, capath=folder)
            else:
                context.load_verify_locations(file, folder)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSetting(f"{name}: no certificates can be read from {path!r:.200} ({_reason(error)})") from None
    assert context is not None
    return context


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment has for an address."""
    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or not parts.hostname or _is_direct(parts.hostname, parts.netloc, proxies.get("no", "")):
        return None
    return found if "://" in found else f"http://{found}"


def _is_direct(host: str, place: str, exceptions: str) -> bool:
    """Whether no proxy is to be taken: the standard library knows names and ``*``, and this networks as well."""
    if proxy_bypass(place.rpartition("@")[2]):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for each in exceptions.split(","):
        with contextlib.suppress(ValueError):
            if address in ipaddress.ip_network(each.strip().strip("[]"), strict=False):
                return True
    return False


def _proxy(url: str, context: ssl.SSLContext) -> httpx.Proxy:
    try:
        made = httpx.Proxy(url, ssl_context=context if urlsplit(url).scheme == "https" else None)
        httpx.HTTPTransport(proxy=made, verify=context).close()
    except ImportError:
        raise InvalidSetting(
            f"the proxy {origin(url)} speaks SOCKS, for which there is no library here: pip install 'httpx[socks]'"
        ) from None
    except (ValueError, OSError, httpx.InvalidURL):  # the texts may hold the password
        raise InvalidSetting(
            f"the proxy {origin(url)!r:.100} cannot be used: it must be a URL such as http://proxy.example.com:3128; "
            f"{PROXY_HELP}"
        ) from None
    return made


def tls_fault(error: BaseException | str) -> str:
    """What is wrong with a TLS connection, by its error or a page about it; the empty text where that is none."""
    texts = [error] if isinstance(error, str) else []
    seen = None if isinstance(error, str) else error
    while seen is not None and len(texts) < _DEEPEST:
        texts.append(" ".join(str(seen).split()))
        seen = seen.__cause__ or seen.__context__
    for signs, fault in _TLS_FAULTS:
        if said := next((sign for text in texts for sign in signs if sign in text), ""):
            return f"{fault} ({said})"
    return ""


def is_no_http(error: Exception) -> bool:
    """Whether what has answered speaks something else: HTTP/2 from the first byte on, as gRPC does, or TLS."""
    return isinstance(error, httpx.RemoteProtocolError) and "illegal" in str(error)


def origin(url: str) -> str:
    """Where a URL leads, without what else is in it: user, password, and the secrets that logins put there."""
    try:
        parts = urlsplit(url)
        place, path = parts.netloc.rpartition("@")[2], parts.path
    except ValueError:
        return "?"
    return f"{parts.scheme}://{place}" if place else path.rpartition("@")[2]


def retry_after(text: str) -> float | None:
    """Seconds from a ``Retry-After``, which is a number or a date; ``None`` where it says nothing."""
    with contextlib.suppress(ValueError):
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
