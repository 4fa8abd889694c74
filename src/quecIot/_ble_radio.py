"""BLE on a controller that bumble drives, on a thread and an event loop of its own. CPython only, and only on request.

Carries bytes between GATT and `_ble.Peripheral`, and decides nothing. The controller is named as bumble names its
transports: usb:0, serial:/dev/ttyUSB0, tcp-client:127.0.0.1:6001. No bonding: what protects a session is its own
encryption.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from bumble import att, device, hci
from bumble.core import UUID, BaseBumbleError
from bumble.gatt import GATT_DEVICE_NAME_CHARACTERISTIC, Characteristic, CharacteristicValue, Service
from bumble.transport import open_transport
from bumble.transport.common import TransportSink, TransportSource

from quecbind.wire import ble_advertising
from quecIot import _platform
from quecIot._ble import LARGEST_MTU, Central, Peripheral

ADVERTISE_EVERY_MS = 100.0
_AFTER_ERROR_S = 5.0
_GOODBYE_S = 2.0


def own_address(device_key: str) -> str:
    """A static random address that stays the device's; it says nothing of the device key."""
    raw = bytearray(hashlib.sha256(b"BLE address;" + device_key.encode()).digest()[:6])
    raw[0] |= 0xC0
    return ":".join("%02X" % byte for byte in raw)


class _Link:
    """One connection, and what its sending task waits for."""

    def __init__(self, connection: device.Connection, central: Central) -> None:
        self.connection = connection
        self.central = central
        self.is_subscribed = False
        self.is_over = False
        self.has_news = asyncio.Event()

    def end(self, sender: asyncio.Task[None]) -> None:
        """A cancellation alone may be lost: before Python 3.12, `wait_for` swallows one that comes with its result."""
        self.is_over = True
        self.has_news.set()
        sender.cancel()


class Radio:
    """One peripheral on one controller, in the running event loop."""

    def __init__(self, peripheral: Peripheral, monotonic: Callable[[], float] = _platform.monotonic) -> None:
        self._peripheral = peripheral
        self._monotonic = monotonic
        self._loop = asyncio.get_running_loop()
        self._links: dict[device.Connection, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._is_stopped = False
        self._advertised: tuple[bytes, bytes] | None = None
        self._data: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(ble_advertising.DATA_CHARACTERISTIC),
            Characteristic.Properties.WRITE | Characteristic.Properties.INDICATE,
            Characteristic.WRITEABLE,
            CharacteristicValue(read=_not_readable, write=self._written),
        )
        self._log: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(ble_advertising.LOG_CHARACTERISTIC),
            Characteristic.Properties.NOTIFY,
            Characteristic.Permissions(0),
            CharacteristicValue(read=_not_readable, write=_not_writable),
        )

    async def run(self, source: TransportSource, sink: TransportSink) -> None:
        """Serves until `stop`.

        Raises:
            Exception: whatever bumble says of a controller that cannot be used, or is gone.
        """
        device_key = self._peripheral.device_key()
        address = hci.Address(own_address(device_key))
        self._device = device.Device.with_hci(ble_advertising.name(device_key), address, source, sink)
        self._device.gatt_server.max_mtu = LARGEST_MTU
        self._device.add_service(Service(UUID.from_16_bits(ble_advertising.SERVICE), [self._data, self._log]))
        self._data.on(Characteristic.EVENT_SUBSCRIPTION, self._subscribed)
        self._log.on(Characteristic.EVENT_SUBSCRIPTION, self._log_subscribed)
        self._device.on(device.Device.EVENT_CONNECTION, self._connected)
        await self._device.power_on()
        try:
            while not self._is_stopped:
                self._changed.clear()
                await self._advertise()
                for central in self._peripheral.handle_timer(self._monotonic()):
                    self._end(central)
                self._tell_all()
                await self._wait()
        finally:
            for link in self._links.values():
                link.is_over = True
                link.has_news.set()
            for task in self._tasks:
                task.cancel()
            await self._fall_silent()

    async def _fall_silent(self) -> None:
        """A controller that is merely left would go on advertising, and keep its connections."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                for connection in list(self._links):
                    await connection.disconnect()
                await self._device.stop_advertising()
                await self._device.power_off()
        except (TimeoutError, BaseBumbleError) as error:
            _platform.log(_platform.INFO, "BLE: the controller does not answer any more: %s" % type(error).__name__)

    def stop(self) -> None:
        """Ends `run`. In the loop."""
        self._is_stopped = True
        self._changed.set()

    async def _wait(self) -> None:
        due = self._peripheral.next_timer()
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._monotonic())):
                await self._changed.wait()
        except TimeoutError:
            pass

    def refresh(self) -> None:
        """Something about the device has changed. From any thread, also after the end."""
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop is closed
            pass

    def do(self, act: Callable[[], None]) -> None:
        """Runs `act` in the loop and sends what it made. From any thread."""

        def run() -> None:
            act()
            self._tell_all()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            pass

    # --- advertising ---

    async def _advertise(self) -> None:
        wanted = self._peripheral.advertisement()
        if wanted is not None and wanted == self._advertised and self._device.is_advertising:
            return
        self._advertised = wanted
        if wanted is None:
            await self._device.stop_advertising()
            return
        self._rename(ble_advertising.name(self._peripheral.device_key()))
        await self._device.start_advertising(
            advertising_data=wanted[0],
            scan_response_data=wanted[1],
            advertising_interval_min=ADVERTISE_EVERY_MS,
            advertising_interval_max=ADVERTISE_EVERY_MS,
        )

    def _rename(self, name: str) -> None:
        """What who is connected reads is what was advertised: systems keep the one they read."""
        for attribute in self._device.gatt_server.attributes:
            if isinstance(attribute, Characteristic) and attribute.uuid == GATT_DEVICE_NAME_CHARACTERISTIC:
                attribute.value = name.encode()

    # --- connections ---

    def _connected(self, connection: device.Connection) -> None:
        self._changed.set()  # a connection ends the advertising
        central = self._peripheral.connected(str(connection.peer_address), self._monotonic())
        if central is None:
            self._spawn(_hang_up(connection), "refuse")
            return
        link = self._links[connection] = _Link(connection, central)
        connection.on(device.Connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: self._mtu_changed(link))
        sender = self._spawn(self._send(link), "send")

        def ended(_: object) -> None:
            link.end(sender)
            self._links.pop(connection, None)
            self._peripheral.disconnected(central)
            self._changed.set()

        connection.on(device.Connection.EVENT_DISCONNECTION, ended)

    def _mtu_changed(self, link: _Link) -> None:
        self._peripheral.mtu_changed(link.central, link.connection.att_mtu)

    def _subscribed(self, connection: device.Connection, notify: bool, indicate: bool) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.is_subscribed = indicate
            link.has_news.set()

    def _log_subscribed(self, connection: device.Connection, notify: bool, indicate: bool) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.central.wants_log = notify

    def _written(self, connection: device.Connection, data: bytes) -> None:
        link = self._links.get(connection)
        if link is None:
            raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)
        if not self._peripheral.written(link.central, bytes(data), self._monotonic()):
            self._spawn(_hang_up(connection), "end")
            return
        link.has_news.set()
        self._changed.set()  # the timers may have moved

    def _end(self, central: Central) -> None:
        for link in list(self._links.values()):
            if link.central is central:
                self._spawn(_hang_up(link.connection), "end")

    def _tell_all(self) -> None:
        for link in self._links.values():
            link.has_news.set()

    async def _send(self, link: _Link) -> None:
        """One indication at a time, each confirmed; a peer that does not confirm is let go, as the standard says."""
        server = self._device.gatt_server
        try:
            while not link.is_over:
                await link.has_news.wait()
                link.has_news.clear()
                while link.is_subscribed and (chunk := link.central.next_chunk()):
                    await server.indicate_subscriber(link.connection, self._data, chunk)
                while line := link.central.next_line():
                    await server.notify_subscriber(link.connection, self._log, line)
        except (TimeoutError, BaseBumbleError):
            await _hang_up(link.connection)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name="quecIot BLE %s" % name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _platform.log(_platform.INFO, "BLE: a connection ended: %s" % type(task.exception()).__name__)


async def _hang_up(connection: device.Connection) -> None:
    """In bounded time: when both ends hang up at once, bumble waits for what does not come."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await connection.disconnect()
    except (TimeoutError, BaseBumbleError):
        pass


def _not_readable(connection: device.Connection) -> bytes:
    raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)


def _not_writable(connection: device.Connection, data: bytes) -> None:
    raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)


class _LogLines(logging.Handler):
    """Hands the device's log on, from whatever thread it comes."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record.getMessage())


class BleServer:
    """The peripheral on a thread, on the controller behind a transport. A controller that is lost is opened again."""

    def __init__(self, peripheral: Peripheral, transport: str) -> None:
        self._peripheral = peripheral
        self._transport = transport
        self._radio: Radio | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = threading.Event()

    def start(self) -> None:
        _platform.start_thread(self._run, "quecIot BLE")

    def stop(self) -> None:
        self._is_stopped.set()
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._end)
            except RuntimeError:
                pass

    def _end(self) -> None:
        radio = self._radio
        if radio is not None:
            radio.stop()
        elif self._task is not None:
            self._task.cancel()

    def refresh(self) -> None:
        """Something about the device has changed. From any thread."""
        radio = self._radio  # its thread may take it away at any moment
        if radio is not None:
            radio.refresh()

    def report(self, command: int, payload: bytes) -> None:
        """Tells every App that is logged in. From any thread."""
        self._do(lambda: self._peripheral.report(command, payload))

    def answer_read(self, packet_id: int, payload: bytes) -> bool:
        """Tells the properties to whichever App has asked for them; False when none has. From any thread."""
        if not self._peripheral.has_asked(packet_id):
            return False
        return self._do(lambda: self._peripheral.answer_read(packet_id, payload))

    def _do(self, act: Callable[[], None]) -> bool:
        """Has the radio's loop do it; False when there is no radio."""
        radio = self._radio
        if radio is not None:
            radio.do(act)
        return radio is not None

    def _run(self) -> None:
        handler = _LogLines(self._logged)
        logging.getLogger("quecIot").addHandler(handler)
        try:
            while not self._is_stopped.is_set():
                try:
                    asyncio.run(self._serve())
                except asyncio.CancelledError:
                    break
                except Exception as error:  # noqa: BLE001 - whatever the controller or its driver does
                    text = "BLE: the controller cannot be used (%s), trying again" % type(error).__name__
                    _platform.log(_platform.WARNING, text)
                self._radio = None
                self._is_stopped.wait(_AFTER_ERROR_S)
        finally:
            logging.getLogger("quecIot").removeHandler(handler)

    def _logged(self, line: str) -> None:
        self._do(lambda: self._peripheral.logged(line))

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._is_stopped.is_set():
            return
        async with await open_transport(self._transport) as transport:
            self._radio = Radio(self._peripheral)
            served = asyncio.ensure_future(self._radio.run(transport.source, transport.sink))
            lost = transport.source.terminated
            try:
                await asyncio.wait((served, lost), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (served, lost):
                    task.cancel()
            for done in (served, lost):
                if done.done() and not done.cancelled():
                    done.result()
            if not self._is_stopped.is_set():
                raise ConnectionError("the controller is gone")
