"""One App's connection: pairing for anyone who is near, a session for whoever knows the auth key.

Before the log-in nothing proves who asks, so no command is executed, and the connection has few requests and little
time. What a stranger may bring is up to the transport, and only while the bind window is open: over BLE Wi-Fi settings
(0x7010) and, to a device without a network, an encrypted bind code (0x7016); over LAN neither. A device with a PIN
wants proof of it before either, on the same connection. Credentials that end such a binding (0x7063) prove themselves.
After the log-in the session decides, about frames that may then be as large as any: until then they are kept small.
Pairing is for strangers: who has logged in gets no answer in the clear.
"""

from quecbind.wire import commands, frame, lan
from quecbind.wire.errors import WireError
from quecIot import _platform
from quecIot._sealed import Exchange, Sealing
from quecIot._session import Door, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from quecIot._draw import Entropy
    from quecIot._session import Answer, CarryOut

MAX_FRAME = 4096  # of a stranger: all that it may bring is smaller
IDLE_S = 15.0
LIFE_S = 120.0
MAX_REQUESTS = 64
MAX_BYTES = MAX_REQUESTS * MAX_FRAME  # what is no request counts too
MAX_SSID = 32  # bytes
MAX_PASSWORD = 64

# Two pairs of commands are in use for the same exchange.
_AUTHENTICATED = {
    commands.AUTHENTICATE: commands.AUTHENTICATE_ANSWER,
    commands.AUTHENTICATE_ANSWER: commands.AUTHENTICATE_SECOND_ANSWER,
}


class Host:
    """What Apps nearby may know of the device and ask of it; every function may be called from any thread."""

    def __init__(
        self,
        identity: "Callable[[], tuple[str, str, str | None]]",
        door: Door,
        carry_out: "CarryOut",
        sealing: "Sealing | None" = None,
        take_wifi: "Callable[[str, str], bool] | None" = None,
        authenticate: "Callable[[bytes, str], bytes] | None" = None,
        release: "Callable[[bytes], bytes] | None" = None,
    ) -> None:
        """
        Args:
            identity: gives product key, device key, and a bind code that may be told in the clear.
            door: judges log-ins.
            carry_out: does what a decision of `_downlink` asks for; the payload of the answer, or b"".
            sealing: hands the bind code over to who knows the PIN; None where there is none.
            take_wifi: hands SSID and password on, whether somebody wants them; None where they are ignored.
            authenticate: answers an encrypted bind code made for a random, "" where it may not count; None where there
                is no such binding.
            release: answers credentials that end such a binding; None likewise.
        """
        self.identity = identity
        self.door = door
        self.carry_out = carry_out
        self.sealing = sealing
        self.take_wifi = take_wifi
        self.authenticate = authenticate
        self.release = release

    def converse(
        self, source: str, entropy: "Entropy", log: "Callable[[str, str], None]", now: float
    ) -> "Conversation":
        """With an App that has just connected."""
        return Conversation(source, self, entropy, log, now)


class Conversation:
    """
    Attributes:
        source: the peer's address.
        session: what it is once the App has logged in.
    """

    def __init__(
        self, source: str, host: Host, entropy: "Entropy", log: "Callable[[str, str], None]", now: float
    ) -> None:
        self.source = source
        self.session = Session(source, host.door, host.carry_out, entropy, now)
        self._host = host
        self._log = log
        self._exchange = Exchange(host.sealing)
        self._taken: "lan.Wifi | None" = None
        self._reader = frame.FrameReader(MAX_FRAME)
        self._has_complained = False
        self._request_count = 0
        self._byte_count = 0
        self._ends_at = now + IDLE_S
        self._last_at = now + LIFE_S

    def receive_data(self, data: bytes, now: float) -> "bytes | None":
        """The answers; None when the peer has asked often enough and is closed."""
        self._ends_at = min(now + IDLE_S, self._last_at)
        out = bytearray()
        self._byte_count += len(data)
        if self._byte_count > MAX_BYTES and not self.session.is_valid():
            return None
        self._set_limit()
        for asked in self._reader.each(data):
            if not self.session.is_valid():
                self._request_count += 1
                if self._request_count > MAX_REQUESTS:
                    return None
            if not 1 <= asked.packet_id <= 0xFFFE:  # never sent, and so never echoed
                continue
            for packet_id, command, payload in self._answers(asked, now):
                out += frame.encode(packet_id, command, payload)
            self._set_limit()  # an App need not wait for the answer to its log-in
        if self._reader.too_large:
            self._complain(self._reader.too_large)
            self._reader.too_large = 0
        return bytes(out)

    def _set_limit(self) -> None:
        self._reader.max_frame = _platform.MAX_SESSION_FRAME if self.session.is_open else MAX_FRAME

    def _complain(self, size: int) -> None:
        """A stranger fills no log: it is complained of once."""
        if self.session.is_open or not self._has_complained:
            self._has_complained = True
            self._log(
                "warning", "a frame of %d bytes is dropped: at most %d are taken" % (size, self._reader.max_frame)
            )

    def next_timer(self) -> float:
        """When `handle_timer` has something to do."""
        return self.session.next_timer() if self.session.is_open else self._ends_at

    def handle_timer(self, now: float) -> "bytes | None":
        """What is to be sent by now; None when the connection is over."""
        due = self.session.handle_timer(now) if self.session.is_open else b""
        return None if self.session.is_over or (not self.session.is_open and now >= self._ends_at) else due

    def start_over(self, now: float) -> None:
        """Whoever logs in anew has the time and the questions of one who comes."""
        self.session.leave()
        self._last_at, self._ends_at = now + LIFE_S, now + IDLE_S
        self._request_count = self._byte_count = 0

    def _answers(self, asked: "frame.Frame", now: float) -> "list[Answer]":
        if asked.command == commands.HELLO:
            if self.session.is_valid():
                self.start_over(now)
            return [self.session.hello(asked.packet_id)]
        if asked.command == commands.LOGIN:
            return [self.session.log_in(asked.packet_id, asked.payload, now)]
        if self.session.is_valid():
            return self.session.receive(asked, now)
        if asked.command == commands.PROVISION:
            return self._pair(asked)
        if asked.command in _AUTHENTICATED and self._host.authenticate is not None:
            random = self.session.take_random()
            answer = self._host.authenticate(asked.payload, random if self._is_bindable() else "")
            return [(asked.packet_id, _AUTHENTICATED[asked.command], answer)]
        if asked.command == commands.SEALED_ASK:
            return [(asked.packet_id, commands.SEALED_ANSWER, self._exchange.ask(asked.payload, now))]
        if asked.command == commands.SEALED_PROOF:
            return [(asked.packet_id, commands.SEALED_OUTCOME, self._exchange.prove(asked.payload))]
        if asked.command == commands.UNBIND and self._host.release is not None:
            return [(asked.packet_id, commands.UNBIND_ANSWER, self._host.release(asked.payload))]
        return []

    def _is_bindable(self) -> bool:
        """Whether the bind window is open to this peer: with a PIN, only once it has proved that it knows it."""
        return self._host.identity()[2] is not None or self._exchange.is_proved

    def _pair(self, asked: "frame.Frame") -> "list[Answer]":
        product_key, device_key, bind_code = self._host.identity()
        if not product_key:
            return []
        try:
            wifi = lan.parse_provision_request(asked.payload)
        except WireError:
            return []
        payload = lan.provision_answer(product_key, device_key, bind_code)
        if wifi.ssid is not None and not self._takes(wifi):
            payload = lan.provision_refusal()
        return [(asked.packet_id, commands.PROVISION_ANSWER, payload)]

    def _takes(self, wifi: "lan.Wifi") -> bool:
        """False when the device cannot join that network. An App that repeats itself has said it once."""
        if self._host.take_wifi is None:
            self._log("info", "pairing: Wi-Fi settings are ignored")
            return True
        if not self._is_bindable():
            self._log("info", "provisioning: no open bind window, or no proof of the PIN: Wi-Fi settings are ignored")
            return True
        if wifi == self._taken:
            return True
        ssid, password = wifi.ssid or "", wifi.password or ""
        if not 1 <= len(ssid.encode()) <= MAX_SSID or len(password.encode()) > MAX_PASSWORD:
            return False
        if not self._host.take_wifi(ssid, password):
            return False
        self._taken = wifi
        return True
