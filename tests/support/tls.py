"""An authority of its own, servers whose certificates it has signed, and a proxy: what a company's network is made of.

authority = Authority(folder)
with TlsFront(authority, upstream_port) as front:    # https://localhost:<front.port>
    ...
with ForwardProxy() as proxy:                          # HTTPS_PROXY=proxy.url
    ...
    assert proxy.asked == ["CONNECT localhost:1234"]
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates. Everything is a PEM file in its folder.

    Attributes:
        file: its own certificate.
        folder: a folder with that, by its hash, as ``openssl rehash`` makes it.
    """

    def __init__(self, folder: Path, name: str = "A Company's Authority") -> None:
        self._where = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / "authority.pem"
        self.folder = folder / "authorities"
        self._write(self.file, self._signed(self._name, self._key, is_authority=True))
        self.folder.mkdir()
        asked = ["openssl", "x509", "-noout", "-hash", "-in", str(self.file)]
        hashed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / f"{hashed}.0").write_bytes(self.file.read_bytes())

    def certificate(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made, its_key = self._where / f"{name}.pem", self._where / f"{name}.key"
        self._write(made, self._signed(subject, key))
        its_key.write_bytes(_private(key))
        return made, its_key

    def _signed(self, subject: x509.Name, key: Any, *, is_authority: bool = False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        made = made.not_valid_after(now + datetime.timedelta(days=2))
        made = made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _private(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


class Listener:
    """Accepts connections, each in a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class TlsFront(Listener):
    """TLS before a plain server of this machine.

    Args:
        authority: signs its certificate.
        upstream: the port of the server behind it.
        asks_for_certificate: whether only those are let in who show a certificate of the authority.
    """

    def __init__(self, authority: Authority, upstream: int, *, asks_for_certificate: bool = False) -> None:
        super().__init__()
        self._upstream = upstream
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.certificate("server"))
        if asks_for_certificate:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(authority.file)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secret:
            try:
                secret.do_handshake()
            except ssl.SSLError:
                _drain(secret)
                return
            behind = socket.create_connection(("127.0.0.1", self._upstream))
            _relay(secret, behind)


class ForwardProxy(Listener):
    """What ``HTTP_PROXY`` and ``HTTPS_PROXY`` name: tunnels by CONNECT, and passes plain requests on.

    Args:
        login: ``user:password`` that it asks for.

    Attributes:
        asked: method and target of each request or tunnel.
    """

    def __init__(self, login: str = "") -> None:
        super().__init__()
        self._login = f"basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536) or _end()
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.decode().split(" ", 2)
        self.asked.append(f"{method} {target}")
        if self._login and f"proxy-authorization: {self._login}".lower() not in head.decode("latin-1").lower():
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            behind = socket.create_connection((host, int(port)))
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            place = urlsplit(target)
            behind = socket.create_connection((place.hostname or "", place.port or 80))
            path = f"{place.path or '/'}{f'?{place.query}' if place.query else ''}"
            behind.sendall(f"{method} {path} HTTP/1.1\r\nconnection: close\r\n".encode() + rest)
        _relay(connection, behind)


def _drain(secret: ssl.SSLSocket) -> None:
    """Read until the other side has gone: else what it was told may be lost with the connection."""
    with socket.socket(fileno=secret.detach()) as plain:
        plain.settimeout(0.5)
        while plain.recv(65536):
            pass


def _end() -> bytes:
    raise OSError("the other side has gone")


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes, in both directions, until both have ended."""
    back = threading.Thread(target=_pump, args=(other.recv, one), daemon=True)
    back.start()
    _pump(one.recv, other)
    back.join(30)
    other.close()


def _pump(receive: Callable[[int], bytes], to: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := receive(65536):
            to.sendall(data)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)
