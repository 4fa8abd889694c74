"""Why bytes, or a value to be sent, were refused.

    WireError (a ValueError)
     +-- FrameError    the AA AA frame
     +-- TtlvError     its fields
     +-- MqttError     an MQTT packet; `return_code` when the peer is owed a CONNACK, `packets` read before it
     +-- TopicError    a topic, or a client id that cannot be one
     +-- CipherError   a key, or ciphertext that is not what it should be
     +-- LoginError    a log-in that proves nothing; `code` is the platform's number for it
     +-- LanError      a message of LAN or BLE whose fields are not what its command promises
     +-- BleError      likewise one that only BLE has, and an advertisement

A sentence says which rule was broken. It never holds payload, key or password, so it may go to a log.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from quecbind.wire._packets import Packet


class WireError(ValueError):
    """Bytes or values that are outside the protocol."""


class FrameError(WireError):
    pass


class TtlvError(WireError):
    pass


class MqttError(WireError):
    """An MQTT packet outside the standard; the connection is beyond repair.

    Attributes:
        return_code: what CONNACK says before the connection is closed, or None for a close without it.
        packets: the packets of the same `feed` that were whole and right before the bad one.
    """

    def __init__(self, sentence: str, return_code: "int | None" = None) -> None:
        super().__init__(sentence)
        self.return_code = return_code
        self.packets: "list[Packet]" = []


class TopicError(WireError):
    pass


class CipherError(WireError):
    pass


class LoginError(WireError):
    """A log-in that is malformed or wrong.

    Attributes:
        code: the device error number of the platform, 10423 and up.
    """

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class LanError(WireError):
    pass


class BleError(WireError):
    pass
