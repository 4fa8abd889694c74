"""BLE chips of the generation before: becoming the administrator of one, its accounts, and using it.

Found by `scan.scan_chips`. The auth key is the App's own: 16 bytes it draws and keeps, and nobody can give them back.
Everything here can be read, and done again, by whoever was near: the chip's session key is on its advertisement.
"""

from quecbind.app.ble.exchange import exchange
from quecbind.app.ble.line import GattLine
from quecbind.app.ble.link import LOG_IN_S, TRIES, on_a_connection
from quecbind.app.ble.radio import CONNECT_S, Radio
from quecbind.app.ble.scan import FoundChip
from quecbind.app.chip_session import ChipSession
from quecbind.app.errors import ControlError, KeyRefusedError, PairingError
from quecbind.app.line import Line
from quecbind.app.link import FIRST_ASK_AFTER_S, Link
from quecbind.app.path import ANSWER_S, BLE
from quecbind.wire import ble_chip, commands
from quecbind.wire.errors import WireError


class ChipLink(Link):
    """A `Link` that knows accounts. Made by `open_chip`."""

    def __init__(self, line: Line, session: ChipSession, name: str, first_ask_after_s: float) -> None:
        super().__init__(line, session, name, first_ask_after_s)
        self._chip = session

    async def accounts(self, seconds: float = ANSWER_S) -> list[bytes]:
        """Every auth key the chip knows.

        Raises:
            ControlError: this is not the administrator's link, or the chip did not answer in time.
            PathLostError: the link was or is lost.
        """
        await self._ready()
        packet_id = self._chip.list_accounts(self._now(), seconds)
        answer = await self._answer_to(packet_id, seconds, "the chip did not list its accounts in time")
        if answer is False:
            raise ControlError("the chip lists its accounts to its administrator alone")
        return list(answer)

    async def grant(self, auth_key: bytes, seconds: float = ANSWER_S) -> None:
        """Lets somebody else in. Idempotent.

        Raises:
            ControlError: not 16 bytes, not the administrator's link, the chip has room for no more, or no answer.
            PathLostError: the link was or is lost; if it was during the call, the chip may have done it.
        """
        await self._change(auth_key, True, seconds)

    async def revoke(self, auth_key: bytes, seconds: float = ANSWER_S) -> None:
        """Lets somebody in no longer. With its own key the administrator revokes all, and the chip is unbound.

        Raises:
            ControlError: as `grant`.
            PathLostError: as `grant`.
        """
        await self._change(auth_key, False, seconds)

    async def _change(self, auth_key: bytes, is_granted: bool, seconds: float) -> None:
        if len(auth_key) != ble_chip.KEY_SIZE:
            raise ControlError(f"an auth key has {ble_chip.KEY_SIZE} bytes")
        await self._ready()
        packet_id = self._chip.change_account(auth_key, is_granted, self._now(), seconds)
        late = "the chip did not answer in time; it may have done it"
        if not await self._answer_to(packet_id, seconds, late):
            raise ControlError("the chip refused: this is not its administrator, or it has no room for an account")


async def authenticate(
    radio: Radio, chip: FoundChip, auth_key: bytes, pin: int | None = None, connect_s: float = CONNECT_S
) -> ble_chip.Accepted:
    """What the chip says to this auth key, each field None or False where it says nothing of it.

    An unbound chip in its bind window takes it for its administrator's, and keeps the PIN as passkey.

    Raises:
        KeyRefusedError: the chip does not know it, or its bind window is closed.
        PairingError: no connection, no answer, or none that can be read; the chip may have taken the key.
        ControlError: not a key of 16 bytes, or not a PIN of 100000..999999.
    """
    _session(chip, auth_key, pin)
    question = ble_chip.authenticate(auth_key, pin)
    async with exchange(radio, chip.address, connect_s) as asking:
        said = await asking.ask(commands.CHIP_AUTHENTICATE, question, commands.CHIP_AUTHENTICATE_ANSWER)
    try:
        accepted = ble_chip.parse_authenticated(said)
    except WireError as error:
        raise PairingError(f"the chip's answer cannot be read: {error}") from error
    if accepted is None:
        raise KeyRefusedError("the chip refused the auth key")
    return accepted


async def open_chip(
    radio: Radio,
    chip: FoundChip,
    auth_key: bytes,
    pin: int | None = None,
    *,
    connect_s: float = CONNECT_S,
    seconds: float = LOG_IN_S,
    tries: int = TRIES,
    first_ask_after_s: float = FIRST_ASK_AFTER_S,
) -> ChipLink:
    """A session with the chip; with an unbound one in its bind window, as its administrator.

    Raises:
        KeyRefusedError: the chip does not know the key, is not in its bind window, or has another App on it.
        PathLostError: no connection, no answer, or the chip gave no random to encrypt with.
        ControlError: not a key of 16 bytes, or not a PIN of 100000..999999.
    """
    _session(chip, auth_key, pin)  # what cannot be is said before anybody is connected to

    async def begin(line: GattLine) -> ChipLink:
        session = _session(chip, auth_key, pin)
        return await ChipLink.begin(line, session, BLE, seconds=seconds, first_ask_after_s=first_ask_after_s)

    return await on_a_connection(radio, chip.address, begin, connect_s, tries)


def _session(chip: FoundChip, auth_key: bytes, pin: int | None) -> ChipSession:
    try:
        return ChipSession(chip.device_key, auth_key, pin)
    except WireError as error:
        raise ControlError(str(error)) from None
