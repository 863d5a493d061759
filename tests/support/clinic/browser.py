"""Chromium, driven by its own protocol over a pipe (`--remote-debugging-pipe`): what a person at the screen would see.

Nothing but the standard library and a browser; a test that wants one is skipped where there is none.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One page. What it asked the network for stands in `requests`, what its console said in `console`."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self._process, self._to, self._back = process, to, back
        self._rest, self._last = b"", 0
        self.requests: list[str] = []
        self.console: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **values: Any) -> dict[str, Any]:
        """A command of the DevTools protocol to the page."""
        return self._ask(method, self._session, **values)

    def _ask(self, method: str, session: str = "", **values: Any) -> dict[str, Any]:
        self._last += 1
        said = {"id": self._last, "method": method, "params": values} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(said).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == self._last:
                assert "error" not in heard, f"{method}: {heard}"
                return dict(heard["result"])
            self._note(heard)

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._back, 1 << 20)
            assert read, "the browser is gone"
            self._rest += read
        one, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(one))

    def _note(self, heard: dict[str, Any]) -> None:
        told = heard.get("params", {})
        if heard["method"] == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif heard["method"] == "Log.entryAdded":
            self.console.append(told["entry"]["text"])
        elif heard["method"] == "Runtime.exceptionThrown":
            self.console.append(str(told["exceptionDetails"]))

    def show(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page in a window of this size, and wait until it is there."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives, a promise too."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"it does not come: {expression}"
            time.sleep(0.05)

    def press(self, key: str, text: str = "") -> None:
        """A key of the keyboard: "Tab", "Enter"; with its text a letter."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0)
        more = {"text": text} if text else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        for letter in text:
            self.press(letter, letter)

    def roles(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader is told of."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]

    def picture(self, path: Path, whole: bool = True) -> None:
        """What is seen, as PNG; the whole page or the window."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(place: Path, *more: str) -> Iterator[Browser]:
    """A browser that runs while the block does, with its profile in folder `place` and `more` options; skips the test
    without one.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no chromium here")
    theirs_in, to = os.pipe()
    back, theirs_out = os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--disable-background-networking", f"--user-data-dir={place}", "--remote-debugging-pipe", *more]
    # The protocol's file descriptors are 3 and 4, whatever ours are.
    moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", moved, "bash", program, *options]
    with (place.parent / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs_in, theirs_out)
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(process, to, back)
    finally:
        process.terminate()
        process.wait(30)
        os.close(to)
        os.close(back)
