"""The operator API for admin commands: over HTTP when a Developer Center runs on the data directory, else in-process.

Either way a command is one call to /api/v1, so it does the same in both cases. A running server leaves its address and
a key of its own in serve.json, readable by its owner only. Without one, this process opens the data directory itself
and holds its lock meanwhile; another command that holds it is waited for.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from quecbind.cli.outcome import REFUSED, UNREACHABLE, CommandError
from quecbind.cli.output import show_progress

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PREFIX = "/api/v1"
SERVE_FILE = "serve.json"
MAX_PAGE_SIZE = 100  # of the operator API
MAX_PIECE = 1000
TIMEOUT_S = 30.0

_WAIT_S = 10.0
_POLL_S = 0.1


def ask(
    data: Path,
    method: str,
    where: str,
    body: object = None,
    query: Mapping[str, object] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """What the operator API of the Developer Center in `data` answers; None when the answer has no body.

    Raises:
        CommandError: it refused, or there is none.
    """
    return _with_api(data, lambda api: api.ask(method, where, body, query, timeout_s), may_create=method == "POST")


def path(*levels: str) -> str:
    """A path of the operator API; what people typed cannot lead elsewhere."""
    return "".join("/" + quote(level, safe="") for level in levels)


def ask_pages(
    data: Path, where: str, query: Mapping[str, object] | None = None, at_most: int | None = None
) -> list[Any]:
    """All items of a list of the operator API, or the first `at_most`; raises as `ask`."""
    return _with_api(data, lambda api: api.ask_pages(where, query or {}, at_most), may_create=False)


def ask_pieces(data: Path, where: str, query: Mapping[str, object], take: Callable[[Any], None]) -> None:
    """Give `take` every answer of a list that is read by `after`, one at a time; raises as `ask`.

    None is kept: a log of any length takes no more memory than one piece. What was given once is not given again when
    the server goes away in between and another process takes over.
    """
    after = 0

    async def work(api: OperatorApi) -> None:
        nonlocal after
        while True:
            answer = await api.ask("GET", where, query={**query, "after": after, "count": MAX_PIECE})
            if not answer["items"]:
                return
            after = answer["items"][-1]["seq"]
            take(answer)

    _with_api(data, work, may_create=False)


class OperatorApi:
    """The operator API behind one HTTP client that is authorised already."""

    def __init__(self, http: "httpx.AsyncClient") -> None:
        self._http = http

    async def ask(
        self,
        method: str,
        where: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """As the function `ask`."""
        import httpx  # noqa: PLC0415 - a plain install has it not

        texts = {name: str(value) for name, value in (query or {}).items()}
        try:
            response = await self._http.request(method, PREFIX + where, params=texts, json=body, timeout=timeout_s)
        except httpx.ConnectError as error:
            raise _BusyError(f"the Developer Center at {self._http.base_url} cannot be reached: {error}") from None
        except httpx.HTTPError as error:
            raise CommandError(UNREACHABLE, f"the Developer Center at {self._http.base_url}: {error!r}") from None
        return _value(response)

    async def ask_pages(self, where: str, query: Mapping[str, object], at_most: int | None) -> list[Any]:
        """As the function `ask_pages`."""
        items: list[Any] = []
        page_size = min(at_most or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        page = 1
        while True:
            answer = await self.ask("GET", where, query={**query, "page": page, "page_size": page_size})
            items += answer["items"]
            wanted = min(at_most or answer["total_count"], answer["total_count"])
            if wanted > MAX_PIECE:
                show_progress(min(len(items), wanted), wanted, "read")
            if not answer["items"] or len(items) >= wanted:
                return items[:at_most]
            page += 1


@dataclass(frozen=True, slots=True)
class LiveCenter:
    """A Developer Center that runs on this machine, as its serve.json describes it."""

    url: str
    pid: int
    local_key: str = field(repr=False)
    certificate: str | None = None

    @classmethod
    def of(cls, data: Path) -> Self | None:
        """The one that serves `data`, None when none does."""
        try:
            described = json.loads((data / SERVE_FILE).read_text(encoding="utf-8"))
            url = str(described.get("http") or described["https"])
            certificate = str(described["tls_cert"]) if url.startswith("https:") else None
            center = cls(url, int(described["pid"]), str(described["local_key"]), certificate)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        # The file of a server that was killed stays behind.
        return center if _is_running(center.pid) else None

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[OperatorApi]:
        """Its operator API, over HTTP."""
        import httpx  # noqa: PLC0415 - a plain install has it not

        # trust_env=False: a proxy has no business between this process and its neighbour
        async with httpx.AsyncClient(
            base_url=self.url,
            headers=_authorization(self.local_key),
            trust_env=False,
            verify=True if self.certificate is None else _only(self.certificate),
        ) as http:
            yield OperatorApi(http)


@contextlib.asynccontextmanager
async def _api_in_process(data: Path) -> AsyncIterator[OperatorApi]:
    """The operator API of a Developer Center that this process opens and closes; no socket is involved."""
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
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app.build(center)),
            base_url="http://quecbind",
            headers=_authorization(center.operators.local_key().reveal()),
        ) as http:
            yield OperatorApi(http)
    finally:
        await center.close()


class _BusyError(Exception):
    """Somebody holds the data directory and does not answer; perhaps in a moment."""


def _with_api(data: Path, work: Callable[[OperatorApi], Awaitable[T]], may_create: bool) -> T:
    from quecbind.center.storage.directory import DATABASE_NAME  # noqa: PLC0415 - slow to load for a mere --help

    if not may_create and not (data / DATABASE_NAME).exists() and not _is_locked(data):
        raise CommandError(REFUSED, f"there is no Developer Center in {data}: is --data right?")
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return asyncio.run(_work_once(data, work))
        except _BusyError as busy:
            # A server that starts or stops, or another command: neither takes long.
            if time.monotonic() > deadline:
                raise CommandError(UNREACHABLE, str(busy)) from None
            time.sleep(_POLL_S)


async def _work_once(data: Path, work: Callable[[OperatorApi], Awaitable[T]]) -> T:
    center = LiveCenter.of(data)
    if center is not None:
        # What it left may be all there is of it; whether somebody holds the directory tells the lock.
        with contextlib.suppress(_BusyError):
            async with center.api() as api:
                return await work(api)
    async with _api_in_process(data) as api:
        return await work(api)


def _only(certificate: str) -> ssl.SSLContext:
    """Trusts the holder of this very certificate, whatever name and authority it has: the file says who that is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=certificate)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(UNREACHABLE, f"the server's certificate {certificate} cannot be read: {error}") from None
    return context


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


def _value(response: "httpx.Response") -> Any:
    """The answer's JSON; a problem becomes the error that ends the command."""
    try:
        answer: Any = response.json() if response.content else None
        if response.is_success:
            return answer
        sentence, code = str(answer["detail"] or answer["title"]), int(answer["code"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(
            UNREACHABLE, f"what answers is not a Developer Center's operator API: HTTP {response.status_code}"
        ) from None
    raise CommandError(REFUSED, sentence, code)
