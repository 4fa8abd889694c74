"""The device as a BLE peripheral: what it advertises, whom it serves, and bytes in and out of its characteristic.

GATT carries a byte stream: a frame is cut where the connection's MTU says so, and put together again by its header, as
on TCP. What a connection may ask is decided by `_conversation`, the same as on LAN; here is what BLE adds. Few can
be connected at once; strangers cannot take the places of those that have logged in, and the one that has been there
longest gives way to the next. Nothing here knows a radio, a thread or a clock; all methods are called from one thread,
except where they say otherwise.
"""

from quecbind.wire import ble_advertising
from quecbind.wire.errors import BleError
from quecIot import _pairing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from quecIot._conversation import Conversation, Host
    from quecIot._draw import Entropy

SMALLEST_MTU = 23
LARGEST_MTU = 517
MAX_STRANGERS = 3
MAX_CENTRALS = 8
MAX_UNSENT = 64 * 1024  # a reader this slow is let go; the largest report is 21 KiB
MAX_LOG_LINES = 32


class Central:
    """One App that is connected.

    Attributes:
        mtu: what the two have agreed on.
        wants_log: whether it has subscribed to the log.
    """

    __slots__ = ("_unsaid", "_unsent", "conversation", "lines", "mtu", "wants_log")

    def __init__(self, conversation: "Conversation") -> None:
        self.conversation = conversation
        self.mtu = SMALLEST_MTU
        self.wants_log = False
        self.lines: "list[str]" = []
        self._unsent = b""
        self._unsaid = b""

    def add(self, data: bytes) -> None:
        self._unsent += data

    def is_too_slow(self) -> bool:
        return len(self._unsent) > MAX_UNSENT

    def next_chunk(self) -> bytes:
        """The next indication; b"" when nothing waits. Asking takes it away."""
        chunk = self._unsent[: self.mtu - 3]
        self._unsent = self._unsent[len(chunk) :]
        return chunk

    def next_line(self) -> bytes:
        """The next notification of the log; b"" when there is none. A line feed ends a line, in as many as it takes."""
        if not self._unsaid and self.lines:
            self._unsaid = self.lines.pop(0).encode() + b"\n"
        chunk = self._unsaid[: self.mtu - 3]
        self._unsaid = self._unsaid[len(chunk) :]
        return chunk


class Peripheral:
    def __init__(
        self,
        host: "Host",
        has_network: "Callable[[], bool]",
        window_ends_at: "Callable[[], float | None]",
        capabilities: int,
        entropy: "Entropy",
        log: "Callable[[str, str], None]",
    ) -> None:
        """
        Args:
            has_network: whether the device is to be connected to its Developer Center.
            window_ends_at: when the bind window ends by itself, None when it is closed.
            capabilities: what it can talk over, as it is advertised.
        """
        self._host = host
        self._has_network = has_network
        self._window_ends_at = window_ends_at
        self._capabilities = capabilities
        self._entropy = entropy
        self._log = log
        self._centrals: "list[Central]" = []
        self._leaving: "list[Central]" = []
        self._complained = ""

    # --- before anybody connects ---

    def device_key(self) -> str:
        return self._host.identity()[1]

    def advertisement(self) -> "tuple[bytes, bytes] | None":
        """What to advertise now, and what to answer scans with; None: nothing, and nobody can connect."""
        product_key, device_key, _ = self._host.identity()
        if not product_key or self.is_full():
            return None
        try:
            data = self._advertised(product_key, device_key)
        except BleError as error:
            if self._complained != str(error):
                self._complained = str(error)
                self._log("warning", "BLE: the device cannot be found, %s" % error)
            return None
        return data, ble_advertising.scan_response(device_key)

    def is_full(self) -> bool:
        """Whether nobody else is served just now."""
        return len(self._centrals) >= MAX_CENTRALS

    def _advertised(self, product_key: str, device_key: str) -> bytes:
        status = 0
        if self._has_network():
            status |= ble_advertising.HAS_NETWORK
        if self._host.door.key() is not None:
            status |= ble_advertising.IS_BOUND
        if self._window_ends_at() is not None:
            status |= ble_advertising.IS_BINDABLE
        return ble_advertising.advertisement(product_key, device_key, status, self._capabilities)

    # --- connections ---

    def connected(self, source: str, now: float) -> "Central | None":
        """Whoever has just connected; None when there is no room. `handle_timer` tells who has to give way for it."""
        if len(self._centrals) >= MAX_CENTRALS:
            return None
        strangers = [one for one in self._centrals if not one.conversation.session.is_open]
        if _pairing.has_to_give_way([one.conversation.source for one in strangers], MAX_STRANGERS):
            self.disconnected(strangers[0])
            self._leaving.append(strangers[0])
        central = Central(self._host.converse(source, self._entropy, self._log, now))
        self._centrals = self._centrals + [central]
        return central

    def disconnected(self, central: Central) -> None:
        central.conversation.session.end()
        self._centrals = [one for one in self._centrals if one is not central]

    def mtu_changed(self, central: Central, mtu: int) -> None:
        central.mtu = min(max(mtu, SMALLEST_MTU), LARGEST_MTU)

    def written(self, central: Central, data: bytes, now: float) -> bool:
        """Takes what an App has written; False: its connection has served, and is to be ended."""
        if central not in self._centrals:
            return False
        answer = central.conversation.receive_data(data, now)
        if answer is None:
            return False
        central.add(answer)
        return not central.is_too_slow()

    # --- what the script tells ---

    def report(self, command: int, payload: bytes) -> None:
        """Tells every App that is logged in."""
        for central in self._centrals:
            central.add(central.conversation.session.report(command, payload))

    def has_asked(self, packet_id: int) -> bool:
        """Whether some App waits for properties under that packet id. From any thread."""
        return any([central.conversation.session.has_asked(packet_id) for central in self._centrals])

    def answer_read(self, packet_id: int, payload: bytes) -> None:
        for central in self._centrals:
            central.add(central.conversation.session.answer_read(packet_id, payload))

    def logged(self, line: str) -> None:
        """A line of the device's log, for those that want it: only who has logged in may read it."""
        for central in self._centrals:
            if central.wants_log and central.conversation.session.is_valid():
                central.lines = central.lines[1 - MAX_LOG_LINES :] + [line]

    # --- time ---

    def next_timer(self) -> "float | None":
        """When `handle_timer`, or a look at `advertisement`, is due; None: not before something happens."""
        times = [central.conversation.next_timer() for central in self._centrals]
        ends_at = self._window_ends_at()
        if ends_at is not None:
            times.append(ends_at)
        return min(times) if times else None

    def handle_timer(self, now: float) -> "list[Central]":
        """Those whose connections are to be ended by now."""
        over, self._leaving = self._leaving, []
        for central in self._centrals:
            due = central.conversation.handle_timer(now)
            if due is None or central.is_too_slow():
                over.append(central)
            else:
                central.add(due)
        return over
