"""The AA AA frame around every command, on MQTT, LAN and BLE alike.

`AA AA | length u16 | sum u8 | packet id u16 | command u16 | payload`, big endian. length = 5 + payload; sum = low
byte of the sum from packet id to the end; both count bytes as they were before escaping. From the second header
byte on, 55 is inserted after every AA that is followed by AA or 55 or ends the frame, so AA AA is always a header.
Peers differ in one point: some leave out the 55 after a last AA, so it is written and never required.
A frame here says nothing about whether its packet id or command may be used.
"""

from collections import namedtuple

from quecbind.wire.errors import FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PAYLOAD = 65526  # what QuecThing devices accept; the length field alone would allow 65530
MAX_FRAME = 65539  # un-escaped, header included: the largest the length field can say

Frame = namedtuple("Frame", ("packet_id", "command", "payload"))


def encode(packet_id: int, command: int, payload: bytes = b"") -> bytes:
    """One frame, escaped, with the 55 after a last AA.

    Raises:
        FrameError: packet id or command outside 0..0xFFFF, or payload over 65526 bytes.
    """
    if not 0 <= packet_id <= 0xFFFF:
        raise FrameError("frame: packet id must be 0..0xFFFF")
    if not 0 <= command <= 0xFFFF:
        raise FrameError("frame: command must be 0..0xFFFF")
    if len(payload) > MAX_PAYLOAD:
        raise FrameError("frame: payload is %d bytes, at most %d fit" % (len(payload), MAX_PAYLOAD))
    body = bytes((packet_id >> 8, packet_id & 255, command >> 8, command & 255)) + payload
    length = len(body) + 1
    return b"\xaa" + _escape(bytes((0xAA, length >> 8, length & 255, sum(body) & 255)) + body)


def _escape(data: bytes) -> bytes:
    pieces = data.split(b"\xaa")
    out = [pieces[0]]
    for piece in pieces[1:]:
        # an empty piece is a following AA, or the end
        out.append(b"\xaa\x55" if not piece or piece[0] == 0x55 else b"\xaa")
        out.append(piece)
    return b"".join(out)


def decode(data: bytes, max_frame: int = MAX_FRAME) -> "Frame":
    """The frame an MQTT message starts with; whatever follows it is ignored.

    Args:
        data: the whole message.
        max_frame: largest frame let through, un-escaped, header included.

    Raises:
        FrameError: not a frame, cut short, interrupted by another header, too large, or its sum is wrong.
    """
    if data[:2] != b"\xaa\xaa":
        raise FrameError("frame: does not begin with AA AA")
    plain = b"\xaa" + data[1:].replace(b"\xaa\x55", b"\xaa")
    if len(plain) < 4:
        raise FrameError("frame: cut short in the length")
    size = _size(plain[2] << 8 | plain[3], max_frame)
    if len(plain) < size:
        raise FrameError("frame: cut short, %d of %d bytes" % (len(plain), size))
    header = data.find(b"\xaa\xaa", 1)
    # + 1 for the first AA, which `data[1:...]` leaves out
    if header > 0 and len(data[1 : header + 1].replace(b"\xaa\x55", b"\xaa")) + 1 < size:
        raise FrameError("frame: interrupted by another AA AA")
    return _frame(plain[4:size])


def _size(length: int, max_frame: int) -> int:
    if length < 5:
        raise FrameError("frame: length %d is below 5" % length)
    if length + 4 > max_frame:
        raise FrameError("frame: %d bytes, at most %d are allowed" % (length + 4, max_frame))
    return length + 4


def _frame(data: "bytes | bytearray") -> "Frame":
    """The frame of un-escaped bytes that begin with the sum."""
    if (sum(data) - data[0]) & 255 != data[0]:
        raise FrameError("frame: the sum does not match")
    return Frame(data[1] << 8 | data[2], data[3] << 8 | data[4], bytes(data[5:]))


class FrameReader:
    """Frames out of a byte stream, whatever way it is cut into chunks.

    Bytes between frames are skipped, and so is a frame that is too short, too large, wrong in its sum, or
    interrupted by the header of the next. Nothing a peer sends makes it raise or hold more than one frame.

    Attributes:
        max_frame: largest frame let through, un-escaped, header included; for the frames that begin from now on.
        skipped_count: frames begun and thrown away.
        too_large: the size of the last one that was for its size; 0 when none was.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.skipped_count = 0
        self.too_large = 0
        self.max_frame = max_frame
        self._plain: "bytearray | None" = None  # un-escaped from the length on; None between frames
        self._end = 0  # its length when the frame is whole; 0 while unknown
        self._previous = 0  # the raw byte before, 0 when the next one starts afresh

    def feed(self, data: bytes) -> "list[Frame]":
        """Takes what arrived and gives the frames it completed, oldest first."""
        return list(self.each(data))

    def each(self, data: bytes) -> "Iterator[Frame]":
        """The same one by one: a `max_frame` that is set because of one counts for the next. To be taken to its end."""
        plain = self._plain
        end = self._end
        previous = self._previous
        for byte in data:
            if byte == 0xAA and previous == 0xAA:
                if plain:
                    self.skipped_count += 1
                plain = bytearray()
                end = 0
            elif plain is not None and not (byte == 0x55 and previous == 0xAA):
                plain.append(byte)
                if len(plain) == end:
                    whole = self._finish(plain)
                    if whole is not None:
                        yield whole
                    plain = None
                    byte = 0  # noqa: PLW2901 - a last AA must not pair with the AA of the next header
                elif len(plain) == 2:
                    end = self._end_of(plain)
                    if not end:
                        plain = None
            previous = byte
        self._plain = plain
        self._end = end
        self._previous = previous

    def _end_of(self, plain: bytearray) -> int:
        length = plain[0] << 8 | plain[1]
        try:
            return _size(length, self.max_frame) - 2
        except FrameError:
            self.skipped_count += 1
            if length >= 5:
                self.too_large = length + 4
            return 0

    def _finish(self, plain: bytearray) -> "Frame | None":
        try:
            return _frame(plain[2:])
        except FrameError:
            self.skipped_count += 1
            return None
