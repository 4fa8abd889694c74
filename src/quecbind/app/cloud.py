"""The way to a device through its Developer Center: questions and reports over WebSocket v1, last values over HTTP.

The device is asked like on any other path. What it does not tell in time, or cannot because it is offline, is taken
from the last values that the Developer Center keeps.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import websockets
from websockets.asyncio.client import ClientConnection

from quecbind.app import path
from quecbind.app.client import AppClient
from quecbind.app.cloud_session import (
    MAX_TEXT,
    Answered,
    CloudSession,
    Happening,
    Opened,
    Over,
    RawReported,
    Refused,
    Reported,
)
from quecbind.app.errors import AppError, ControlError, PathLostError, RefusedError
from quecbind.app.model import Model
from quecbind.app.path import ANSWER_S, CLOUD, Audience, Change, Raw, Reading, Watch
from quecbind.app.values import Values

OPEN_S = 10.0
QUIET_S = 1.5  # what is told later than that has been kept as a last value, or will be
_PING_EVERY_S = 40.0
_PONG_IN_S = 30.0
_log = logging.getLogger("quecbind.app.cloud.websockets")
_log.setLevel(logging.INFO)  # at DEBUG it would show every message, the log-in with its token among them
A = TypeVar("A")


class CloudPath:
    """A `path.Path` through the Developer Center; opened by `open_path`."""

    name = CLOUD

    def __init__(
        self,
        client: AppClient,
        keys: tuple[str, str],
        model: Model,
        connection: ClientConnection,
        session: CloudSession,
    ) -> None:
        self._client = client
        self._keys = keys
        self._model = model
        self._connection = connection
        self._session = session
        self._audience = Audience()
        self._readings: list[Reading] = []
        self._answers: dict[int, asyncio.Future[Answered]] = {}
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_ending = False
        self._task = asyncio.create_task(self._run(), name="session over cloud")

    async def opened(self) -> None:
        """Returns when the device can be asked."""
        await self._opened

    @property
    def is_lost(self) -> bool:
        return self._audience.ended is not None

    async def read(self, ids: Sequence[int] = (), seconds: float = ANSWER_S) -> Values:
        """The properties that the device told within the time, and for the others the last that are known.

        Raises:
            ControlError: none is known, or the platform does not let this user ask.
            PathLostError: the connection was or is lost.
        """
        reading = Reading(ids, QUIET_S)
        self._readings.append(reading)
        failure = None
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(self._session.read, [self._model.code_of(number) for number in ids])
            failure = None if answer.is_done else answer
            values = {} if failure else await reading.gather(seconds)
        except TimeoutError:
            values = reading.values
        finally:
            self._readings.remove(reading)
        if not values or not set(ids) <= values.keys():
            values = {**await self._last_values(ids, is_all=not values), **values}
        if not values:
            raise ControlError(f"the device told nothing: {_reason(failure)}")
        return values

    async def write(self, values: Mapping[int, Any], seconds: float = ANSWER_S) -> None:
        """Sets properties; returns when the platform has handed them to the device.

        Raises:
            ControlError: the device is offline, or the platform does not let this user write.
            PathLostError: the connection was or is lost.
        """
        kv = {str(self._model.code_of(number)): value for number, value in values.items()}
        await self._do(seconds, self._session.write, kv)

    async def send_raw(self, data: bytes) -> None:
        await self._do(ANSWER_S, self._session.send_raw, data)

    def watch(self) -> Watch:
        return self._audience.join()

    async def close(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _do(self, seconds: float, ask: Callable[[A], int], what: A) -> None:
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(ask, what)
        except TimeoutError:
            raise ControlError("the platform did not answer in time; it may have done it") from None
        if not answer.is_done:
            raise ControlError(_reason(answer), answer.code)

    async def _ask(self, ask: Callable[[A], int], what: A) -> Answered:
        self._audience.check()
        message_id = ask(what)
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._answers[message_id] = answer
        try:
            await self._send()
            return await answer
        finally:
            del self._answers[message_id]
            self._session.give_up(message_id)

    async def _last_values(self, ids: Sequence[int], is_all: bool) -> Values:
        """What the platform keeps; nothing when it does not tell and the device has told something."""
        try:
            kept = await self._client.attributes(*self._keys)
        except AppError:
            if is_all:
                raise
            return {}
        values: Values = {}
        for one in kept:
            with contextlib.suppress(ControlError):
                number = self._model.number_of(one.code)
                if not ids or number in ids:
                    values[number] = self._model.told(number, one.value)
        return values

    # --- the task ---

    async def _send(self) -> None:
        try:
            for text in self._session.texts_to_send():
                await self._connection.send(text)
        except (websockets.WebSocketException, OSError):
            raise PathLostError("the connection with the platform broke") from None

    async def _run(self) -> None:
        reason = "the connection was closed here"
        try:
            await self._send()
            async for message in self._connection:
                happening = self._session.receive(message)
                await self._send()
                ended = self._take(happening)
                if ended is not None:
                    reason = ended
                    return
            reason = "the platform closed the connection"
        except (websockets.WebSocketException, OSError, PathLostError):
            reason = "the connection with the platform broke"
        finally:
            self._is_ending = True  # from here on nobody cancels this task, so that the connection is closed
            self._end(reason)
            with contextlib.suppress(websockets.WebSocketException, OSError):
                await self._connection.close()

    def _take(self, happening: Happening | None) -> str | None:
        match happening:
            case Opened() if not self._opened.done():
                self._opened.set_result(None)
            case Refused(code, message):
                if not self._opened.done():
                    self._opened.set_exception(RefusedError(code, message))
                return message or f"the platform refused: {code}"
            case Reported(kv):
                values = self._numbered(kv)
                for reading in self._readings:
                    reading.take(values)
                if values:
                    self._audience.tell(Change(values))
            case RawReported(data):
                self._audience.tell(Raw(data))
            case Answered(message_id):
                answer = self._answers.get(message_id)
                if answer is not None and not answer.done():
                    answer.set_result(happening)
            case Over(reason):
                return reason
        return None

    def _numbered(self, kv: Mapping[str, Any]) -> Values:
        values: Values = {}
        for name, value in kv.items():
            with contextlib.suppress(ControlError):  # a property that the model does not know has no number
                number = self._model.number_of(name)
                values[number] = self._model.told(number, value)
        return values

    def _end(self, reason: str) -> None:
        self._audience.end(reason)
        lost = PathLostError(reason)
        waits: list[asyncio.Future[Any]] = [self._opened, *self._answers.values()]
        for future in waits:
            if not future.done():
                future.set_exception(lost)
        for reading in self._readings:
            reading.finish()


def _reason(answer: Answered | None) -> str:
    if answer is None:
        return "no answer in time"
    return f"{answer.message or 'refused'} (platform error {answer.code})" if answer.code else answer.message


async def open_path(
    client: AppClient, product_key: str, device_key: str, model: Model, seconds: float = OPEN_S
) -> CloudPath:
    """The way through the Developer Center for the user who is signed in.

    Raises:
        RefusedError: nobody is signed in, or the device is not this user's.
        PathLostError: the platform cannot be reached, or did not answer in time.
    """
    if client.tokens is None:
        raise RefusedError(5106, "nobody is signed in")
    await client.user_info()  # renews a token that is over
    url = "ws" + client.base_url.removeprefix("http") + "/ws/v1"
    session = CloudSession(product_key, device_key, client.tokens.access_token, client.uid)
    try:
        async with asyncio.timeout(seconds):
            connection = await websockets.connect(
                url,
                max_size=MAX_TEXT,
                ping_interval=_PING_EVERY_S,
                ping_timeout=_PONG_IN_S,
                open_timeout=None,
                proxy=None,
                logger=_log,
            )
    except TimeoutError:
        raise PathLostError("the platform did not answer in time") from None
    except (websockets.WebSocketException, OSError, ValueError) as error:
        raise PathLostError(f"the platform's push cannot be reached: {error}") from None
    cloud = CloudPath(client, (product_key, device_key), model, connection, session)
    try:
        async with asyncio.timeout(seconds):
            await cloud.opened()
    except BaseException as error:
        await cloud.close()
        if isinstance(error, TimeoutError):
            raise PathLostError("the platform did not answer in time") from None
        raise
    return cloud


_: type[path.Path] = CloudPath  # a path like the others
