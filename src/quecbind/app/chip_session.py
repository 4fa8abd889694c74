"""A session with a BLE chip of the generation before: another log-in, another key, accounts; the rest is the same.

The story: the App shows its auth key (0x8011), the chip gives a random (0x801C), and from then on data is encrypted
under a key that is made of the chip's MAC address. An unbound chip takes the first key for its administrator's, and may
start anew before it answers anything else. The administrator lists accounts (0x8012) and changes them (0x8014).

Chips may leave fields of 0x801C out. One that gives no random can be bound (`ble.chip.authenticate`) and no more: what
it would encrypt with is not known. The auth key crosses the air in the clear, and whoever is near knows the key.
"""

from quecbind.app.control_session import ANSWER_S, Answered, ControlSession, Happening
from quecbind.wire import ble_chip, commands, frame

REFUSED = 1


class ChipSession(ControlSession):
    def __init__(self, mac: str, auth_key: bytes, pin: int | None = None) -> None:
        """
        Args:
            mac: 12 hex digits, as a scan gave them.
            auth_key: 16 bytes that the App has chosen, or an account that the administrator has granted.
            pin: the passkey for an unbound chip to keep, 100000..999999.

        Raises:
            ControlError: the key is not 16 bytes.
            BleError: not a MAC address, or not such a PIN.
        """
        super().__init__(auth_key)
        self._mac = ble_chip.mac_of(mac)
        self._iv = b""
        self._question = ble_chip.authenticate(auth_key, pin)

    # --- what the App wants ---

    def list_accounts(self, now: float, seconds: float = ANSWER_S) -> int:
        """The packet id that `Answered` will name, with a list of auth keys, or False where another may."""
        return self._ask(commands.CHIP_ACCOUNTS, lambda: b"", now + seconds)

    def change_account(self, auth_key: bytes, is_granted: bool, now: float, seconds: float = ANSWER_S) -> int:
        """The packet id that `Answered` will name, with whether it was done."""
        return self._ask(commands.CHIP_GRANT, lambda: ble_chip.grant(auth_key, is_granted), now + seconds)

    # --- the log-in ---

    def _first_question(self) -> tuple[int, bytes]:
        return commands.CHIP_AUTHENTICATE, self._question

    def _opened_by(self, received: frame.Frame, now: float) -> Happening | None:
        if received.command != commands.CHIP_AUTHENTICATE_ANSWER:
            self.skipped_count += 1
            return None
        accepted = ble_chip.parse_authenticated(received.payload)
        if accepted is None:
            return self._refused(REFUSED)
        if accepted.random is None:
            return self._end("the chip gave no random to encrypt with")
        self._iv = accepted.random
        return self._open(now)

    # --- after it ---

    def _meaning(self, packet_id: int, command: int, data: bytes) -> Happening | None:
        if command == commands.CHIP_ACCOUNTS_ANSWER:
            accounts = ble_chip.parse_accounts(data)
            answer = False if accounts is None else accounts
            return Answered(packet_id, answer) if self._is_answer(packet_id, commands.CHIP_ACCOUNTS) else None
        if command == commands.CHIP_GRANT_ANSWER:
            is_done = ble_chip.parse_granted(data)
            return Answered(packet_id, is_done) if self._is_answer(packet_id, commands.CHIP_GRANT) else None
        return super()._meaning(packet_id, command, data)

    def _sealed(self, data: bytes) -> bytes:
        return ble_chip.encrypt(self._mac, self._iv, data)

    def _unsealed(self, data: bytes) -> bytes:
        return ble_chip.decrypt(self._mac, self._iv, data)
