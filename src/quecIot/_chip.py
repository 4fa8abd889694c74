"""The device as a BLE chip of the generation before: its advertisement, whom it lets in, what its administrator may do.

The story: while the device is unbound it advertises MAC address and product key. The first App that shows an auth key
(0x8011) in the bind window is its administrator, and the window closes; from then on the MAC address alone is
advertised. Whoever shows a known auth key gets a random (0x801C), and what follows is the session that every App has,
with a key that is made of the MAC address and so known to everybody near. The administrator lists the accounts
(0x8012), grants and revokes them (0x8014); with its own it revokes all, and the device is unbound. One App at a time.

Nothing here is worth more than the distance to the device: auth keys come in the clear, and the passkey that an App
chooses is the link's to ask for, which is below all this. It is kept, and never told. No I/O, no clock.
"""

from quecbind.wire import ble_advertising, ble_chip, commands
from quecbind.wire.errors import BleError, WireError
from quecIot._ble import Peripheral
from quecIot._conversation import Conversation, Host
from quecIot._delays import Delays
from quecIot._session import Door
from quecIot._store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecbind.wire import frame
    from quecIot._bind_window import BindWindow
    from quecIot._chip_accounts import Accounts
    from quecIot._draw import Entropy
    from quecIot._session import Answer, CarryOut, Session


class ChipDoor(Door):
    """Judges auth keys, and who may change what they are."""

    def __init__(
        self, lock: "Any", accounts: "Accounts", window: "BindWindow", log: "Callable[[str, str], None]"
    ) -> None:
        """`lock`: the device's, under which accounts and window are looked at and changed."""
        Door.__init__(self, self.administrator)
        self._lock = lock
        self._accounts = accounts
        self._window = window
        self._log = log
        self._wrong = Delays()
        self._user: "Session | None" = None

    def administrator(self) -> "bytes | None":
        """None while the device is unbound."""
        with self._lock:
            keys = self._accounts.keys()
            return keys[0] if keys else None

    def knows(self, key: bytes) -> bool:
        with self._lock:
            return self._accounts.knows(key)

    def has_pin(self) -> bool:
        with self._lock:
            return self._accounts.has_pin()

    def let_in(self, session: "Session", source: str, shown: "ble_chip.Account", now: float) -> bool:
        """Whether the App that shows this may have the session, which is not open now.

        Within its delay a source is not even looked at.
        """
        if self._wrong.is_waiting(source, now):
            return False
        with self._lock:
            is_good = self._accounts.knows(shown.auth_key) if self._accounts.keys() else self._binds(shown, now)
            if not is_good:
                if self._accounts.keys():  # else there is nothing to guess
                    self._wrong.was_wrong(source, now)
                return False
        self._wrong.was_right(source)
        if self._user is not None and self._user.is_valid():
            return False
        self._user = session
        return True

    def _binds(self, shown: "ble_chip.Account", now: float) -> bool:
        """Whether the first auth key of all could be made the administrator's."""
        if self._window.code(now) is None:
            return False
        try:
            self._accounts.begin(shown.auth_key, shown.pin)
        except StoreError as error:
            self._log("error", "BLE chip: %s" % error)
            return False
        self._window.forget()
        self._log("info", "BLE chip: an App has made itself the administrator")
        return True

    def accounts(self, key: bytes) -> "list[bytes] | None":
        """Every account, for the administrator alone."""
        with self._lock:
            return self._accounts.keys() if self._accounts.is_administrator(key) else None

    def change(self, key: bytes, account: bytes, is_granted: bool) -> bool:
        """Whether an account is granted or revoked now, because the administrator says so."""
        with self._lock:
            if not self._accounts.is_administrator(key):
                return False
            try:
                if is_granted:
                    return self._accounts.grant(account)
                self._accounts.revoke(account)
            except StoreError as error:
                self._log("error", "BLE chip: %s" % error)
                return False
            return True


class ChipHost(Host):
    def __init__(
        self, identity: "Callable[[], tuple[str, str, str | None]]", door: ChipDoor, carry_out: "CarryOut"
    ) -> None:
        Host.__init__(self, identity, door, carry_out)
        self.chip_door = door

    def converse(
        self, source: str, entropy: "Entropy", log: "Callable[[str, str], None]", now: float
    ) -> "ChipConversation":
        return ChipConversation(source, self, entropy, log, now)


class ChipConversation(Conversation):
    """One App's connection. Of a stranger's questions only 0x8011 has an answer."""

    def __init__(
        self, source: str, host: ChipHost, entropy: "Entropy", log: "Callable[[str, str], None]", now: float
    ) -> None:
        Conversation.__init__(self, source, host, entropy, log, now)
        self.session.also = {commands.CHIP_ACCOUNTS: self._list, commands.CHIP_GRANT: self._grant}
        self._door = host.chip_door

    def _answers(self, asked: "frame.Frame", now: float) -> "list[Answer]":
        if asked.command == commands.CHIP_AUTHENTICATE:
            return [(asked.packet_id, commands.CHIP_AUTHENTICATE_ANSWER, self._authenticate(asked.payload, now))]
        answers = self.session.receive(asked, now)
        if self.session.is_open and not self._door.knows(self.session.key):  # it has revoked itself, and is to hear so
            self.start_over(now)
        return answers

    def _authenticate(self, payload: bytes, now: float) -> bytes:
        if self.session.is_valid():
            self.start_over(now)
        random = self.session.draw_random()
        try:
            cipher_key = ble_chip.session_key(self._host.identity()[1])
            shown = ble_chip.parse_authenticate(payload)
        except WireError:
            return ble_chip.refused()
        if not self._door.let_in(self.session, self.source, shown, now):
            return ble_chip.refused()
        self.session.begin(shown.auth_key, cipher_key, self.session.take_random(), now)
        return ble_chip.authenticated(random.encode(), has_pin=self._door.has_pin())

    def _list(self, data: bytes) -> "tuple[int, bytes]":
        accounts = self._door.accounts(self.session.key)
        payload = ble_chip.refused() if accounts is None else ble_chip.accounts(accounts)
        return commands.CHIP_ACCOUNTS_ANSWER, payload

    def _grant(self, data: bytes) -> "tuple[int, bytes]":
        try:
            account, is_granted = ble_chip.parse_grant(data)
        except WireError:
            return commands.CHIP_GRANT_ANSWER, ble_chip.granted(False)
        is_done = self._door.change(self.session.key, account, is_granted)
        return commands.CHIP_GRANT_ANSWER, ble_chip.granted(is_done)


class ChipPeripheral(Peripheral):
    """Silent while an App uses it: nobody else could."""

    def is_full(self) -> bool:
        return any([central.conversation.session.is_open for central in self._centrals])

    def _advertised(self, product_key: str, device_key: str) -> bytes:
        if not ble_chip.is_mac(device_key):
            raise BleError("QUECIOT_BLE_CHIP=1 needs a device key of 12 hex digits: it is the MAC address")
        is_bound = self._host.door.key() is not None
        return ble_advertising.advertised(ble_chip.manufacturer_data(device_key, None if is_bound else product_key))
