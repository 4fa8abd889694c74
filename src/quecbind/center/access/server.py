"""Who is connected: the listeners for devices, their limits, one session per device, and the way to reach it.

A second log-in of a device ends the first, and only once it is accepted: whoever merely knows a client id cannot
disturb its owner. A device that does not read is dropped when its write buffer is full; one that sends faster than
storage takes it is not read from until storage has caught up. What a packet means is decided in `session`, who may
log in and what is kept, in the services.

In a storm of log-ins half of the time can go into waking up: uvloop accepts one connection per turn of the loop and
listener, so every turn would serve one log-in, and every answer would wake a peer that has nothing else to do. So the
same socket is listened on several times, and a turn reads all sockets, then serves, then writes.
"""

import asyncio
import functools
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from quecbind.center.access.connection import DeviceConnection
from quecbind.center.access.session import SessionLimits
from quecbind.center.access.tls_door import Handshakes, TlsDoor
from quecbind.center.access.wheel import TimerWheel
from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.ids import ClientId
from quecbind.center.domain.rates import MessageRate, TooFast
from quecbind.center.services.gate import DeviceGate
from quecbind.center.services.ports import Clock, Delivery
from quecbind.center.services.presence import Presence
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.services.uplink import Uplink
from quecbind.wire import commands

logger = logging.getLogger(__name__)

BACKLOG = 4096
ACCEPTS_PER_TURN = 16
CLOSE_TIME_S = 2.0
TICK_S = 1.0


# What can be met here, by the names of the settings.
ACCESS_LIMITS = (
    "max_connections",
    "max_connections_per_address",
    "max_messages_per_day",
    "max_pending_per_address",
    "message_rate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLimits(SessionLimits):
    """What all devices together are allowed and, by inheritance, each of them. The names are those of the settings."""

    max_connections: int = 120_000
    max_connections_per_address: int = 20_000
    max_pending_per_address: int = 1_000
    write_buffer_size: int = 65_536
    message_rate: int = 20
    message_burst: int = 400
    max_messages_per_day: int = 200_000


class AccessCounters:
    """Plain numbers, because they change at every log-in; whoever wants to show them reads them.

    Attributes:
        ended_count_by_reason: connections by why they ended, the refused ones included.
        limited_count_by_limit: what was refused or dropped, by the limit that it met.
    """

    __slots__ = (
        "downlink_count",
        "ended_count_by_reason",
        "limited_count_by_limit",
        "log_in_count",
        "message_count",
        "unreadable_count",
    )

    def __init__(self) -> None:
        self.log_in_count = 0
        self.message_count = 0
        self.unreadable_count = 0
        self.downlink_count = 0
        self.ended_count_by_reason: Counter[str] = Counter()
        self.limited_count_by_limit: Counter[str] = Counter()


class _Address:
    """How much one address has open."""

    __slots__ = ("connection_count", "pending_count")

    def __init__(self) -> None:
        self.connection_count = 0
        self.pending_count = 0


class AccessServer:
    """All device connections of this process; a `services.ports.DeviceLink`.

    Attributes:
        pending_count: messages that wait for storage.
        handshakes: TLS handshakes under way; they have the limit of connections that have not logged in, apart.
    """

    def __init__(
        self,
        gate: DeviceGate,
        uplink: Uplink,
        presence: Presence,
        *,
        clock: Clock,
        limits: AccessLimits,
        time: Callable[[], float] | None = None,
    ) -> None:
        """Must be made on the running event loop. Nothing is served before `listen`.

        Args:
            time: seconds that never go back, for time limits; the event loop's own if None.
        """
        self._loop = asyncio.get_running_loop()
        self.time = time or self._loop.time
        self.gate = gate
        self.uplink = uplink
        self.clock = clock
        self.limits = limits
        self.counters = AccessCounters()
        self.wheel: TimerWheel[DeviceConnection] = TimerWheel(self.time())
        self.pending_count = 0
        self.is_stopping = False
        self._message_rate = MessageRate(limits.message_rate, limits.message_burst, limits.max_messages_per_day)
        self._presence = presence
        self.handshakes = Handshakes(limits.max_pending_per_address, limits.max_connections)
        self._servers: list[asyncio.Server] = []
        self._doors: list[TlsDoor] = []
        self._connections: set[DeviceConnection] = set()
        self._session_by_client_id: dict[str, DeviceConnection] = {}
        self._address_by_name: dict[str, _Address] = {}
        self._arrivals: list[DeviceConnection] = []
        self._changed = asyncio.Event()
        self._ticking = self._loop.call_later(TICK_S, self._tick_on)

    @property
    def connection_count(self) -> int:
        """Open connections, logged in or not."""
        return len(self._connections)

    @property
    def session_count(self) -> int:
        """Devices that are logged in."""
        return len(self._session_by_client_id)

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve devices on a bound socket, over TLS when a context is given. Takes the socket over."""
        make_connection = functools.partial(DeviceConnection, self)
        if tls is not None:
            self._doors.append(TlsDoor(listener, tls, make_connection, self.handshakes))
            return
        with listener:
            for _ in range(ACCEPTS_PER_TURN):
                self._servers.append(
                    await self._loop.create_server(make_connection, sock=listener.dup(), backlog=BACKLOG)
                )

    async def stop(self, time_s: float) -> None:
        """Take no more, answer what is under way for at most `time_s`, then close every connection."""
        self.is_stopping = True
        for server in self._servers:
            server.close()
        for door in self._doors:
            await door.close()
        for connection in self._connections:
            connection.stop_reading()
        while self._arrivals:
            self._serve_arrivals()
        await self._wait_until(lambda: not self.pending_count, time_s)
        for connection in tuple(self._connections):
            connection.close("stopping")
        await self._wait_until(lambda: not self._connections, CLOSE_TIME_S)
        for connection in tuple(self._connections):
            connection.abort()
        await self._wait_until(lambda: not self._connections, CLOSE_TIME_S)
        self._ticking.cancel()

    # DeviceLink

    def is_online(self, client_id: ClientId) -> bool:
        """Whether the device is logged in."""
        return client_id in self._session_by_client_id

    def send(self, client_id: ClientId, command: int, payload: bytes, kind: str = "sys") -> bool:
        """Send one frame; False when the device is not connected or takes no more."""
        return self._send(client_id, command, payload, kind, None)

    def deliver(self, client_id: ClientId, command: int, payload: bytes, kind: str, delivery: Delivery) -> bool:
        """See `services.ports.DeviceLink`."""
        return self._send(client_id, command, payload, kind, delivery)

    def _send(self, client_id: ClientId, command: int, payload: bytes, kind: str, delivery: Delivery | None) -> bool:
        connection = self._session_by_client_id.get(client_id)
        if connection is None or not connection.send(command, payload, kind, delivery):
            return False
        self.counters.downlink_count += 1
        return True

    def disconnect(self, client_id: ClientId, reason: str) -> None:
        """End the device's session, if it has one, now."""
        connection = self._session_by_client_id.get(client_id)
        if connection is not None:
            connection.close(reason)

    # From the connections

    def note_arrival(self, connection: DeviceConnection) -> None:
        """Take note that a device sent something; it is served when every socket that is ready has been read."""
        if not self._arrivals:
            self._loop.call_soon(self._serve_arrivals)
        self._arrivals.append(connection)

    def _serve_arrivals(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        now = self.time()
        for connection in arrivals:
            try:
                connection.take(now)
            except Exception:  # one device's trouble must not become that of all who sent something meanwhile
                logger.exception("connection.failed address=%s", connection.address)
                connection.fail()
        for connection in arrivals:
            connection.settle(now)

    def take_message(self, entry: DeviceEntry, command: int) -> TooFast | None:
        """Count a message of a device; says when it is one too many."""
        now = self.clock.now()
        if entry.meter is None:
            entry.meter = self._message_rate.meter(now)
        is_bind_code = command == commands.BIND_CODE
        too_fast = self._message_rate.take(entry.meter, now, is_bind_code=is_bind_code)
        if too_fast is None and is_bind_code:
            too_fast = self._message_rate.take_audited(entry.meter, entry.client_id, now)
        if too_fast is not None:
            limit = "max_messages_per_day" if too_fast.limit == "messages_per_day" else "message_rate"
            self.counters.limited_count_by_limit[limit] += 1
        return too_fast

    def admit(self, connection: DeviceConnection) -> bool:
        """Whether a new connection is within the limits; it is counted if it is."""
        if self.is_stopping:
            return False
        name = counted_address(connection.address)
        limit = self._limit_against(name)
        if limit:
            self.counters.limited_count_by_limit[limit] += 1
            return False
        address = self._address_by_name.setdefault(name, _Address())
        address.connection_count += 1
        address.pending_count += 1
        self._connections.add(connection)
        return True

    def _limit_against(self, name: str) -> str:
        limits, address = self.limits, self._address_by_name.get(name)
        if len(self._connections) >= limits.max_connections:
            return "max_connections"
        if address is None:
            return ""
        if address.connection_count >= limits.max_connections_per_address:
            return "max_connections_per_address"
        if address.pending_count >= limits.max_pending_per_address:
            return "max_pending_per_address"
        return ""

    def begin(self, connection: DeviceConnection, client_id: str) -> None:
        """A device has logged in; an earlier session of it ends."""
        assert connection.entry is not None
        self.counters.log_in_count += 1
        self._address_by_name[counted_address(connection.address)].pending_count -= 1
        # Online before offline: a device that merely reconnects was never away.
        self._presence.online(connection.entry, connection.address)
        earlier = self._session_by_client_id.get(client_id)
        self._session_by_client_id[client_id] = connection
        if earlier is not None:
            earlier.close("taken_over")

    def end(self, connection: DeviceConnection, client_id: str) -> None:
        """A session is over, its socket perhaps not yet."""
        self.counters.ended_count_by_reason[connection.close_reason] += 1
        self.counters.unreadable_count += connection.unreadable_count
        if connection.entry is None:
            return
        if self._session_by_client_id.get(client_id) is connection:
            del self._session_by_client_id[client_id]
        self._presence.offline(connection.entry)

    def release(self, connection: DeviceConnection) -> None:
        """A socket is closed."""
        if not connection.is_admitted:
            return
        self._connections.discard(connection)
        name = counted_address(connection.address)
        address = self._address_by_name[name]
        address.connection_count -= 1
        if connection.entry is None:
            address.pending_count -= 1
        if not address.connection_count:
            del self._address_by_name[name]
        if self.is_stopping:
            self._changed.set()

    def settled_one(self) -> None:
        """Storage has answered for a message."""
        self.pending_count -= 1
        if self.is_stopping:
            self._changed.set()

    def tick(self) -> None:
        """Look after the time limits that have passed; happens by itself once a second."""
        now = self.time()
        for connection in self.wheel.take(now):
            connection.on_timer(now)

    def _tick_on(self) -> None:
        self._ticking = self._loop.call_later(TICK_S, self._tick_on)
        self.tick()

    async def _wait_until(self, is_so: Callable[[], bool], time_s: float) -> None:
        try:
            async with asyncio.timeout(time_s):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
