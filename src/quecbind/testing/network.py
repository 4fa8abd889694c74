"""A local network without sockets: the App's own search and pairing sessions, wired to devices in memory.

Every byte goes through the real encoders and decoders; only the carrying is left out. Time passes on the clock it is
given, as it would on a real network: a search lasts as long as it was asked to, unless it has found enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

from quecbind.app.errors import PairingError
from quecbind.app.lan.search import FoundDevice, Search
from quecbind.app.lan.session import PairingSession
from quecbind.testing.clock import FakeClock
from quecbind.wire import ble_advertising, commands, frame, lan


@dataclass
class MemoryDevice:
    """A device that answers searches and pairing; set `bind_code` to open its window, `is_on` to switch it.

    `answer` replaces what it says to a pairing request, for devices that misbehave.
    """

    product_key: str
    device_key: str
    address: str = "192.0.2.10"
    port: int = lan.TCP_PORT
    bind_code: str | None = None
    is_on: bool = True
    announced_address: str | None = None
    answer: bytes | None = None

    def answer_datagram(self, datagram: bytes) -> bytes | None:
        """0x7031 for 0x7030, silence for anything else."""
        asked = frame.decode(datagram)
        if not self.is_on or asked.command != commands.DISCOVER:
            return None
        payload = lan.discover_answer(
            self.product_key, self.device_key, self.announced_address or self.address, self.port
        )
        return frame.encode(asked.packet_id, commands.DISCOVER_ANSWER, payload)

    def answer_stream(self, data: bytes) -> bytes:
        """0x7011 for 0x7010; nothing, and the end of the connection, for anything else."""
        if self.answer is not None:
            return self.answer
        for asked in frame.FrameReader().feed(data):
            if asked.command == commands.PROVISION:
                payload = lan.provision_answer(self.product_key, self.device_key, self.bind_code)
                return frame.encode(asked.packet_id, commands.PROVISION_ANSWER, payload)
        return b""


class MemoryNetwork:
    """What `quecbind.app.pairing.bind_nearby` takes as its network.

    Attributes:
        devices: who is there; add and remove as the test needs.
        on_discover: called at the start of each search, to let something happen meanwhile.
    """

    searching = "searching the local network"
    nowhere = "on the local network"
    capabilities = ble_advertising.WAN | ble_advertising.LAN

    def __init__(self, clock: FakeClock, *devices: MemoryDevice) -> None:
        self.devices = list(devices)
        self.on_discover: Callable[[], None] | None = None
        self._clock = clock

    async def discover(self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None) -> list[FoundDevice]:
        """Searches as `quecbind.app.lan.discover` does."""
        if self.on_discover is not None:
            self.on_discover()
        search = Search(self._clock.monotonic())
        end = self._clock.monotonic() + seconds
        while True:
            search.handle_timer(self._clock.monotonic())
            for probe in search.data_to_send():
                for device in self.devices:
                    answer = device.answer_datagram(probe)
                    found = search.receive_datagram(answer, device.address) if answer else None
                    if found is not None and enough is not None and enough(found):
                        return search.found
            until = min(end, search.next_timer())
            self._clock.move(until - self._clock.monotonic())
            if until >= end:
                return search.found

    async def pair(self, device: FoundDevice, seconds: float) -> lan.Pairing:
        """Pairs as `quecbind.app.lan.pair` does."""
        session = PairingSession(self._clock.monotonic(), seconds)
        for candidate in self.devices:
            if candidate.is_on and (candidate.address, candidate.port) == (device.address, device.port):
                session.receive_data(candidate.answer_stream(session.data_to_send()), self._clock.monotonic())
                break
        if not session.is_over():
            self._clock.move(seconds)
            session.handle_timer(self._clock.monotonic())
        if session.pairing is None:
            raise session.error or PairingError("the device gave no answer")
        return session.pairing
