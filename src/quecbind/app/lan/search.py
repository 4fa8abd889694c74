"""Searching the local network for devices, without the network: datagrams in, probes and devices out.

The App sends 0x7030 at once and then every 3 seconds, because a device may be busy or its answer lost. Devices
answer 0x7031 to wherever the probe came from. A datagram proves nothing: its sender may announce any address, so
the address of a found device is the one its datagram came from, never the announced one, and two senders that claim
the same device are both kept: whoever wants the device finds out which of them is it by talking to both.
"""

from dataclasses import dataclass
from typing import Self

from quecbind.wire import commands, frame, lan
from quecbind.wire.errors import WireError

PROBE_EVERY_S = 3.0
MAX_FOUND = 1024
_FIRST_PACKET_ID = 1000  # Apps count their packet ids from here
_MAX_DATAGRAM = 512


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that answered; `announced_address` is its own word for where it is, for display only."""

    product_key: str
    device_key: str
    address: str
    port: int
    announced_address: str | None
    version: int

    @property
    def where(self) -> str:
        return f"{self.address}:{self.port}"

    def called(self, device_key: str) -> Self | None:
        return self if device_key == self.device_key else None


class Search:
    """One search; begins with a probe that is due at once.

    Attributes:
        found: the devices so far, in the order of their answers.
        ignored_count: datagrams that were no answer to a search.
    """

    def __init__(self, now: float) -> None:
        self.found: list[FoundDevice] = []
        self.ignored_count = 0
        self._next_probe_at = now
        self._packet_id = _FIRST_PACKET_ID - 1
        self._to_send: list[bytes] = []

    def next_timer(self) -> float:
        """When `handle_timer` wants to be called."""
        return self._next_probe_at

    def handle_timer(self, now: float) -> None:
        if now >= self._next_probe_at:
            self._packet_id += 1
            self._to_send.append(frame.encode(self._packet_id, commands.DISCOVER))
            self._next_probe_at = now + PROBE_EVERY_S

    def data_to_send(self) -> list[bytes]:
        """The datagrams to send now; asking takes them away."""
        data, self._to_send = self._to_send, []
        return data

    def receive_datagram(self, data: bytes, source: str) -> FoundDevice | None:
        """The device a datagram shows for the first time, None when it shows none or one that is known."""
        announced = _announcement(data)
        if announced is None:
            self.ignored_count += 1
            return None
        device = FoundDevice(
            product_key=announced.product_key,
            device_key=announced.device_key,
            address=source,
            port=announced.port,
            announced_address=announced.address,
            version=announced.version,
        )
        if device in self.found or len(self.found) >= MAX_FOUND:
            return None
        self.found.append(device)
        return device


def _announcement(data: bytes) -> lan.Announcement | None:
    if len(data) > _MAX_DATAGRAM:
        return None
    try:
        answer = frame.decode(data)
        # Not every device repeats the packet id of the probe, and guessing it is no feat: it is not compared.
        return lan.parse_discover_answer(answer.payload) if answer.command == commands.DISCOVER_ANSWER else None
    except WireError:
        return None
