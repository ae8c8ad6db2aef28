"""A real browser, driven through its debugging port: Debian's Chromium, headless.

    with Browser() as browser, browser.page(file) as page:
        page.evaluate("document.title")

Speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/), as much of it as
the tests need.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from support.patience import PATIENCE_S
from support.servers import STOPS_WITHIN_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """The browser's process, as a context manager; ends with it, and its profile with it."""

    def __enter__(self) -> Browser:
        assert CHROMIUM, "no chromium is installed"
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        self._process = subprocess.Popen(
            [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={self._profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._connection = connect(self._address(), max_size=None, compression=None)
        self._numbers = itertools.count(1)  # of messages: all pages share the connection
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def _address(self) -> str:
        """Chromium writes down the port it was given, and the path to talk to."""
        written = Path(self._profile.name) / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                lines = written.read_text().splitlines()
                if len(lines) == 2:
                    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            assert self._process.poll() is None, "chromium ended at once"
            time.sleep(0.05)
        raise TimeoutError("chromium opened no debugging port")

    @contextlib.contextmanager
    def page(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Page]:
        """A page that has loaded the file."""
        page = Page(self._connection, self._numbers, width, height, dark)
        page.open(path.resolve().as_uri())
        try:
            yield page
        finally:
            page.close()


class Page:
    """One tab.

    Attributes:
        requests: the address of every request that the page made.
        errors: what went wrong in it: exceptions, and what the console was told as an error, a
            violation of the content security policy for one.
    """

    def __init__(
        self, connection: ClientConnection, numbers: Iterator[int], width: int, height: int, dark: bool
    ) -> None:
        self._connection = connection
        self._numbers = numbers
        self._session: str | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._seen: set[str] = set()
        self._target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        phone = width < 500
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[theme, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def open(self, address: str) -> None:
        """Go there and wait until it has loaded."""
        self._seen.clear()
        self.send("Page.navigate", url=address)
        self._wait(lambda: "Page.loadEventFired" in self._seen)

    def close(self) -> None:
        self._session = None
        self.send("Target.closeTarget", targetId=self._target)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if details := answer.get("exceptionDetails"):
            raise AssertionError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The expression's value once it is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)
        return value

    def press(self, key: str) -> None:
        """A key on the keyboard, such as ``Tab``, ``Enter``, ``Escape``, ``ArrowRight``."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is seen, or the whole page, as a PNG."""
        picture = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer; events that come meanwhile are kept."""
        message: dict[str, Any] = {"id": next(self._numbers), "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def _wait(self, ready: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            self._receive(deadline)

    def _receive(self, deadline: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=max(0.01, deadline - time.monotonic())))
        if message.get("sessionId") == self._session:
            self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, said: dict[str, Any]) -> None:
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.errors.append(str(said["args"]))
