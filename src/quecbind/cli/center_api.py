"""The operator API for admin commands: over HTTP when a Developer Center runs on the data directory, else in-process.

Either way a command is one call to /api/v1, so it does the same in both cases. A running server leaves its address and
a key of its own in serve.json, readable by its owner only. Without one, this process opens the data directory itself
and holds its lock meanwhile; another command that holds it is waited for.
"""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from quecbind.cli.outcome import REFUSED, UNREACHABLE, CommandError

if TYPE_CHECKING:
    import httpx

PREFIX = "/api/v1"
SERVE_FILE = "serve.json"

_WAIT_S = 10.0
_POLL_S = 0.1
_TIMEOUT_S = 30.0
_PAGE_SIZE = 500


def ask(data: Path, method: str, path: str, body: object = None, query: Mapping[str, object] | None = None) -> Any:
    """What the operator API of the Developer Center in `data` answers; None when the answer has no body.

    Raises:
        CommandError: it refused, or there is none.
    """
    if method != "POST" and not data.is_dir():
        raise CommandError(REFUSED, f"there is no Developer Center in {data}")
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return _ask_once(data, method, path, body, query)
        except _BusyError as busy:
            # A server that starts or stops, or another command: neither takes long.
            if time.monotonic() > deadline:
                raise CommandError(UNREACHABLE, str(busy)) from None
            time.sleep(_POLL_S)


def _ask_once(data: Path, method: str, path: str, body: object, query: Mapping[str, object] | None) -> Any:
    center = LiveCenter.of(data)
    if center is not None:
        try:
            return center.ask(method, path, body, query)
        except _BusyError:
            pass  # its file may have stayed behind; the lock tells
    return asyncio.run(_ask_in_process(data, method, path, body, query))


def ask_pages(data: Path, path: str, query: Mapping[str, object] | None = None) -> list[Any]:
    """All items of a list of the operator API, from all of its pages."""
    items: list[Any] = []
    page = 1
    while True:
        answer = ask(data, "GET", path, query={**(query or {}), "page": page, "page_size": _PAGE_SIZE})
        items += answer["items"]
        if len(items) >= answer["total_count"] or not answer["items"]:
            return items
        page += 1


class _BusyError(Exception):
    """Somebody holds the data directory and does not answer; perhaps in a moment."""


@dataclass(frozen=True, slots=True)
class LiveCenter:
    """A Developer Center that runs on this machine, as its serve.json describes it."""

    url: str
    pid: int
    local_key: str = field(repr=False)

    @classmethod
    def of(cls, data: Path) -> Self | None:
        """The one that serves `data`, None when none does."""
        try:
            described = json.loads((data / SERVE_FILE).read_text(encoding="utf-8"))
            center = cls(str(described["http"]), int(described["pid"]), str(described["local_key"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # The file of a server that was killed stays behind.
        return center if _is_running(center.pid) else None

    def ask(self, method: str, path: str, body: object = None, query: Mapping[str, object] | None = None) -> Any:
        """As the function `ask`."""
        import httpx  # noqa: PLC0415 - a plain install has it not

        try:
            response = httpx.request(
                method,
                self.url + PREFIX + path,
                params=_texts(query),
                json=body,
                headers=_authorization(self.local_key),
                timeout=_TIMEOUT_S,
                trust_env=False,  # a proxy has no business between this process and its neighbour
            )
        except httpx.ConnectError as error:
            # also what a command gets that asks while the server stops
            raise _BusyError(f"the Developer Center at {self.url} cannot be reached: {error}") from None
        except httpx.HTTPError as error:
            raise CommandError(UNREACHABLE, f"the Developer Center at {self.url}: {error!r}") from None
        return _value(response)


async def _ask_in_process(data: Path, method: str, path: str, body: object, query: Mapping[str, object] | None) -> Any:
    # These need the server's parts, which a plain install has not.
    import httpx  # noqa: PLC0415

    from quecbind.center.http import app  # noqa: PLC0415
    from quecbind.center.mail.log import LogMailer  # noqa: PLC0415
    from quecbind.center.services.errors import StartError  # noqa: PLC0415
    from quecbind.center.storage.opening import open_center  # noqa: PLC0415
    from quecbind.center.system import SystemClock, SystemEntropy  # noqa: PLC0415

    try:
        center = await open_center(
            data,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            mailer=LogMailer(),
            master_key=os.environ.get("QUECBIND_MASTER_KEY") or None,
        )
    except StartError as error:
        if _is_locked(data):
            raise _BusyError(str(error)) from None
        raise CommandError(REFUSED, str(error)) from None
    try:
        transport = httpx.ASGITransport(app.build(center))
        async with httpx.AsyncClient(transport=transport, base_url="http://quecbind") as client:
            response = await client.request(
                method,
                PREFIX + path,
                params=_texts(query),
                json=body,
                headers=_authorization(center.operators.local_key().reveal()),
            )
    finally:
        await center.close()
    return _value(response)


def _is_locked(data: Path) -> bool:
    try:
        with (data / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _authorization(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _texts(query: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (query or {}).items()}


def _value(response: "httpx.Response") -> Any:
    """The answer's JSON; a problem becomes the error that ends the command."""
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        sentence, code = str(problem["detail"] or problem["title"]), int(problem["code"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(
            UNREACHABLE, f"what answers is not a Developer Center's operator API: HTTP {response.status_code}"
        ) from None
    raise CommandError(REFUSED, sentence, code)
