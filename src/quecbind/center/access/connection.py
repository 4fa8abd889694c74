"""One accepted socket: its bytes go to the session, the session's questions to the services, their answers back.

No task, no loop timer and no await per connection, nothing logged: log-ins come by the thousand. Decides nothing
that `session` can decide. `AccessServer` knows which connection is the device's present one.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quecbind.center.access.arrivals import Message
from quecbind.center.access.departures import Acknowledged
from quecbind.center.access.session import CLOSED, Ask, Session, Verdict
from quecbind.center.access.wheel import NO_SLOT
from quecbind.center.domain import refusal
from quecbind.center.domain.connection import Accepted, Unavailable
from quecbind.center.services.gate import is_outdated
from quecbind.center.services.ports import Delivery
from quecbind.center.services.registry import DeviceEntry
from quecbind.wire import commands, ttlv
from quecbind.wire.mqtt import Connect

if TYPE_CHECKING:
    from quecbind.center.access.server import AccessServer

# How often a connection that is not read from, and so has no deadline, is looked at.
PAUSED_CHECK_S = 30.0
# What one connection is served of in one turn: who sends small packets without end must not keep the others waiting.
SLICE_SIZE = 2_048


class DeviceConnection(asyncio.Protocol):
    """A device's connection from accept to close.

    Attributes:
        address: of the peer; empty when the system did not say.
        certificate_names: for whom the peer has a certificate that we trust; None when it showed none.
        entry: the device, from its log-in on and after the close too.
        slot: where the timer wheel has it.
    """

    __slots__ = (
        "_access",
        "_is_noted",
        "_is_over",
        "_is_paused",
        "_served_size",
        "_session",
        "_transport",
        "_unserved",
        "address",
        "certificate_names",
        "entry",
        "is_admitted",
        "slot",
    )

    def __init__(self, access: "AccessServer") -> None:
        self._access = access
        self._session = Session(access.limits, access.time())
        self._transport: asyncio.Transport
        self._is_paused = False
        self._is_over = False
        self._is_noted = False
        self._unserved = b""
        self._served_size = 0
        self.is_admitted = False
        self.address = ""
        self.certificate_names: tuple[str, ...] | None = None
        self.entry: DeviceEntry | None = None
        self.slot = NO_SLOT

    @property
    def close_reason(self) -> str:
        """Why it was closed, as a word to count by; empty while open."""
        return self._session.close_reason

    @property
    def unreadable_count(self) -> int:
        """Messages acknowledged and dropped because they held no frame."""
        return self._session.unreadable_count

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        access = self._access
        self._transport = transport  # type: ignore[assignment]  # TCP and TLS give no less
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        certificate = transport.get_extra_info("peercert")
        if certificate:
            self.certificate_names = _names_in(certificate)
        self.is_admitted = access.admit(self)
        if not self.is_admitted:
            self._cut("refused")
            return
        self._transport.set_write_buffer_limits(access.limits.write_buffer_size)
        access.wheel.place(self, access.time() + access.limits.log_in_time_s)

    def data_received(self, data: bytes) -> None:
        self._unserved = self._unserved + data if self._unserved else data
        if len(self._unserved) > SLICE_SIZE:
            self.stop_reading()
        self._note()

    def take(self, now: float) -> None:
        """Serve the next of what has arrived; `settle` writes what there is to say."""
        self._is_noted = False
        data = self._unserved
        if len(data) > SLICE_SIZE:
            begin = self._served_size
            self._served_size = begin + SLICE_SIZE
            data = data[begin : self._served_size]
        if len(self._unserved) <= max(self._served_size, SLICE_SIZE):
            self._unserved, self._served_size = b"", 0
        asks = self._session.receive_data(data, now)
        if asks:
            self._ask(asks, now)

    def _note(self) -> None:
        if not self._is_noted:
            self._is_noted = True
            self._access.note_arrival(self)

    def pause_writing(self) -> None:
        # The device does not read: whatever else is kept for it, it will not get.
        self._cut("slow_reader")

    def resume_writing(self) -> None:
        """Nothing to resume: the connection was dropped when its buffer was full."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.close("gone", self._access.time())
        self._finish()
        self._access.wheel.remove(self)
        self._access.release(self)

    # From the server

    def on_timer(self, now: float) -> None:
        """Its slot of the wheel has come: silence, a slow log-in, or a close that the device does not take."""
        if self._session.phase is CLOSED:
            self._transport.abort()
            return
        due = self._session.next_timer()
        if due is None or due > now:
            self._access.wheel.place(self, now + PAUSED_CHECK_S if due is None else due)
            return
        self._session.handle_timer(now)
        self.settle(now)

    def send(self, command: int, payload: bytes, kind: str, delivery: Delivery | None = None) -> bool:
        """Send one frame to the device; False when it cannot be sent now. See `DeviceLink.deliver`."""
        now = self._access.time()
        is_sent = self._session.send_frame(command, payload, kind, now, delivery)
        self.settle(now)
        return is_sent

    def stop_reading(self) -> None:
        """Take nothing more from the device."""
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def close(self, reason: str) -> None:
        """End the session; what was written before still goes out."""
        now = self._access.time()
        self._session.close(reason, now)
        self.settle(now)

    def fail(self) -> None:
        """Drop the connection because serving it failed."""
        self._cut("failed")

    def abort(self) -> None:
        """Drop the connection as it is."""
        self._transport.abort()

    # Questions and answers

    def _ask(self, asks: Sequence[Ask], now: float) -> None:
        if len(asks) == 1:
            asks = self._ask_one(asks[0], now)
        if asks:
            queue = deque(asks)
            while queue:
                queue.extend(self._ask_one(queue.popleft(), now))

    def _ask_one(self, ask: Ask, now: float) -> Sequence[Ask]:
        if isinstance(ask, Message):
            return self._deliver(ask, now)
        if isinstance(ask, Acknowledged):
            ask.delivery(True)
            return ()
        return self._judge(ask, now)

    def _judge(self, connect: Connect, now: float) -> Sequence[Ask]:
        verdict = self._access.gate.connect(
            connect.client_id, connect.user_name, connect.password, self.address, self.certificate_names
        )
        if isinstance(verdict, asyncio.Future):
            verdict.add_done_callback(self._judged)
            return ()
        return self._take_verdict(verdict, now)

    def _judged(self, answer: "asyncio.Future[Verdict]") -> None:
        if self._session.phase is CLOSED:
            return
        now = self._access.time()
        failed = answer.cancelled() or answer.exception() is not None
        verdict = Unavailable() if failed else answer.result()
        if isinstance(verdict, Accepted) and is_outdated(verdict):
            verdict = Unavailable()
        self._ask(self._take_verdict(verdict, now), now)
        self.settle(now)

    def _take_verdict(self, verdict: Verdict, now: float) -> Sequence[Ask]:
        session = self._session
        asks = session.answer_connect(verdict, now)
        if session.entry is not None:
            self.entry = session.entry
            self._access.begin(self, session.client_id)
        due = session.next_timer()
        if due is not None and due < self.slot:
            self._access.wheel.place(self, due)
        return asks

    def _deliver(self, message: Message, now: float) -> Sequence[Ask]:
        access, entry = self._access, self.entry
        assert entry is not None
        assert message.frame is not None
        access.counters.message_count += 1
        proof = access.gate.used(entry) if message.proves_secret else None
        too_fast = access.take_message(entry, message.frame.command)
        stored = None if too_fast else access.uplink.receive(entry, message.frame, access.clock.now())
        if too_fast is not None and too_fast.is_told:
            code = refusal.DEVICE_LIMIT_REACHED if too_fast.limit == "messages_per_day" else refusal.TOO_FREQUENT
            payload = ttlv.encode([(commands.EXCEPTION_CODE, code)])
            self._session.send_frame(commands.EXCEPTION_DOWN, payload, "sys", now)
        if proof is None and stored is None:
            return self._session.answer_message(message, now)
        access.pending_count += 1
        pending = _Pending(self, message)
        for answer in (proof, stored):
            if answer is not None:
                pending.wait_for(answer)
        return ()

    def take_answer(self, message: Message, failure: str) -> None:
        """A message that had to wait is safe; or `failure` says why not, and the device has to come again."""
        self._access.settled_one()
        if self._session.phase is CLOSED:
            return
        now = self._access.time()
        if failure:
            self._session.close(failure, now)
        else:
            self._ask(self._session.answer_message(message, now), now)
        self.settle(now)

    # The socket follows the session

    def settle(self, now: float) -> None:
        """Bring the socket to where the session is: write, stop reading or go on, close."""
        if self._is_over:
            return
        session = self._session
        data = session.data_to_send()
        if data:
            self._transport.write(data)
        if session.phase is CLOSED:
            self._finish()
            self._access.wheel.place(self, session.next_timer() or now)
            self._transport.close()
            self._unserved = b""
            return
        has_more = self._unserved != b""
        if has_more and not session.is_full:
            self._note()
        is_paused = session.is_full or has_more
        if is_paused is not self._is_paused and not self._access.is_stopping:
            self._is_paused = is_paused
            if is_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _cut(self, reason: str) -> None:
        self._session.close(reason, self._access.time())
        self._finish()
        self._transport.abort()

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._access.end(self, self._session.client_id)
            for delivery in self._session.take_undelivered():
                delivery(False)


class _Pending:
    """A message that waits for storage: for its own content, for the first use of a new secret, or for both."""

    __slots__ = ("_connection", "_failure", "_left_count", "_message")

    def __init__(self, connection: DeviceConnection, message: Message) -> None:
        self._connection = connection
        self._message = message
        self._failure = ""
        self._left_count = 0

    def wait_for(self, answer: "asyncio.Future[Any]") -> None:
        self._left_count += 1
        answer.add_done_callback(self._take)

    def _take(self, answer: "asyncio.Future[Any]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._failure = "storage_failed"
        elif answer.result() is False:
            # The secret this connection was given is worthless: another one was issued meanwhile.
            self._failure = "secret_replaced"
        self._left_count -= 1
        if not self._left_count:
            self._connection.take_answer(self._message, self._failure)


def _names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Common names, DNS names and URIs of a certificate as `ssl` decodes it."""
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI")]
    return (*subject, *others)
