"""A device that behaves as a BLE chip (QUECIOT_BLE_CHIP=1): what strangers and members near it can do, and listeners.

The attacker's frames are written by hand. That whoever hears an App has its key, and reads what it writes, is this
generation's protocol: those cases succeed, and say so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quecbind.app.ble.bumble_radio import BumbleRadio
from quecbind.app.ble.chip import ChipLink, open_chip
from quecbind.app.ble.radio import Connection
from quecbind.app.ble.scan import FoundChip, scan_chips
from quecIot import _chip_accounts
from quecIot._delays import FREE_COUNT
from tests.air import CODE, PK, Air, BleDevice, room
from tests.quecIot.app_by_hand import build, cut
from tests.tables import Row

MAC = "aabbccddeeff"
KEY, MEMBER, OTHER = bytes(range(16)), bytes(range(16, 32)), b"o" * 16
NAMES = {KEY: "administrator", MEMBER: "member", OTHER: "stranger"}
ASK = bytes.fromhex("000b0010")
YES, NO = bytes.fromhex("0011"), bytes.fromhex("0010")
REFUSED, NOT_DONE = "0x801C 0028", "0028"
SILENCE_S = 0.3


def cipher(random: bytes) -> Cipher[modes.CBC]:
    """The key is on the chip's advertisement."""
    return Cipher(algorithms.AES(b"!!AABBCCDDEEFF!!"), modes.CBC(random))


def seal(random: bytes, plain: bytes) -> bytes:
    pad = 16 - len(plain) % 16
    encryptor = cipher(random).encryptor()
    return encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()


def unseal(random: bytes, sealed: bytes) -> bytes:
    decryptor = cipher(random).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    return padded[: -padded[-1]]


@dataclass
class Near:
    """Somebody with a radio, who speaks as they like."""

    connection: Connection
    random: bytes = b""

    async def ask(self, raw: bytes) -> str:
        """Command and data of the answer, "silence" when there is none in time."""
        for at in range(0, len(raw), 200):
            await self.connection.write(raw[at : at + 200])
        heard = b""
        try:
            async with asyncio.timeout(SILENCE_S):
                while not cut(heard)[0]:
                    piece = await self.connection.indication()
                    if not piece:
                        return "hung up"
                    heard += piece
        except TimeoutError:
            return "silence"
        ((_, command, data),) = cut(heard)[0]
        if command == 0x801C and data[:4] == bytes.fromhex("00230010"):
            self.random = data[4:20]
            return "0x801C in"
        return f"0x{command:04X} {data.hex()}"

    async def show(self, key: bytes) -> str:
        return await self.ask(build(1, 0x8011, ASK + key))

    async def tell(self, command: int, plain: bytes = b"") -> str:
        """Encrypted; the decrypted data of the answer."""
        said = await self.ask(build(2, command, seal(self.random, plain) if plain else b""))
        return unseal(self.random, bytes.fromhex(said[7:])).hex() if said.startswith("0x") else said


@dataclass
class Chip:
    air: Air
    device: BleDevice
    count: int = 0
    links: list[ChipLink] = field(default_factory=list)

    def accounts(self) -> list[str]:
        """Whose auth keys the device has on file."""
        kept = [bytes.fromhex(key) for key in self.device.device._profile.setting("chip_accounts")]
        return [NAMES.get(key, "another") for key in kept]

    async def near(self) -> Near:
        return Near(await (await self.air.app()).connect(self.device.address))

    async def find(self, radio: BumbleRadio) -> FoundChip:
        return (await scan_chips(radio, 10.0, lambda chip: True))[0]

    async def bind(self, *members: bytes) -> None:
        """As its administrator's App does."""
        assert self.device.device.bindcode_set(CODE, 60)
        link = await self.open()
        for member in members:
            await link.grant(member)
        await link.close()

    async def open(self) -> ChipLink:
        app = await self.air.app()
        link = await open_chip(app, await self.find(app), KEY, first_ask_after_s=0.0)
        self.links.append(link)
        return link

    async def served(self) -> str:
        """ "served" when the administrator can still come and write, and the script gets exactly that."""
        self.count += 1
        before = len(self.device.events)
        link = await self.open()
        await link.write({1: self.count})
        await link.close()
        events = await self.device.happened(before + 1)
        return "served" if events[before:] == [(5, 10210, {1: self.count})] else f"the script got {events[before:]}"


@pytest_asyncio.fixture
async def chip() -> AsyncIterator[Chip]:
    async with room(device_key=MAC, QUECIOT_BLE_CHIP="1") as (air, device):
        chip = Chip(air, device)
        yield chip
        for link in chip.links:
            await link.close()


async def test_with_the_window_closed_nobody_becomes_administrator(chip: Chip, row: Row) -> None:
    stranger = await chip.near()

    row("BLE chip, a first key, no window", REFUSED, await stranger.show(OTHER))
    chip.device.device.bindcode_set(CODE, 60)
    chip.device.move(60)
    row("BLE chip, a first key after the window", REFUSED, await (await chip.near()).show(OTHER))
    row("BLE chip, a first key with the window closed: accounts", [], chip.accounts())


async def test_one_window_has_one_administrator(chip: Chip, row: Row) -> None:
    first, second = await chip.near(), await chip.near()
    chip.device.device.bindcode_set(CODE, 60)

    came = sorted(await asyncio.gather(first.show(KEY), second.show(OTHER)))

    row("BLE chip, two first keys in one window", [REFUSED, "0x801C in"], came)
    row("BLE chip, two first keys in one window: accounts", 1, len(chip.accounts()))


async def test_unknown_keys_cost_the_one_who_has_them(chip: Chip, row: Row) -> None:
    await chip.bind()
    stranger = await chip.near()

    tries = [await stranger.show(OTHER) for _ in range(FREE_COUNT + 1)]
    row("BLE chip, unknown keys, one more than cost nothing", {REFUSED}, set(tries))
    row("BLE chip, unknown keys: the right one within the wait", REFUSED, await stranger.show(KEY))
    row("BLE chip, unknown keys: the administrator", "served", await chip.served())
    row("BLE chip, unknown keys: accounts", ["administrator"], chip.accounts())


@pytest.mark.parametrize(
    ("kind", "command", "data"),
    [
        ("lists the accounts", 0x8012, b""),
        ("grants itself", 0x8014, ASK + OTHER + YES),
        ("revokes the administrator", 0x8014, ASK + KEY + NO),
        ("writes", 0x0013, bytes.fromhex("0009")),
    ],
)
async def test_who_has_not_authenticated_may_nothing(
    chip: Chip, row: Row, kind: str, command: int, data: bytes
) -> None:
    await chip.bind(MEMBER)
    stranger = await chip.near()

    said = {await stranger.ask(build(2, command, data)), await stranger.ask(build(2, command, seal(bytes(16), data)))}

    row(f"BLE chip, a stranger {kind}", {"silence"}, said)
    row(f"BLE chip, a stranger {kind}: accounts", ["administrator", "member"], chip.accounts())
    row(f"BLE chip, a stranger {kind}: the administrator", "served", await chip.served())


@pytest.mark.parametrize(
    ("kind", "command", "data"),
    [
        ("lists the accounts", 0x8012, b""),
        ("grants another", 0x8014, ASK + OTHER + YES),
        ("revokes the administrator", 0x8014, ASK + KEY + NO),
        ("revokes itself", 0x8014, ASK + MEMBER + NO),
    ],
)
async def test_a_member_may_not_what_the_administrator_may(
    chip: Chip, row: Row, kind: str, command: int, data: bytes
) -> None:
    await chip.bind(MEMBER)
    member = await chip.near()
    assert await member.show(MEMBER) == "0x801C in"

    row(f"BLE chip, a member {kind}", NOT_DONE, await member.tell(command, data))
    row(f"BLE chip, a member {kind}: accounts", ["administrator", "member"], chip.accounts())


async def test_who_was_revoked_stays_out(chip: Chip, row: Row) -> None:
    await chip.bind(MEMBER)
    link = await chip.open()
    await link.revoke(MEMBER)
    await link.close()

    row("BLE chip, a member that was revoked", REFUSED, await (await chip.near()).show(MEMBER))
    row("BLE chip, a member that was revoked: accounts", ["administrator"], chip.accounts())


async def test_accounts_are_bounded(chip: Chip, row: Row) -> None:
    most = _chip_accounts.MAX_ACCOUNTS
    await chip.bind(*[bytes([number]) * 16 for number in range(1, most)])
    administrator = await chip.near()
    assert await administrator.show(KEY) == "0x801C in"

    row("BLE chip, one account more than there can be", NOT_DONE, await administrator.tell(0x8014, ASK + OTHER + YES))
    row("BLE chip, one account more than there can be: accounts", most, len(chip.accounts()))


async def test_what_was_encrypted_on_another_connection_is_not_done(chip: Chip, row: Row) -> None:
    await chip.bind(MEMBER)
    heard = await chip.near()
    await heard.show(KEY)
    write, grant = seal(heard.random, bytes.fromhex("0009")), seal(heard.random, ASK + OTHER + YES)
    await heard.connection.close()
    member = await chip.near()
    assert await member.show(MEMBER) == "0x801C in"

    row("BLE chip, a write of another connection", "silence", await member.ask(build(3, 0x0013, write)))
    await member.ask(build(4, 0x8014, grant))
    row("BLE chip, a grant of another connection: accounts", ["administrator", "member"], chip.accounts())
    row("BLE chip, a write of another connection: events", [], chip.device.events)


async def test_silent_strangers_keep_the_administrator_not_out(chip: Chip, row: Row) -> None:
    await chip.bind()
    for _ in range(6):
        with contextlib.suppress(Exception):
            await chip.near()

    row("BLE chip, six silent connections: the administrator", "served", await chip.served())


async def test_a_power_cut_while_an_account_is_stored(chip: Chip, row: Row) -> None:
    await chip.bind(MEMBER)
    administrator = await chip.near()
    await administrator.show(KEY)
    before, chip.device.files.is_writable = dict(chip.device.files.content), False

    said = [await administrator.tell(0x8014, ASK + key) for key in (OTHER + YES, MEMBER + NO, KEY + NO)]

    row("BLE chip, changes that cannot be stored", [NOT_DONE] * 3, said)
    row("BLE chip, changes that cannot be stored: the file", True, chip.device.files.content == before)
    row("BLE chip, changes that cannot be stored: accounts", ["administrator", "member"], chip.accounts())


# --- what this generation does not defend ---


class Listener:
    """Hears what an App and the chip say."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.heard = b""

    @property
    def mtu(self) -> int:
        return self._connection.mtu

    async def write(self, data: bytes) -> None:
        self.heard += data
        await self._connection.write(data)

    async def indication(self) -> bytes:
        data = await self._connection.indication()
        self.heard += data
        return data

    async def close(self) -> None:
        await self._connection.close()


async def test_a_listener_has_the_auth_key_and_reads_what_is_written(chip: Chip, row: Row) -> None:
    await chip.bind()
    listener = Listener((await chip.near()).connection)
    app = Near(listener)
    await app.show(KEY)
    await app.tell(0x0023, b"unlock")
    await app.connection.close()

    frames = cut(listener.heard)[0]
    key = next(data[4:20] for _, command, data in frames if command == 0x8011)
    random = next(data[4:20] for _, command, data in frames if command == 0x801C)
    written = [unseal(random, data) for _, command, data in frames if command == 0x0023]

    row("NOT DEFENDED: BLE chip, a listener reads what an App writes", [b"unlock"], written)
    row(
        "NOT DEFENDED: BLE chip, a listener shows the auth key it heard",
        "0x801C in",
        await (await chip.near()).show(key),
    )


async def test_whoever_is_near_in_the_window_may_come_first(chip: Chip, row: Row) -> None:
    stranger = await chip.near()
    chip.device.device.bindcode_set(CODE, 60)

    row("NOT DEFENDED: BLE chip, a stranger's first key in the window", "0x801C in", await stranger.show(OTHER))
    row("BLE chip, its owner resets it: accounts", (True, []), (chip.device.device.rst(), chip.accounts()))
    assert PK
