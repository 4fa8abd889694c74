"""The real local network: UDP for the search, TCP for pairing, both bounded in time and size.

Carries bytes between sockets and the sans-IO `Search`, `PairingSession` and `SealedSession`, and decides nothing.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from quecbind.app.bounded import MAX_WAIT_S, BoundedExchange
from quecbind.app.errors import PairingError
from quecbind.app.lan.search import FoundDevice, Search
from quecbind.app.lan.session import PairingSession
from quecbind.app.lan.tcp_line import open_line
from quecbind.app.line import carry
from quecbind.app.sealed_session import SealedSession
from quecbind.wire import ble_advertising, lan

BROADCAST = "255.255.255.255"


class _Searcher(asyncio.DatagramProtocol):
    def __init__(self, search: Search, enough: Callable[[FoundDevice], bool] | None) -> None:
        self._search = search
        self._enough = enough
        self.is_satisfied = asyncio.Event()
        self.error: Exception | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        device = self._search.receive_datagram(data, addr[0])
        if device is not None and self._enough is not None and self._enough(device):
            self.is_satisfied.set()

    def error_received(self, exc: Exception) -> None:
        # "Nobody there" for one probe does not end a search, but it explains one that found nothing.
        self.error = exc


async def discover(
    port: int = lan.UDP_PORT,
    address: str = BROADCAST,
    seconds: float = 3.0,
    enough: Callable[[FoundDevice], bool] | None = None,
) -> list[FoundDevice]:
    """The devices that answered within `seconds`, sooner when `enough` says so of one of them.

    The search leaves from a port of its own: devices answer to where a probe came from, and a second program on
    this machine (a device under test, say) may hold the discovery port.

    Raises:
        PairingError: nothing was found because the probe could not be sent.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()
    end = now + seconds
    search = Search(now)
    try:
        transport, searcher = await loop.create_datagram_endpoint(
            lambda: _Searcher(search, enough), family=socket.AF_INET, allow_broadcast=True
        )
    except OSError as error:
        raise PairingError(f"the local network cannot be searched: {error.strerror or error}") from error
    try:
        while now < end and not searcher.is_satisfied.is_set():
            search.handle_timer(now)
            for probe in search.data_to_send():
                transport.sendto(probe, (address, port))
            try:
                async with asyncio.timeout_at(min(end, search.next_timer())):
                    await searcher.is_satisfied.wait()
            except TimeoutError:
                pass
            now = loop.time()
    finally:
        transport.close()
    if not search.found and searcher.error is not None:
        raise PairingError(f"the local network cannot be searched: {searcher.error}")
    return search.found


class LocalNetwork:
    """The network as `pairing` wants it: where to search, and the PIN if there is one, are fixed once."""

    searching = "searching the local network"
    nowhere = "on the local network"
    capabilities = ble_advertising.WAN | ble_advertising.LAN

    def __init__(self, port: int = lan.UDP_PORT, address: str = BROADCAST, pin: str | None = None) -> None:
        self._port = port
        self._address = address
        self._pin = pin

    async def discover(self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None) -> list[FoundDevice]:
        return await discover(self._port, self._address, seconds, enough)

    async def pair(self, device: FoundDevice, seconds: float) -> lan.Pairing:
        if self._pin is None:
            return await pair(device.address, device.port, seconds)
        return await pair_sealed(device, self._pin, seconds)


async def pair(address: str, port: int = lan.TCP_PORT, seconds: float = MAX_WAIT_S) -> lan.Pairing:
    """What the device at this address says of itself; `bind_code` is None while its bind window is closed.

    Raises:
        PairingError: no connection, no answer in time, or none that can be read.
    """
    session = PairingSession(asyncio.get_running_loop().time(), seconds)
    return await _run(session, address, port)


async def pair_sealed(device: FoundDevice, pin: str, seconds: float = MAX_WAIT_S) -> lan.Pairing:
    """The bind code of a device that hands it over for its PIN only (quecbind extension).

    Raises:
        WrongPinError: the PIN is not the device's.
        NoBindCodeError: its bind window is closed, or it has no PIN.
        PairingError: no connection, no answer in time, or none that can be read.
    """
    now = asyncio.get_running_loop().time()
    session = SealedSession(pin, device.product_key, device.device_key, os.urandom, now, seconds)
    return await _run(session, device.address, device.port)


async def _run(session: BoundedExchange, address: str, port: int) -> lan.Pairing:
    try:
        async with asyncio.timeout_at(session.next_timer()):
            line = await open_line(address, port)
    except TimeoutError:
        raise PairingError("the device did not answer in time") from None
    except OSError as error:
        raise PairingError(f"the device at {address}:{port} cannot be reached: {error.strerror or error}") from error
    try:
        return await carry(session, line)
    finally:
        await line.close()
