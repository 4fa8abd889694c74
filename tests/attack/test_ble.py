"""BLE: what strangers within radio range can do to a device that somebody uses, tried on virtual radios.

Each case ends by asking the paired App: it must still be served on the connection it had. Not defended, and said so:
whoever is near while the window is open gets the bind code, and a jammer is stronger than any protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from bumble import att
from bumble.core import UUID
from bumble.device import Connection as BumbleConnection
from bumble.device import Device, Peer
from bumble.hci import Address

from quecbind.app.ble.exchange import exchange
from quecbind.app.ble.link import open_link
from quecbind.app.ble.pairing import pair
from quecbind.app.errors import KeyRefusedError
from quecbind.wire import ble, commands, frame, lan, signing
from quecIot._delays import FREE_COUNT
from tests.air import CODE, DK, PS, Air, BleDevice, room
from tests.tables import Row

KEY = bytes(range(16))
noise = random.Random(4)


@dataclass
class Used:
    """A device with an owner, whose App is connected."""

    air: Air
    device: BleDevice
    link: Any
    count: int = 0

    async def served(self) -> str:
        """ "served" when the owner's App can still write, and the script gets exactly that."""
        self.count += 1
        before = len(self.device.events)
        await self.link.write({1: self.count})
        events = await self.device.happened(before + 1)
        return "served" if events[before:] == [(5, 10210, {1: self.count})] else f"the script got {events[before:]}"


class Stranger:
    """A central that speaks ATT as it likes."""

    def __init__(self, connection: BumbleConnection) -> None:
        self.connection = connection
        self.peer = Peer(connection)

    @classmethod
    async def come(cls, used: Used) -> Stranger:
        central = Device.with_hci("stranger", Address.generate_static_address(), *used.air.controller())
        await central.power_on()
        connection = await central.connect(used.device.address, timeout=10)
        return cls(connection)

    async def look(self) -> None:
        await self.peer.discover_services()
        for service in self.peer.services:
            await self.peer.discover_characteristics(service=service)

    def handle(self, uuid: int) -> int:
        return int(self.peer.get_characteristics_by_uuid(UUID.from_16_bits(uuid))[0].handle)

    async def ask(self, request: att.ATT_PDU) -> str:
        """The name of what came back."""
        response = await self.peer.gatt_client.send_request(request)
        if isinstance(response, att.ATT_Error_Response):
            return att.ErrorCode(response.error_code).name
        return str(response.name)

    async def write(self, data: bytes, uuid: int = 0x9C40) -> str:
        return await self.ask(att.ATT_Write_Request(attribute_handle=self.handle(uuid), attribute_value=data))

    def shout(self, data: bytes) -> None:
        """Without waiting for anything."""
        command = att.ATT_Write_Command(attribute_handle=self.handle(0x9C40), attribute_value=data)
        self.connection.send_l2cap_pdu(att.ATT_CID, bytes(command))


@pytest_asyncio.fixture
async def used() -> AsyncIterator[Used]:
    async with room() as (air, device):
        device.hold_key(KEY)
        link = await open_link(await air.app(), device.address, KEY, first_ask_after_s=0.0)
        yield Used(air, device, link)
        await link.close()


@pytest_asyncio.fixture
async def stranger(used: Used) -> Stranger:
    stranger = await Stranger.come(used)
    await stranger.peer.request_mtu(256)
    await stranger.look()
    return stranger


GARBAGE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "noise": lambda: noise.randbytes(200),
    "headers": lambda: b"\xaa\xaa" * 100,
    "half a frame": lambda: frame.encode(1, commands.PROVISION)[:-3],
    "a frame that never ends": lambda: bytes.fromhex("aaaafff0") + bytes(200),
    "a length of nothing": lambda: bytes.fromhex("aaaa0000"),
    "a wrong checksum": lambda: bytes.fromhex("aaaa000500000170320000"),
    "a write before any log-in": lambda: frame.encode(1, commands.TSL_WRITE, bytes.fromhex("0009")),
    "commands of the Developer Center": lambda: frame.encode(1, commands.CONFIGURE, bytes.fromhex("0009")),
    "a bind code for a device with a network": lambda: frame.encode(1, commands.AUTHENTICATE, b"\x00\x1b\x00\x01A"),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_swallowed(used: Used, stranger: Stranger, row: Row, kind: str) -> None:
    for _ in range(20):
        await stranger.write(GARBAGE[kind]())

    row(f"{kind}, twenty times", "served", await used.served())


async def test_a_flood_ends_the_strangers_connection_and_no_other(used: Used, stranger: Stranger, row: Row) -> None:
    gone = asyncio.Event()
    stranger.connection.on(BumbleConnection.EVENT_DISCONNECTION, lambda _: gone.set())
    for number in range(2000):
        stranger.shout(frame.encode(number % 60000 + 1, commands.HELLO))

    async with asyncio.timeout(30):
        await gone.wait()
    row("2000 questions without waiting", "served", await used.served())


async def test_places_of_strangers_are_few_and_the_owner_keeps_its_own(used: Used, row: Row) -> None:
    strangers = []
    for _ in range(6):
        with contextlib.suppress(Exception):
            strangers.append(await Stranger.come(used))
    async with asyncio.timeout(10):
        while len(used.device.peripheral._centrals) > 4:
            await asyncio.sleep(0.001)

    row("six silent connections", "served", await used.served())
    used.device.move(15)  # the silent are ended; the owner is heard from now and then
    async with asyncio.timeout(10):
        while len(used.device.peripheral._centrals) > 1:
            await asyncio.sleep(0.001)
    row("the same, fifteen seconds later", "served", await used.served())


ODD_WRITES: dict[str, tuple[Callable[[Stranger], Awaitable[str]], str]] = {
    "a write to the log": (lambda one: one.write(b"x", 0x9C41), "WRITE_NOT_PERMITTED"),
    "a read of the data": (
        lambda one: one.ask(att.ATT_Read_Request(attribute_handle=one.handle(0x9C40))),
        "READ_NOT_PERMITTED",
    ),
    "a read of the log": (
        lambda one: one.ask(att.ATT_Read_Request(attribute_handle=one.handle(0x9C41))),
        "READ_NOT_PERMITTED",
    ),
    "a write of more than a value can be": (lambda one: one.write(bytes(600)), "INVALID_ATTRIBUTE_LENGTH"),
    "a write to a handle that is none": (
        lambda one: one.ask(att.ATT_Write_Request(attribute_handle=0xFFFF, attribute_value=b"x")),
        "INVALID_HANDLE",
    ),
}


@pytest.mark.parametrize("kind", ODD_WRITES)
async def test_what_gatt_does_not_allow_is_refused_by_its_number(
    used: Used, stranger: Stranger, row: Row, kind: str
) -> None:
    act, expected = ODD_WRITES[kind]

    row(f"BLE, {kind}", expected, await act(stranger))
    row(f"BLE, {kind}: the owner", "served", await used.served())


async def test_a_long_write_in_parts_is_bounded(used: Used, stranger: Stranger, row: Row) -> None:
    answers = set()
    for number in range(100):
        part = att.ATT_Prepare_Write_Request(
            attribute_handle=stranger.handle(0x9C40), value_offset=number * 10, part_attribute_value=bytes(10)
        )
        answers.add(await stranger.ask(part))
    answers.add(await stranger.ask(att.ATT_Execute_Write_Request(flags=1)))

    row("100 parts of a write", True, {"PREPARE_QUEUE_FULL", "INVALID_ATTRIBUTE_LENGTH"} <= answers)
    row("100 parts of a write: the owner", "served", await used.served())


async def test_a_wrong_key_costs_the_one_who_has_it(used: Used, row: Row) -> None:
    app = await used.air.app()
    for _ in range(FREE_COUNT + 3):
        with pytest.raises(KeyRefusedError):
            await open_link(app, used.device.address, b"w" * 16)

    with pytest.raises(KeyRefusedError):
        await open_link(app, used.device.address, KEY)  # within the wait even the right one
    row("wrong log-ins, and a right one too soon after them", "served", await used.served())


async def test_a_log_in_that_was_overheard_opens_nothing(used: Used, stranger: Stranger, row: Row) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    data = stranger.peer.get_characteristics_by_uuid(UUID.from_16_bits(0x9C40))[0]
    await data.subscribe(heard.put_nowait, prefer_notify=False)
    await stranger.write(frame.encode(1, commands.HELLO))
    old = lan.parse_random(frame.decode(await heard.get()).payload)
    token = lan.login(signing.lan_token(KEY, old))  # as the owner once sent it
    await stranger.write(frame.encode(2, commands.HELLO))
    await heard.get()
    await stranger.write(frame.encode(3, commands.LOGIN, token))

    result = lan.parse_login_result(frame.decode(await heard.get()).payload)

    row("a log-in of before, played again", lan.LOGIN_REFUSED, result)
    row("a log-in of before, played again: the owner", "served", await used.served())


async def test_a_peer_that_never_confirms_holds_up_nobody_else(used: Used, stranger: Stranger, row: Row) -> None:
    data = stranger.peer.get_characteristics_by_uuid(UUID.from_16_bits(0x9C40))[0]
    await data.subscribe(lambda _: None, prefer_notify=False)
    stranger.peer.gatt_client.send_confirmation = lambda confirmation: None
    for _ in range(10):
        await stranger.write(frame.encode(1, commands.HELLO))

    row("indications that are never confirmed", "served", await used.served())


async def test_nobody_gets_a_code_or_a_network_in_outside_the_window(used: Used, row: Row) -> None:
    given: list[Any] = []
    used.device.device.set_provision_cb(lambda *wifi: given.append(wifi))
    used.device.device.bindcode_set(CODE, 60)
    used.device.move(60)

    pairing = await pair(await used.air.app(), used.device.address, "evil", "12345678")

    row("pairing after the window: bind code", None, pairing.bind_code)
    row("pairing after the window: networks taken", [], given)
    row("pairing after the window: device key", DK, pairing.device_key)


async def test_a_device_without_a_network_is_bound_by_nobody_who_has_not_proved_its_pin(row: Row) -> None:
    async with room(QUECIOT_BLE_ONLY="1") as (air, device):
        assert device.device.set_pairing_pin("271828")
        assert device.device.bindcode_set(CODE, 60)
        async with exchange(await air.app(), device.address) as asking:
            random = lan.parse_random(await asking.ask(commands.HELLO, b"", commands.RANDOM))
            code = ble.encrypt_bind_code(CODE, PS, random)
            said = await asking.ask(commands.AUTHENTICATE, ble.authenticate(code), commands.AUTHENTICATE_ANSWER)

        row("a bind code for a device with a PIN, no proof", ble.REFUSED, ble.parse_authenticated(said).result)
        row(
            "a bind code for a device with a PIN, no proof: offers kept",
            [],
            device.device._profile.setting("ble_offers"),
        )


async def test_silent_strangers_keep_no_other_app_out(used: Used, row: Row) -> None:
    for _ in range(6):
        with contextlib.suppress(Exception):
            await Stranger.come(used)

    pairing = await pair(await used.air.app(), used.device.address)

    row("six silent connections: another App is answered", DK, pairing.device_key)
    row("six silent connections and another App: the owner", "served", await used.served())
