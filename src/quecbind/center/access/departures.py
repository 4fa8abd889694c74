"""What was sent to a device on one connection and is not acknowledged: the packet ids in use, and who follows which.

Packet ids are 1..255 and frame packet ids 1..0xFFFE, because devices mishandle longer ones and 0 and 0xFFFF. Sends
nothing itself and keeps at most `MAX_IN_FLIGHT`; what is not acknowledged in time makes room when there is none left.
"""

from quecbind.center.services.ports import PUBACK_S, Delivery

MAX_IN_FLIGHT = 32
HIGHEST_DOWNLINK_ID = 255
HIGHEST_FRAME_ID = 0xFFFE


class Acknowledged:
    """A frame that `Session.send_frame` was asked to follow: its PUBACK has come."""

    __slots__ = ("delivery",)

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery


class Departures:
    """The frames of one connection."""

    __slots__ = ("_frame_id", "_in_flight", "_packet_id")

    def __init__(self) -> None:
        self._frame_id = 0
        self._packet_id = 0
        self._in_flight: dict[int, tuple[float, Delivery | None]] = {}

    def next_ids(self, now: float) -> tuple[int, int] | None:
        """The packet id and the frame packet id of one more; None when too many are unacknowledged."""
        in_flight = self._in_flight
        if len(in_flight) >= MAX_IN_FLIGHT:
            for packet_id, (sent_at, _) in tuple(in_flight.items()):
                if sent_at < now - PUBACK_S:
                    del in_flight[packet_id]
            if len(in_flight) >= MAX_IN_FLIGHT:
                return None
        packet_id = self._packet_id % HIGHEST_DOWNLINK_ID + 1
        while packet_id in in_flight:
            packet_id = packet_id % HIGHEST_DOWNLINK_ID + 1
        return packet_id, self._frame_id % HIGHEST_FRAME_ID + 1

    def add(self, packet_id: int, frame_id: int, now: float, delivery: Delivery | None) -> None:
        """It was sent, under the ids that `next_ids` gave."""
        self._packet_id, self._frame_id = packet_id, frame_id
        self._in_flight[packet_id] = now, delivery

    def acknowledge(self, packet_id: int) -> Acknowledged | None:
        """The device has acknowledged it; None when nobody follows it, or nothing is under way with that id."""
        _, delivery = self._in_flight.pop(packet_id, (0.0, None))
        return None if delivery is None else Acknowledged(delivery)

    def undelivered(self) -> list[Delivery]:
        """What is followed and not acknowledged."""
        return [delivery for _, delivery in self._in_flight.values() if delivery is not None]
