"""A real Developer Center in a process of its own, for tests that talk to it as a stranger would.

Nothing here imports quecbind: it starts the command a user types, reads the one line it prints, stops what it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "quecbind.cli"]
READY = re.compile(r"^quecbind ready http=http://([^:]+):(\d+) mqtt=mqtt://[^:]+:(\d+)")


def environment(**extra: str) -> dict[str, str]:
    """Ours without what would change the program under test, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUECBIND_", "QUECIOT_"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | extra


def run_command(*arguments: str, timeout: float = 60, **extra: str) -> subprocess.CompletedProcess[str]:
    """One `quecbind ...` command, to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        check=False,
    )


@dataclass
class CenterProcess:
    """`quecbind serve` on one data directory; `stop`, `kill` and `start` again as a test needs."""

    data: Path
    log: Path
    process: subprocess.Popen[str] | None = None
    host: str = "127.0.0.1"
    http_port: int = 0
    mqtt_port: int = 0
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = tuple(COMMAND)

    def start(self, timeout: float = 30) -> CenterProcess:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *self.command,
                    "serve",
                    "--data",
                    str(self.data),
                    "--host",
                    self.host,
                    "--http-port",
                    str(self.http_port),
                    "--mqtt-port",
                    str(self.mqtt_port),
                    *self.options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(),
                stdin=subprocess.DEVNULL,
            )
        ready = READY.match(self._first_line(timeout))
        assert ready, "serve did not say that it is ready:\n" + self.log.read_text()[-2000:]
        self.http_port, self.mqtt_port = int(ready[2]), int(ready[3])
        return self

    def _first_line(self, timeout: float) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                return self.process.stdout.readline()
        return ""

    def stop(self, how: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Send the signal, wait for the end, return the exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(how)
        try:
            return process.wait(timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(5)
            if process.stdout is not None:
                process.stdout.close()

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def operator(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        """One call of the operator API with the key that the running server left: status and answer."""
        described = json.loads((self.data / "serve.json").read_text())
        request = urllib.request.Request(
            f"{described['http']}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {described['local_key']}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def make(self, path: str, **fields: object) -> Any:
        """What the operator API says of something new. Takes a hundredth of the time of the command for it."""
        status, made = self.operator("POST", path, fields)
        assert status == 201, made
        return made

    def admin(self, *arguments: str) -> Any:
        """The JSON answer of one admin command."""
        done = run_command(*arguments, "--data", str(self.data), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object | None = None,
        **query: object,
    ) -> dict[str, Any]:
        """One App API call with the standard library alone; the whole envelope."""
        url = self.url + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = {"Authorization": token} if token else {}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
