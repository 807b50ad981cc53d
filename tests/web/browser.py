"""A real browser for tests: Chromium without a screen, spoken to by WebDriver through Debian's chromedriver.

    def test_it(browser: Browser) -> None:
        browser.open(address)
        browser.find("a.skip").click()
        assert browser.told() == []     # the console, violations of the page's policy among it

The fixtures are in conftest.py: `browser` is one browser for all tests, put back as it was between two of them.
It sees this machine alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WIDTH, HEIGHT = 1200, 900
# As root the browser has no sandbox to go into.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--hide-scrollbars", "--force-color-profile=srgb", "--proxy-server=direct://",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    f"--window-size={WIDTH},{HEIGHT}",
)  # fmt: skip
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_STARTED = re.compile(r"started successfully on port (\d+)")
_WAIT_S = 60.0
_STEP_S = 0.02
# The names of keys, as WebDriver spells them.
KEYS = {
    "Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008", "Control": "\ue009", "Escape": "\ue00c", "Space": " ",
    "End": "\ue010", "Home": "\ue011", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015",
}  # fmt: skip


class Refused(AssertionError):
    """The browser would not: no such element, a script that failed, a page that did not open."""


class Driver:
    """chromedriver, started. It ends with all its browsers."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._browsers: list[Browser] = []
        # A home of its own: nothing of whoever runs the tests is read, and nothing is left with them. What is temporary
        # is elsewhere: a socket lies in it, whose path may not be long.
        self._passing = tempfile.mkdtemp(prefix="browser-")
        home = {**os.environ, **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(place))}
        home["TMPDIR"] = self._passing
        self._process = subprocess.Popen(
            ["chromedriver", "--port=0", "--log-level=SEVERE"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=home, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if found := _STARTED.search(line):
                self.port = int(found[1])
                return
        raise Refused(f"chromedriver did not start: {said}")

    def browser(self) -> Browser:
        """Another browser, that shares nothing with the others."""
        made = Browser(self, self.place / f"profile-{len(self._browsers)}")
        self._browsers.append(made)
        return made

    def call(self, method: str, path: str, body: object = None) -> object:
        """One request; what it answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_WAIT_S)
        try:
            text = None if method == "GET" else json.dumps(body if body is not None else {})
            connection.request(method, path, body=text, headers={"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer and "message" in answer:
            raise Refused(f"{answer['error']}: {str(answer['message']).splitlines()[0]}")
        return answer

    def end(self) -> None:
        """Stop it, and the browsers that it started: they are all in a group of their own."""
        for each in self._browsers:
            each.close()
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._passing, ignore_errors=True)


class Browser:
    """One browser with one window."""

    def __init__(self, driver: Driver, profile: Path) -> None:
        self._driver = driver
        self._profile = profile
        options = {
            "args": [*FLAGS, f"--user-data-dir={profile}"],
            "binary": shutil.which("chromium"),
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "dismiss",
        }
        made = driver.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        assert isinstance(made, dict)
        self._path = f"/session/{made['sessionId']}"

    # -- pages ---------------------------------------------------------------------------------------------------

    def open(self, address: str | Path) -> None:
        """Go there, and wait until it is loaded. A path is a file."""
        self._call("POST", "/url", {"url": address if isinstance(address, str) else address.resolve().as_uri()})

    @property
    def url(self) -> str:
        return str(self._call("GET", "/url"))

    @property
    def title(self) -> str:
        return str(self._call("GET", "/title"))

    @property
    def text(self) -> str:
        """What a reader sees of the page."""
        return str(self.run("return document.body.innerText"))

    # -- what is on them -----------------------------------------------------------------------------------------

    def find(self, css: str) -> Element:
        """The first element; Refused where there is none."""
        return Element(self, self._call("POST", "/element", {"using": "css selector", "value": css}))

    def count(self, css: str) -> int:
        """How many such elements there are."""
        return int(str(self.run("return document.querySelectorAll(arguments[0]).length", css)))

    def run(self, script: str, *arguments: object) -> object:
        """What the function body `script` returns. It works on a page whose own scripts may not run, too."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def words(self, script: str, *arguments: object) -> list[str]:
        """The same, for a script that returns a list of strings."""
        found = self.run(script, *arguments)
        assert isinstance(found, list), found
        return [str(each) for each in found]

    def wait(self, script: str, *arguments: object, within_s: float = 15.0) -> object:
        """Until the function body returns something true; that."""
        return self.until(lambda: self.run(script, *arguments), script, within_s)

    def wait_for(self, css: str, within_s: float = 15.0) -> Element:
        """Until there is such an element; that."""
        self.wait("return document.querySelector(arguments[0]) !== null", css, within_s=within_s)
        return self.find(css)

    def wait_for_text(self, words: str, within_s: float = 15.0) -> None:
        """Until the page shows these words."""
        self.wait("return document.body.innerText.includes(arguments[0])", words, within_s=within_s)

    def until(self, look: Callable[[], object], what: str, within_s: float = 15.0) -> object:
        """Look again and again, until something true is seen; that."""
        end = time.monotonic() + within_s
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                raise Refused(f"not within {within_s:g} s: {what}; the page says:\n{self.text[:2000]}")
            time.sleep(_STEP_S)

    # -- keys ----------------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys one after another, where the focus is: names of KEYS or letters; `Shift+Tab` holds the first."""
        actions: list[dict[str, str]] = []
        for key in keys:
            held = [KEYS.get(each, each) for each in key.split("+")] if len(key) > 1 else [key]
            actions += [{"type": "keyDown", "value": each} for each in held]
            actions += [{"type": "keyUp", "value": each} for each in reversed(held)]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def drag(self, css: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press on an element, move, let go. Both places count from its middle."""
        held = self._call("POST", "/element", {"using": "css selector", "value": css})
        actions: list[dict[str, object]] = [
            {"type": "pointerMove", "origin": held, "x": start[0], "y": start[1]},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "origin": held, "x": end[0], "y": end[1], "duration": 50},
            {"type": "pointerUp", "button": 0},
        ]
        self._call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def focused(self) -> str:
        """What has the focus: the name of its element, and its words."""
        return str(self.run("const it = document.activeElement; return it.tagName.toLowerCase() + ' ' + "
                            "(it.getAttribute('aria-label') || it.innerText || it.id || '').trim()"))  # fmt: skip

    # -- how it is shown -----------------------------------------------------------------------------------------

    def dark(self, *, on: bool = True) -> None:
        self._media(scheme="dark" if on else "light")

    def paper(self) -> None:
        """As it is printed."""
        self._media(kind="print")

    def _media(self, *, kind: str = "", scheme: str = "light") -> None:
        told = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=kind, features=told)

    def size(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scripts(self, *, on: bool) -> None:
        """Whether pages that are opened from now on may run scripts of their own."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        if not whole:
            return base64.b64decode(str(self._call("GET", "/screenshot")))
        told = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(str(told["data"]))

    def pdf(self) -> bytes:
        """The page on A4."""
        told = self.cdp("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        return base64.b64decode(str(told["data"]))

    # -- what is wrong, and who cannot see ------------------------------------------------------------------------

    def told(self) -> list[str]:
        """What came on the console since one last asked: errors, refusals of the page's policy, words of scripts."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        assert isinstance(entries, list)
        return [f"{each['level']}: {each['message']}" for each in entries]

    def landmarks(self) -> list[tuple[str, str]]:
        """What a screen reader finds on the page, in order: (role, name) of all that is not ignored."""
        told = self.cdp("Accessibility.getFullAXTree")
        nodes = told["nodes"]
        assert isinstance(nodes, list)
        return [
            (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
            for node in nodes
            if not node["ignored"]
        ]

    # -- itself --------------------------------------------------------------------------------------------------

    def cdp(self, command: str, **params: object) -> dict[str, object]:
        """A command of the Chrome DevTools protocol."""
        told = self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})
        assert isinstance(told, dict)
        return told

    @contextmanager
    def another(self) -> Iterator[Browser]:
        """A second browser, with cookies of its own."""
        second = self._driver.browser()
        try:
            yield second
        finally:
            second.close()

    def reset(self) -> None:
        """As it was at first: no page, no cookie, no emulation, nothing on the console."""
        self._call("POST", "/url", {"url": "about:blank"})
        self.cdp("Network.clearBrowserCookies")
        self.scripts(on=True)
        self._media()
        self.size()
        self.told()

    def close(self) -> None:
        with suppress(Refused, OSError):
            self._call("DELETE", "")
        shutil.rmtree(self._profile, ignore_errors=True)

    def _call(self, method: str, path: str, body: object = None) -> object:
        return self._driver.call(method, f"{self._path}{path}", body)


class Element:
    """An element of a page. It is gone when the page is."""

    def __init__(self, browser: Browser, told: object) -> None:
        assert isinstance(told, dict)
        self._browser = browser
        self._id = str(told[_ELEMENT])

    def click(self) -> None:
        self._call("POST", "/click", {})

    def type(self, text: str) -> None:
        self._call("POST", "/value", {"text": text})

    def clear(self) -> None:
        self._call("POST", "/clear", {})

    @property
    def text(self) -> str:
        """Its words, as they are seen."""
        return str(self._call("GET", "/text"))

    @property
    def value(self) -> str:
        """Of a field, what is in it."""
        return str(self.property("value"))

    @property
    def is_shown(self) -> bool:
        return self._call("GET", "/displayed") is True

    def attribute(self, name: str) -> str | None:
        found = self._call("GET", f"/attribute/{name}")
        return None if found is None else str(found)

    def property(self, name: str) -> object:
        return self._call("GET", f"/property/{name}")

    def css(self, name: str) -> str:
        """What a rule of style comes to."""
        return str(self._call("GET", f"/css/{name}"))

    def _call(self, method: str, path: str, body: object = None) -> object:
        return self._browser._call(method, f"/element/{self._id}{path}", body)
