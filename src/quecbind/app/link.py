"""A session with a device on a line that is open: carries bytes and time between the line and `ControlSession`.

The line is a TCP connection or a GATT characteristic; nothing here knows which. One task reads and keeps the time, one
writes, so that a caller who gives up leaves no half frame behind. `close` ends both and the line, and so does whatever
breaks. A link does not come back: whoever wants another opens another line.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from quecbind.app import path
from quecbind.app.control_session import (
    LOG_IN_S,
    Answered,
    Closed,
    ControlSession,
    Happening,
    LoggedIn,
    LogInRefused,
    RawReceived,
    ReadAnswered,
    Reported,
    Unanswered,
    Written,
)
from quecbind.app.errors import ControlError, KeyRefusedError, PathLostError
from quecbind.app.line import Line
from quecbind.app.path import ANSWER_S, Audience, Change, Raw, Reading, Watch
from quecbind.app.values import Values, from_fields, to_fields

FIRST_ASK_AFTER_S = 0.5  # one product hangs up when it is asked sooner after the log-in
QUIET_S = 5.5  # devices send many properties in a few frames, up to 5 s apart
_SEND_S = 10.0


class Link:
    """A `path.Path` over a line. Made by `Link.open`.

    Attributes:
        name: which path it is.
    """

    def __init__(self, line: Line, session: ControlSession, name: str, first_ask_after_s: float) -> None:
        self.name = name
        self._line = line
        self._session = session
        self._first_ask_after_s = first_ask_after_s
        self._ask_from = 0.0
        self._audience = Audience()
        self._readings: dict[int, Reading] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}  # of writes the result; None when there is none
        self._to_send = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._logged_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False

    @classmethod
    async def open(
        cls,
        line: Line,
        key: bytes,
        name: str,
        *,
        seconds: float = LOG_IN_S,
        first_ask_after_s: float = FIRST_ASK_AFTER_S,
        share: bytes | None = None,
        permission: int | None = None,
    ) -> Self:
        """Logs in; the line is closed when that does not work.

        Raises:
            KeyRefusedError: the device knows another key, or this address has to wait after a wrong one.
            PathLostError: the line broke, or the device did not answer in time.
            ControlError: the key is not 16 bytes.
        """
        try:
            session = ControlSession(key, share, permission)
        except ControlError:
            await line.close()
            raise
        return await cls.begin(line, session, name, seconds=seconds, first_ask_after_s=first_ask_after_s)

    @classmethod
    async def begin(
        cls, line: Line, session: ControlSession, name: str, *, seconds: float, first_ask_after_s: float
    ) -> Self:
        """Logs in as this session, which is new, does; otherwise as `open`."""
        link = cls(line, session, name, first_ask_after_s)
        session.start(link._now(), seconds)
        link._task = asyncio.create_task(link._run(), name=f"session over {name}")
        try:
            async with asyncio.timeout(seconds):
                await link._logged_in
        except BaseException as error:
            await link.close()
            if isinstance(error, TimeoutError):
                raise PathLostError("the device did not answer the log-in in time") from None
            raise
        return link

    @property
    def is_lost(self) -> bool:
        return self._audience.ended is not None

    async def read(self, ids: Sequence[int] = (), seconds: float = ANSWER_S) -> Values:
        """The properties that the device told within the time; all it has when `ids` is empty.

        Raises:
            ControlError: it told none, or an id cannot be one.
            PathLostError: the link was or is lost.
        """
        await self._ready()
        reading = Reading(ids, QUIET_S)
        packet_id = self._session.read(ids, self._now(), seconds)
        self._readings[packet_id] = reading
        self._to_send.set()
        try:
            values = await reading.gather(seconds)
        finally:
            self._readings.pop(packet_id, None)
        if not values:
            self._audience.check()
            raise self._unanswered("the device did not tell its properties in time")
        return values

    async def write(self, values: Mapping[int, Any], seconds: float = ANSWER_S) -> None:
        """Sets properties; returns when the device has acknowledged them.

        Raises:
            ControlError: the device refused, did not answer in time (it may have done it), or a value cannot be sent.
            PathLostError: the link was or is lost; if it was during the call, the device may have done it.
        """
        await self._ready()
        packet_id = self._session.write(to_fields(values), self._now(), seconds)
        late = "the device did not acknowledge the write in time; it may have done it"
        result = await self._answer_to(packet_id, seconds, late)
        if result:
            raise ControlError(f"the device refused the write: {result}")

    async def _answer_to(self, packet_id: int, seconds: float, late: str) -> Any:
        """What the device answered to the question that is to be sent next.

        Raises:
            ControlError: nothing in time, which `late` says.
            PathLostError: the link was or is lost.
        """
        future = self._answers[packet_id] = asyncio.get_running_loop().create_future()
        self._to_send.set()
        try:
            async with asyncio.timeout(seconds):
                answer = await future
        except TimeoutError:
            answer = None
        finally:
            self._answers.pop(packet_id, None)
        if answer is None:
            self._audience.check()
            raise self._unanswered(late)
        return answer

    async def send_raw(self, data: bytes) -> None:
        """Bytes for the device's script; nothing acknowledges them."""
        await self._ready()
        self._session.send_raw(data)
        self._all_sent.clear()
        self._to_send.set()
        await self._all_sent.wait()
        self._audience.check()

    def watch(self) -> Watch:
        return self._audience.join()

    async def close(self) -> None:
        if self._task is not None:
            if not self._is_ending:
                self._is_ending = True
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _ready(self) -> None:
        self._audience.check()
        wait = self._ask_from - self._now()
        if wait > 0:
            await asyncio.sleep(wait)
        if self._session.is_over and self._task is not None:
            await asyncio.wait([self._task])  # it is about to say why
        self._audience.check()

    def _unanswered(self, sentence: str) -> ControlError:
        """Anybody can take a log-in; who then shows no key is not the device, or is no use."""
        return ControlError(sentence) if self._session.is_proven else PathLostError(f"{sentence}, and has shown no key")

    # --- the tasks ---

    async def _run(self) -> None:
        reason = "the connection was closed here"
        tasks = [
            asyncio.create_task(self._receive(), name=f"from the device over {self.name}"),
            asyncio.create_task(self._send(), name=f"to the device over {self.name}"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = done.pop().result()
        except OSError as error:
            reason = f"the connection broke: {error.strerror or error}"
        finally:
            self._is_ending = True  # from here on nobody cancels this task, so that the line is closed
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._ended(reason)
            await self._line.close()

    async def _receive(self) -> str:
        """Until the session is over; why it is."""
        session = self._session
        while True:
            self._to_send.set()
            data = None
            try:
                async with asyncio.timeout_at(session.next_deadline()) as limit:
                    data = await self._line.receive()
            except TimeoutError:
                if not limit.expired():  # the network's own, not ours
                    raise
            now = self._now()
            happenings = session.tick(now)
            if data is not None:
                happenings += session.receive_data(data, now)
            for happening in happenings:
                reason = self._take(happening, now)
                if reason is not None:
                    return reason

    async def _send(self) -> str:
        """Writes what there is to write, for ever; why no longer, when the device takes nothing."""
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            data = self._session.data_to_send()
            if data:
                try:
                    async with asyncio.timeout(_SEND_S):
                        await self._line.send(data)
                except TimeoutError:
                    return "the device takes no data"
            if not self._to_send.is_set():
                self._all_sent.set()

    def _take(self, happening: Happening, now: float) -> str | None:
        """Tells whoever waits for it; why the session is over, if it is."""
        match happening:
            case LoggedIn():
                self._ask_from = now + self._first_ask_after_s
                if not self._logged_in.done():
                    self._logged_in.set_result(None)
            case LogInRefused(result):
                refused = KeyRefusedError(f"the device refused the log-in: {result}")
                if not self._logged_in.done():
                    self._logged_in.set_exception(refused)
                return refused.message
            case Reported(fields):
                self._tell(from_fields(fields), self._readings.values())
            case ReadAnswered(packet_id, fields):
                reading = self._readings.get(packet_id)
                self._tell(from_fields(fields), [reading] if reading else [])
            case RawReceived(data):
                self._audience.tell(Raw(data))
            case Written(packet_id, answer) | Answered(packet_id, answer):
                self._answer(packet_id, answer)
            case Unanswered(packet_id):
                self._answer(packet_id, None)
            case Closed(reason):
                return reason
        return None

    def _tell(self, values: Values, readings: Iterable[Reading]) -> None:
        for reading in readings:
            reading.take(values)
        self._audience.tell(Change(values))

    def _answer(self, packet_id: int, answer: Any) -> None:
        future = self._answers.get(packet_id)
        if future is not None and not future.done():
            future.set_result(answer)

    def _ended(self, reason: str) -> None:
        self._audience.end(reason)
        if not self._logged_in.done():
            self._logged_in.set_exception(PathLostError(reason))
        for packet_id in self._answers:
            self._answer(packet_id, None)
        for reading in self._readings.values():
            reading.finish()
        self._all_sent.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


_: type[path.Path] = Link  # a link is a path
