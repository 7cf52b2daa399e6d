"""Drives a headless Chromium over ChromeDriver, with nothing but Python's standard library.

The WebDriver protocol is JSON over HTTP; this has the few commands that the tests of the page need.
"""

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

# Root may not use Chromium's sandbox; the others keep it from asking its maker's servers.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--window-size=1440,900",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "ArrowRight": "\ue014",
        "ArrowDown": "\ue015", "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "End": "\ue010",
        "Home": "\ue011"}


class Browser:
    """A browser with one window. Use it with `with`."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="harmony-page-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        self.session = None
        try:
            self.base = f"http://127.0.0.1:{self._port()}"
            options = {"args": ARGUMENTS + [f"--user-data-dir={self.profile}"]}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                      "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            answer = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = f"/session/{answer['sessionId']}"
            self.version = answer["capabilities"]["browserVersion"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self._request("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.communicate()
            shutil.rmtree(self.profile, ignore_errors=True)

    def _port(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise RuntimeError("chromedriver ended before it told its port")

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise RuntimeError(f"{value['error']}: {value['message']}") from None

    def _post(self, path, body=None):
        return self._request("POST", path, body or {})

    def open(self, url):
        """Loads a page anew, also where only its fragment is another one."""
        self._post(self.session + "/url", {"url": "about:blank"})
        self._post(self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        """What the body of a function returns that runs in the page."""
        body = {"script": script, "args": list(arguments)}
        return self._post(self.session + "/execute/sync", body)

    def wait(self, script, *arguments):
        """Waits until the expression is true."""
        deadline = time.monotonic() + 10
        while not self.run(f"return Boolean({script})", *arguments):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true: {script}")
            time.sleep(0.01)

    def click(self, selector):
        """Clicks in the middle of an element that has to be visible, as a mouse would."""
        found = self._post(self.session + "/element", {"using": "css selector", "value": selector})
        self._post(f"{self.session}/element/{found[ELEMENT]}/click")

    def press(self, *keys):
        """Presses keys, one after the other."""
        actions = [{"type": kind, "value": KEYS.get(key, key)}
                   for key in keys for kind in ("keyDown", "keyUp")]
        self._post(self.session + "/actions",
                   {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def devtools(self, command, **parameters):
        """Runs a command of the DevTools protocol."""
        return self._post(self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screen(self, width, height, scale=1):
        """Makes the window that large."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=scale, mobile=False)

    def colours(self, scheme):
        """Has the user prefer `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def complaints(self):
        """What was written to the console since the last time."""
        return [entry["message"] for entry in self._post(self.session + "/se/log", {"type": "browser"})]

    def requests(self):
        """The addresses that were asked for since the last time."""
        entries = self._post(self.session + "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]
